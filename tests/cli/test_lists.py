"""Lists come from the registries, for people and for programs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import fbench as package
from benchmark.scorers import scorers
from tools.docs import commands_page

Fbench = Callable[..., Result]
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("divergences", "reverse_kl"),
        ("objectives", "rpo"),
        ("scorers", "true_reward"),
        ("prompts", "shapes-core"),
        ("models", "shapes"),
        ("presets", "shapes-rpo"),
    ],
)
def test_a_list_has_a_line_for_each_name(fbench: Fbench, kind: str, name: str) -> None:
    listed = json.loads(fbench("list", kind, "--json").stdout)
    lines = fbench("list", kind).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [entry["name"] for entry in listed]
    assert all(entry["summary"] for entry in listed)
    assert name in [entry["name"] for entry in listed]


def test_scorers_are_listed_with_their_facts(fbench: Fbench) -> None:
    listed = json.loads(fbench("list", "scorers", "--json").stdout)
    assert [entry["name"] for entry in listed] == scorers.names()
    by_name = {entry["name"]: entry for entry in listed}
    assert by_name["lpips"]["axis"] == "diversity"
    assert by_name["style_fd"]["higher_is_better"] is False


def test_help_teaches_with_examples(fbench: Fbench) -> None:
    plain = ("demo", "train", "eval", "score", "leaderboard", "list", "doctor")
    for command in (
        *plain,
        "plot",
        "plot sheet",
        "divergence",
        "divergence check",
        "weights",
        "weights fetch",
    ):
        shown = fbench(*command.split(), "--help")
        assert shown.exit_code == 0
        assert "Examples:" in shown.stdout
        assert f"fbench {command}" in shown.stdout


def test_the_bare_name_shows_the_help(fbench: Fbench) -> None:
    bare = fbench()
    assert (bare.exit_code, bare.stdout) == (0, fbench("--help").stdout)


def test_the_version_is_the_packages(fbench: Fbench) -> None:
    assert fbench("--version").stdout == f"fbench {package.__version__}\n"


def test_the_page_of_commands_is_what_the_help_says() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == commands_page.markdown(), "run python -m tools.docs.commands_page docs/commands.md"


def test_the_doctor_says_what_is_here_and_how_to_get_the_rest(
    fbench: Fbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FBENCH_WEIGHTS", str(tmp_path))
    found = json.loads(fbench("doctor", "--json").stdout)
    assert found["devices"][0] == "cpu"
    assert found["precision"]["cpu"] in ("fp32", "bf16")
    assert found["packages"]["torch"]
    published = {s["call"]: s for s in found["scorers"] if s["kind"] == "published"}
    assert not published["hps"]["present"]
    assert published["hps"]["note"] == "fbench weights fetch hps-v2.1"
    assert {s["name"] for s in found["scorers"]} == set(scorers.names())
    said = fbench("doctor").stdout
    for heading in ("packages", "computing on", "the embedded world", "scorers, with the weights"):
        assert heading in said

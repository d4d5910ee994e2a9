"""The page on gating, and the workflow file that people copy from it."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from benchmark.cli.app import app, command
from benchmark.cli.verdict import EXIT_CODES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "gating.md").read_text(encoding="utf-8")
WORKFLOW = (ROOT / "docs" / "ci" / "gate-divergence.yml").read_text(encoding="utf-8")
FLOW: dict[Any, Any] = yaml.safe_load(WORKFLOW)
JOB: dict[str, Any] = FLOW["jobs"]["gate"]
STEPS: dict[str, dict[str, Any]] = {step.get("name", step.get("uses")): step for step in JOB["steps"]}


def commands(text: str) -> list[list[str]]:
    """Every fbench command of a script or of the page's console blocks, without the program's name."""
    lines = [line.strip().removeprefix("$ ") for line in text.replace("\\\n", " ").splitlines()]
    return [shlex.split(line.partition("||")[0])[1:] for line in lines if line.startswith("fbench ")]


ON_THE_PAGE = commands("".join(re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)))
IN_THE_WORKFLOW = commands("\n".join(step.get("run", "") for step in JOB["steps"]))


def parsed(words: list[str]) -> dict[str, Any]:
    """What a command line says, by option; an option that does not exist is an error."""
    found: Any = command()
    while hasattr(found, "commands") or hasattr(found, "list_commands"):
        name, *words = words
        found = found.get_command(None, name)
        assert found is not None, name
    params: dict[str, Any] = found.make_context(found.name, list(words)).params
    return params


@pytest.mark.parametrize("words", [*IN_THE_WORKFLOW, *ON_THE_PAGE], ids=shlex.join)
def test_every_command_is_one_that_fbench_knows(words: list[str]) -> None:
    assert parsed(words)


def test_the_workflow_checks_gates_and_writes_both_reports() -> None:
    assert [words[0] for words in IN_THE_WORKFLOW] == ["divergence", "regress"]
    said = parsed(IN_THE_WORKFLOW[1])
    assert said["divergence"] == "$DIVERGENCE"
    assert said["markdown"] == Path("$GITHUB_STEP_SUMMARY")
    kept = STEPS["Keep the report"]["with"]["path"].split()
    assert kept == [
        str(said["junit"]),
        *(str(said["out"] / name) for name in ("report.html", "leaderboard.*")),
    ]
    assert STEPS["Keep the report"]["if"] == "${{ !cancelled() }}"


def test_the_workflow_trusts_nobody() -> None:
    # YAML 1.1 takes the key `on` for a truth value.
    assert set(FLOW[True]) == {"pull_request", "workflow_dispatch"}
    assert FLOW["permissions"] == {"contents": "read"}
    assert STEPS["actions/checkout@v7.0.1"]["with"] == {"persist-credentials": False}
    uses = [step["uses"] for step in JOB["steps"] if "uses" in step]
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", action) for action in uses)
    # What a pull request names reaches scripts through the environment, never as a part of their text.
    assert not any("${{" in step.get("run", "") for step in JOB["steps"])
    assert "http" not in WORKFLOW


def test_the_workflow_keeps_what_pip_fetched() -> None:
    (setup,) = [step["with"] for step in JOB["steps"] if "setup-python" in step.get("uses", "")]
    assert setup["cache"] == "pip"
    assert all((ROOT / name).is_file() for name in setup["cache-dependency-path"].split())
    assert parse_constraint(STEPS["Install fbench"]["run"]) == "constraints.txt"


def parse_constraint(run: str) -> str:
    words = shlex.split(run)
    return words[words.index("--constraint") + 1]


@pytest.fixture
def gate_step(tmp_path: Path) -> Callable[[int, str], subprocess.CompletedProcess[str]]:
    """The step as a runner runs it, with an fbench that ends with a code."""

    def run(code: int, inconclusive: str) -> subprocess.CompletedProcess[str]:
        stub = tmp_path / "fbench"
        stub.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/words"\nexit {code}\n')
        stub.chmod(0o755)
        surroundings = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}", "INCONCLUSIVE": inconclusive,
            "DIVERGENCE": "expr: u*log(u)", "GITHUB_STEP_SUMMARY": "summary of the job.md",
        }  # fmt: skip
        script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS["Gate"]["run"]]
        return subprocess.run(script, capture_output=True, text=True, check=False, env=surroundings)

    return run


@pytest.mark.parametrize(
    ("code", "inconclusive", "ends", "told"),
    [
        (0, "fail", 0, ""),
        (1, "fail", 1, "::error title=fbench gate::a regression"),
        (2, "fail", 2, "::error title=fbench gate::nothing was compared"),
        (3, "fail", 3, "::error title=fbench gate::inconclusive: see"),
        (3, "warn", 0, "::warning title=fbench gate::inconclusive, let through"),
        (1, "warn", 1, "::error title=fbench gate::a regression"),
        (130, "warn", 130, "::error title=fbench gate::nothing was compared"),
    ],
)
def test_the_workflow_ends_as_it_says(
    gate_step: Callable[[int, str], subprocess.CompletedProcess[str]],
    tmp_path: Path,
    code: int,
    inconclusive: str,
    ends: int,
    told: str,
) -> None:
    done = gate_step(code, inconclusive)
    assert (done.returncode, done.stderr) == (ends, "")
    assert done.stdout.startswith(told)
    assert bool(done.stdout) == bool(told)
    said = (tmp_path / "words").read_text()
    assert "--divergence expr: u*log(u) " in said
    assert "--markdown summary of the job.md" in said


def test_inconclusive_is_red_unless_somebody_says_otherwise() -> None:
    assert JOB["env"]["INCONCLUSIVE"] == "fail"


def test_the_page_has_the_exit_codes() -> None:
    rows = re.findall(r"^\| (\d) \| (\w+)", PAGE, flags=re.MULTILINE)
    assert {name: int(code) for code, name in rows if name in EXIT_CODES} == EXIT_CODES
    assert [code for code, _ in rows] == ["0", "1", "2", "3"]


def test_the_screen_on_the_page_is_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (shown,) = re.findall(r"^```text\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    # Once by the folders, once by the methods' names.
    asked = [words for words in ON_THE_PAGE if words[-1].startswith("results/")]
    assert len(asked) == 2
    for words in asked:
        done = CliRunner(env={"COLUMNS": "80"}).invoke(app, words)
        assert done.exit_code == 0, done.output
        assert [line.rstrip() for line in done.stdout.splitlines()] == shown.splitlines()

"""What an installed fbench brings: two packages, one module, its data; and that it works elsewhere."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*words: str | Path, **options: object) -> str:
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_only_our_names_stand_at_top_level(names: list[str]) -> None:
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"benchmark", "trainers", "fbench.py"}


def test_every_tracked_part_of_the_packages_is_inside(names: list[str]) -> None:
    for package in ("benchmark", "trainers"):
        expected = {p.relative_to(ROOT).as_posix() for p in (ROOT / package).rglob("*.py")}
        assert expected <= set(names)


def test_the_parts_of_the_report_page_travel_inside(names: list[str]) -> None:
    assets = {p.relative_to(ROOT).as_posix() for p in (ROOT / "benchmark/report/page/assets").iterdir()}
    assert {Path(name).suffix for name in assets} == {".css", ".jinja", ".js"}
    assert assets <= set(names)


def test_prompts_and_baselines_travel_inside(names: list[str]) -> None:
    prompts = {f"benchmark/data/prompts/{p.name}" for p in (ROOT / "prompts").iterdir()}
    assert prompts
    assert prompts <= set(names)
    baselines = ROOT / "results" / "baselines"
    expected = {p.relative_to(baselines).as_posix() for p in baselines.rglob("*") if p.is_file()}
    assert {f"benchmark/data/baselines/{name}" for name in expected} <= set(names)


def test_weights_and_data_of_the_embedded_world_travel_inside(names: list[str]) -> None:
    for folder in ("weights", "data"):
        here = ROOT / "benchmark" / "shapes" / folder
        expected = {p.relative_to(ROOT).as_posix() for p in here.rglob("*") if p.is_file()}
        assert expected <= set(names)


def test_nothing_else_travels(names: list[str]) -> None:
    strays = [n for n in names if any(part in n for part in ("__pycache__", "tests/", ".build", "runs/"))]
    assert strays == []


def test_the_wheel_stays_below_its_limit(wheel: Path) -> None:
    assert wheel.stat().st_size <= 100e6


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        target,
        wheel,
    )
    return target


def elsewhere(installed: Path, folder: Path, *words: str) -> str:
    """Runs a command with the installed wheel, away from the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return run(*words, cwd=folder, env=environment)


def test_an_installed_fbench_is_used_and_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = "import fbench, benchmark.core.resources as r; print(fbench.__file__, r.prompts_folder())"
    said = elsewhere(installed, tmp_path, sys.executable, "-c", code).split()
    assert said == [str(installed / "fbench.py"), str(installed / "benchmark/data/prompts")]


def test_an_installed_fbench_finds_its_prompts(installed: Path, tmp_path: Path) -> None:
    code = "import fbench; print(*sorted(fbench.prompt_sets.names()))"
    here = {p.stem for p in (ROOT / "prompts").glob("*.json")}
    known = {"drawbench", "geneval", "hpdv2", "parti", "pickapic-test"}
    assert set(elsewhere(installed, tmp_path, sys.executable, "-c", code).split()) == here | known


needs_cli = pytest.mark.skipif(
    importlib.util.find_spec("benchmark.cli") is None, reason="benchmark/cli is not written yet"
)


@needs_cli
def test_the_command_lists_prompts_from_another_folder(installed: Path, tmp_path: Path) -> None:
    said = elsewhere(installed, tmp_path, str(installed / "bin" / "fbench"), "list", "prompts")
    for card in (ROOT / "prompts").glob("*.json"):
        assert card.stem in said


@needs_cli
def test_the_command_plans_an_evaluation_from_another_folder(installed: Path, tmp_path: Path) -> None:
    elsewhere(
        installed, tmp_path, str(installed / "bin" / "fbench"),
        "eval", "--checkpoint", "base", "--prompts", "shapes-core", "--scorers", "oracle", "--dry-run",
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == [], "a dry run writes nothing"

"""What an installed fbench brings: two packages, one module, its data; and that it works elsewhere."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
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
        # How the weights were made names the tools that made them, which only the repository has.
        cards = {name for name in expected if name.startswith("benchmark/shapes/weights/cards/")}
        assert expected - cards <= set(names)
        assert cards.isdisjoint(names)


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


def test_every_command_runs_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    kept = ("HOME", "LANG", "PATH", "TMPDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    quiet = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "FBENCH_CACHE": str(tmp_path / "cache")}
    work = tmp_path / "work"
    work.mkdir()
    packages = sysconfig.get_path("purelib")
    run(
        sys.executable, "-I", "-S", ROOT / "tests" / "installed_program.py", installed, packages, ROOT,
        cwd=work, env=environment | quiet,
    )  # fmt: skip


def test_the_console_script_starts_in_a_folder_of_the_users(installed: Path, tmp_path: Path) -> None:
    said = elsewhere(installed, tmp_path, str(installed / "bin" / "fbench"), "list", "prompts")
    for card in (ROOT / "prompts").glob("*.json"):
        assert card.stem in said
    assert list(tmp_path.iterdir()) == []


def test_nothing_inside_names_what_only_the_repository_has(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = {
            name: archive.read(name).decode()
            for name in archive.namelist()
            if name.startswith(("benchmark/", "trainers/", "fbench.py"))
            and Path(name).suffix in (".py", ".js", ".jinja", ".css", ".md", ".json", ".jsonl")
        }
    named = [
        f"{name}: {found[0]}"
        for name, text in texts.items()
        for found in re.finditer(r"\btools[./]\w+|\bbenchmark\.studies\b", text)
    ]
    assert named == []
    inside = {name.removesuffix(".py").removesuffix("/__main__").replace("/", ".") for name in texts}
    runnable = {name for name in inside if f"{name.replace('.', '/')}/__main__.py" in texts} | {"fbench"}
    others = {"pip", "pytest", "venv"}
    commands = {
        found[1].rstrip(".") for text in texts.values() for found in re.finditer(r"python -m ([\w.]+)", text)
    }
    assert commands - others - runnable - {"it"} == set()


def test_everything_that_is_asked_for_is_imported() -> None:
    """What is named for another reason has it here; others' own needs are theirs to name."""
    for_a_reason = {
        "ftfy": "open_clip reads captions with it, and `make parity` imports it",
        "tokenizers": "its range keeps the words of transformers' tokenizers equal",
        "torchmetrics": "the tested peer: docs/decisions/libraries.md",
    }
    spelled = {"pillow": "PIL", "pyyaml": "yaml", "open-clip-torch": "open_clip"}
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[<>=~!\[ ]", line)[0] for line in asked}
    files = [
        ROOT / "fbench.py",
        *(p for room in ("benchmark", "trainers") for p in (ROOT / room).rglob("*.py")),
    ]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    modules = {found[1] for found in re.finditer(r"^\s*(?:from|import) (\w+)", code, re.MULTILINE)}
    unused = {name for name in names if spelled.get(name, name.replace("-", "_")) not in modules}
    assert unused == set(for_a_reason)

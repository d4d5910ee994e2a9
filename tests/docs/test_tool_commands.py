"""Every command of our own modules that a page or a docstring names is there, with the options it names."""

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_DIARIES = ("LOG.md", "CHANGELOG.md")
"""Say what was typed then."""


def _pages() -> Iterator[Path]:
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "results/**/*.md",
        "Makefile",
        "tools/**/*.py",
        "benchmark/**/*.py",
    ):
        yield from (path for path in sorted(ROOT.glob(pattern)) if path.name not in _DIARIES)


def _commands() -> dict[str, str]:
    """Each command as it is written, to the end of its line or code, and a page that has it."""
    found: dict[str, str] = {}
    for path in _pages():
        for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
            for match in re.finditer(r"-m ((?:tools|benchmark|trainers)\.[\w.]*\w[^`\"#]*)", line):
                found.setdefault(" ".join(match[1].split()), path.relative_to(ROOT).as_posix())
    return found


COMMANDS = _commands()
MODULES = sorted({command.split()[0].rstrip(".,:;)") for command in COMMANDS})


def _source(module: str) -> Path | None:
    place = ROOT / module.replace(".", "/")
    return next((p for p in (place / "__main__.py", place.with_suffix(".py")) if p.is_file()), None)


def test_there_are_commands() -> None:
    assert {"tools.bench", "tools.parity", "tools.build_shapes", "tools.studies.seeds"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_named_module_is_there_and_runs(module: str) -> None:
    source = _source(module)
    assert source is not None, f"{module} cannot be run"
    assert '__name__ == "__main__"' in source.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_named_options_are_there(command: str) -> None:
    source = _source(command.split(maxsplit=1)[0].rstrip(".,:;)"))
    assert source is not None
    code = source.read_text(encoding="utf-8")
    for option in re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", command):
        assert f'"{option}"' in code or option == "--help", f"{option} of {COMMANDS[command]}"


def _answers_help(module: str) -> bool:
    source = _source(module)
    return source is not None and "argparse" in source.read_text(encoding="utf-8")


# In this process, so that torch is imported once; pages and the check of circles take no options.
@pytest.mark.parametrize("module", [module for module in MODULES if _answers_help(module)])
def test_help_is_answered(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    assert not ended.value.code
    assert f"python -m {module}" in capsys.readouterr().out

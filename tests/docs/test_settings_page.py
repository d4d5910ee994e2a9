"""docs/settings.md says what the fields of the settings say."""

import re
from pathlib import Path

import pytest

from benchmark.core.settings import Setting
from tools.docs.settings_page import CONFIGS, markdown

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def test_the_page_is_what_the_command_writes() -> None:
    assert markdown() == PAGE, "run python -m tools.docs.settings_page docs/settings.md"


@pytest.mark.parametrize("name", CONFIGS)
def test_every_setting_has_one_row(name: str) -> None:
    section = PAGE.partition(f"## `fbench {name}`\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)) == sorted(
        CONFIGS[name].settings(Setting)
    )


def test_bounds_and_defaults_are_those_of_the_fields() -> None:
    assert "| `ema` |  | number, above 0, below 1 |  |" in PAGE
    assert "| `lora_rank` | `--lora-rank` | whole number, above 0, `full` | `16` |" in PAGE
    assert "| `save_every` | `--save-every` | whole number, above 0 | a tenth of the steps |" in PAGE


def test_every_environment_variable_is_on_the_page() -> None:
    sources = [path for package in ("benchmark", "trainers") for path in (ROOT / package).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"FBENCH_[A-Z]+", path.read_text("utf-8"))}
    assert {name for name in named if f"`{name}`" not in PAGE} == set()

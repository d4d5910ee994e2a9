"""docs/identity.md says of every setting that names something by what it is recognised; none is left out."""

import ast
import dataclasses
import inspect
import typing
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from benchmark.core.config import Config
from benchmark.core.settings import Setting
from benchmark.evaluate.config import EvalConfig, ScoreConfig
from benchmark.scorers.base import scorers
from benchmark.workflows.frontier.config import FrontierConfig
from benchmark.workflows.pairs.config import PairsConfig
from benchmark.workflows.regress.study import Regress
from benchmark.workflows.sweep import Axes, Sweep
from trainers.config import TrainConfig

ROOT = Path(__file__).parents[2]
Row = tuple[str, str, str, str]
SETTINGS: dict[str, type] = {
    "train": TrainConfig,
    "sweep": Sweep,
    "eval": EvalConfig,
    "score": ScoreConfig,
    "pairs": PairsConfig,
    "frontier": FrontierConfig,
    "regress": Regress,
}


def _rows() -> list[Row]:
    text = (ROOT / "docs" / "identity.md").read_text(encoding="utf-8")
    cells = [
        [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    rows = [(a, b.strip("`"), c, d.strip("`")) for a, b, c, d in cells]
    return [row for row in rows if row[0] != "command"]


def _names_something(kind: Any) -> bool:
    """Whether a setting of this type may name a file, a folder, a model or code: a text, a path, anything."""
    if kind in (str, Path, Any, Axes):
        return True
    if get_origin(kind) is Literal:
        return False
    if get_origin(kind) in (Union, UnionType, tuple):
        return any(_names_something(part) for part in get_args(kind))
    if isinstance(get_origin(kind), type) and issubclass(get_origin(kind), Mapping):
        return _names_something(get_args(kind)[1])
    return False


def _settings_of(kind: type) -> set[str]:
    hints = typing.get_type_hints(kind)
    if dataclasses.is_dataclass(kind):
        return {field.name for field in dataclasses.fields(kind) if _names_something(hints[field.name])}
    assert issubclass(kind, BaseModel)
    return {name for name in kind.model_fields if _names_something(hints[name])}


@pytest.mark.parametrize("command", SETTINGS)
def test_every_setting_that_names_something_has_one_line(command: str) -> None:
    told = sorted(row[1] for row in _rows() if row[0] == command)
    assert told == sorted(_settings_of(SETTINGS[command]))


def test_every_option_of_a_scorer_that_names_something_has_one_line() -> None:
    options = {
        p.name
        for entry in scorers
        for p in inspect.signature(entry.load()).parameters.values()
        if _names_something(p.annotation) or p.annotation == "str"
    }
    assert sorted(row[1] for row in _rows() if row[0] == "scorer") == sorted(options)


def test_every_line_belongs_to_a_command() -> None:
    assert {row[0] for row in _rows()} == {*SETTINGS, "scorer"}


@pytest.mark.parametrize("command", [name for name, kind in SETTINGS.items() if issubclass(kind, Config)])
def test_what_the_page_calls_a_place_says_so_itself(command: str) -> None:
    kind = SETTINGS[command]
    assert issubclass(kind, Config)
    settings = kind.settings(Setting)
    page = {row[1]: row[2] for row in _rows() if row[0] == command}
    # "as of eval": the same words for the same setting.
    page |= {name: _of_eval(name) for name, told in page.items() if told.endswith("as of eval")}
    places = {name for name, told in page.items() if told.startswith("place")}
    assert places == {name for name in page if settings[name].identity in ("never", "formerly")}


def _of_eval(name: str) -> str:
    return next(row[2] for row in _rows() if row[:2] == ("eval", name))


@pytest.mark.parametrize("row", _rows(), ids=lambda row: f"{row[0]} {row[1]}")
def test_every_line_is_held_by_a_test(row: Row) -> None:
    file, _, name = row[3].partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

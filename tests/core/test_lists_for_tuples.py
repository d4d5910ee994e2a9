"""Where a record or a config holds a tuple, a list will do, and gives an equal one."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_origin, get_type_hints

import pytest

from benchmark.core import records
from benchmark.core.records import OpenAttribute, Prompt, PromptSet, ScorerColumn
from benchmark.core.records.base import Record
from benchmark.evaluate.config import EvalConfig, ScoreConfig
from benchmark.workflows.pairs.config import PairsConfig
from trainers.config import TrainConfig
from trainers.presets import PRESETS


def _holding_tuples() -> list[type]:
    every = (getattr(records, name) for name in records.__all__)
    return [
        one
        for one in every
        if is_dataclass(one)
        and isinstance(one, type)
        and any(get_origin(get_type_hints(one)[f.name]) is tuple for f in fields(one))
    ]


@pytest.mark.parametrize("record", _holding_tuples())
def test_every_record_with_tuples_takes_lists(record: type) -> None:
    assert issubclass(record, Record)


def test_records_of_lists_are_those_of_tuples() -> None:
    texts = [["a red apple"], ["a green apple", "an unripe apple"]]
    opened = OpenAttribute("colour", ["red", "green"], texts)  # type: ignore[arg-type]
    prompt = Prompt("a", "an apple", ["fruit"], attribute=opened)  # type: ignore[arg-type]
    tuples = (("a red apple",), ("a green apple", "an unripe apple"))
    same = Prompt("a", "an apple", ("fruit",), attribute=OpenAttribute("colour", ("red", "green"), tuples))
    assert prompt == same
    assert hash(prompt) == hash(same)
    assert prompt.content == same.content
    assert PromptSet("mine", "1", [prompt]) == PromptSet("mine", "1", (same,))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two prompts have the id 'a'"):
        PromptSet("mine", "1", [prompt, same])  # type: ignore[arg-type]
    column = ScorerColumn("x", "1", "texture", "image", True, bounds=[0.0, None])  # type: ignore[arg-type]
    assert column.bounds == (0.0, None)


def test_configs_take_lists_and_one_text() -> None:
    listed = EvalConfig(checkpoint=["base"], scorers=["clip"], out=Path("x"))
    assert listed == EvalConfig(checkpoint="base", scorers="clip", out="x")
    assert listed.checkpoint == ("base",)


CONFIGS = [
    *(TrainConfig.resolve(None, {"preset": name, "out": "x"}) for name in PRESETS),
    EvalConfig(checkpoint=("base", "a"), scorers=("clip(weights='a,b')",), out=Path("x")),
    ScoreConfig(path=(Path("a"), Path("b")), name=("c", "d"), out=Path("x")),
    PairsConfig(out=Path("x")),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{type(c).__name__} {getattr(c, 'preset', '')}")
def test_what_a_manifest_says_of_settings_gives_the_same_settings(
    config: TrainConfig, tmp_path: Path
) -> None:
    from benchmark.core.manifest import FILE_NAME, track

    with track(tmp_path / "run", "test", config, command=""):
        pass
    for file in (tmp_path / "run", tmp_path / "run" / FILE_NAME):
        assert type(config).resolve(file, {}) == config
        other = type(config).resolve(file, {"out": "elsewhere"})
        assert other == config.model_copy(update={"out": Path("elsewhere")})

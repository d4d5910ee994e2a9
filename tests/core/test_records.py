"""Records refuse what would later be read as a result."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.records import (
    Checkpoint,
    ImageSet,
    PreferencePair,
    Prompt,
    PromptSet,
    Sampler,
    ScoreRow,
)
from benchmark.core.records.prompts import ImageRef


def row(**changes: Any) -> ScoreRow:
    given: dict[str, Any] = {
        "checkpoint": "base", "scorer": "clip", "scorer_version": "1", "prompt_id": "a",
        "seed": 0, "value": 1.0,
    }  # fmt: skip
    return ScoreRow(**{**given, **changes})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_an_ok_row_has_a_finite_value(value: float | None) -> None:
    with pytest.raises(ValueError, match="status ok"):
        row(value=value)


@pytest.mark.parametrize("status", ["missing", "error"])
def test_a_failed_row_has_no_value_and_says_why(status: str) -> None:
    with pytest.raises(ValueError, match="with the value 0"):
        row(status=status, value=0.0, note="unreadable")
    with pytest.raises(ValueError, match="without a note"):
        row(status=status, value=None)
    assert row(status=status, value=None, note="unreadable").value is None


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown status"):
        row(status="skipped", value=None, note="x")


def test_a_seed_needs_its_prompt() -> None:
    with pytest.raises(ValueError, match="seed without a prompt"):
        row(prompt_id=None)


@pytest.mark.parametrize(
    ("prompt_id", "seed", "unit"), [("a", 0, "image"), ("a", None, "prompt"), (None, None, "set")]
)
def test_the_unit_follows_from_the_keys(prompt_id: str | None, seed: int | None, unit: str) -> None:
    assert row(prompt_id=prompt_id, seed=seed).unit == unit


@given(st.floats(width=32))
def test_a_measured_number_becomes_a_value_or_an_error(value: float) -> None:
    made = ScoreRow.measured("base", "clip", "1", np.float32(value), "a", 0)  # type: ignore[arg-type]
    assert (made.status == "ok") == math.isfinite(value)
    assert made.value is None or type(made.value) is float


def test_two_prompts_never_share_a_file_name() -> None:
    with pytest.raises(ValueError, match="two prompts have the id 'A'"):
        PromptSet("s", "1", (Prompt("a", "x"), Prompt("A", "y")))


@pytest.mark.parametrize("bad", ["", "a/b", "..", "a\\b", "con:"])
def test_a_prompt_id_is_a_file_name(bad: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        Prompt(bad, "x")


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_pair_cannot_be_turned_round_by_its_weight(weight: float) -> None:
    image = ImageRef(Path("x.png"))
    with pytest.raises(ValueError, match="weight"):
        PreferencePair("x", image, image, weight)


def test_facts_are_read_back_and_keep_the_prompt_hashable() -> None:
    prompt = Prompt("a", "a star", facts_json='{"shape": "star"}')
    assert prompt.facts == {"shape": "star"}
    assert Prompt("a", "a star").facts is None
    assert len({prompt, prompt}) == 1


BASE = Checkpoint("base", "shapes", revision="abc")
SET = PromptSet("s", "1", (Prompt("a", "a star"),))


@pytest.mark.parametrize(
    "changed",
    [
        (Checkpoint("other", "shapes", revision="abc"), SET, Sampler(), (0, 1)),
        (Checkpoint("base", "shapes", revision="abd"), SET, Sampler(), (0, 1)),
        (BASE, PromptSet("s", "1", (Prompt("a", "a moon"),)), Sampler(), (0, 1)),
        (BASE, SET, Sampler(steps=21), (0, 1)),
        (BASE, SET, Sampler(guidance=3.5), (0, 1)),
        (BASE, SET, Sampler(eta=1.0), (0, 1)),
        (BASE, SET, Sampler(seed=1), (0, 1)),
        (BASE, SET, Sampler(batch_size=4), (0, 1)),
        (BASE, SET, Sampler(noise="shared"), (0, 1)),
        (BASE, SET, Sampler(), (0, 1, 2)),
    ],
)
def test_whatever_changes_pixels_changes_the_id(
    changed: tuple[Checkpoint, PromptSet, Sampler, tuple[int, ...]],
) -> None:
    assert ImageSet.content_id(*changed) != ImageSet.content_id(BASE, SET, Sampler(), (0, 1))


def test_what_does_not_change_pixels_keeps_the_id() -> None:
    renamed = PromptSet("other", "2", (Prompt("a", "a star", tags=("count",)),), source="elsewhere")
    moved = Checkpoint("base", "shapes", revision="abc", path=Path("elsewhere"))
    assert ImageSet.content_id(moved, renamed, Sampler(), (0, 1)) == ImageSet.content_id(
        BASE, SET, Sampler(), (0, 1)
    )


def test_the_signature_names_what_is_comparable() -> None:
    assert Sampler().signature == "sampler:ddim-20|cfg:3.0|seed:0"
    assert "noise:shared" in Sampler(noise="shared").signature


def test_a_compiled_image_is_another_one_and_others_keep_the_key_they_had() -> None:
    key = ImageSet.content_id(BASE, SET, Sampler(), (0, 1))
    assert key == "d32c1cbe610d15e8"
    assert ImageSet.content_id(BASE, SET, Sampler(compiled=True), (0, 1)) != key
    assert Sampler(compiled=True).signature == f"{Sampler().signature}|compiled"

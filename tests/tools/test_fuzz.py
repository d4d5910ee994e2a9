"""The fuzz: a sample of its cases ends as it should, and its judges can say no."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tools.fuzz.judging import Silent
from tools.fuzz.mutations import Mutation, damaged_bytes, damaged_lines
from tools.fuzz.running import TARGETS, fuzz
from tools.fuzz.runs import Trainings
from tools.fuzz.tables import Listings, Pairs

CASES = 12


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_no_damaged_file_ends_in_a_traceback_or_in_silence(tmp_path: Path, name: str) -> None:
    report = fuzz(tmp_path, [name], CASES, seed=2409, seconds=float("inf"))
    assert report.faults == []
    assert sum(report.counts[name].values()) == CASES


@pytest.mark.parametrize("damage", [damaged_bytes, damaged_lines])
def test_damage_is_seeded_and_is_damage(damage: Callable[[bytes, Random], Mutation]) -> None:
    data = b"one line\nanother 1.5\nthe third\n" * 20
    first = [damage(data, Random(seed)) for seed in range(200)]
    assert first == [damage(data, Random(seed)) for seed in range(200)]
    assert len({mutation.name for mutation in first}) > 5
    # Equal lines may be swapped, and a byte replaced by itself.
    assert sum(mutation.data == data for mutation in first) < 40


def test_another_content_under_the_first_ones_hash_is_noticed(tmp_path: Path) -> None:
    target = Pairs(tmp_path)
    target._hash = "0" * 64
    with pytest.raises(Silent, match="one content has two hashes"):
        target.judge()


def test_a_lost_image_is_noticed(tmp_path: Path) -> None:
    target = Listings(tmp_path)
    target.judge()
    target._values["5.png"] += 1
    with pytest.raises(Silent, match="not of the 6"):
        target.judge()


def test_another_number_of_a_run_is_noticed(tmp_path: Path) -> None:
    target = Trainings(tmp_path)
    target._numbers = {**target._numbers, "line 1": 0.5}
    with pytest.raises(Silent, match="line 1"):
        target.judge()

"""What an evaluation keeps by content: found by other processes, and hashed no more often than needed."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.core.sealed import is_whole
from benchmark.scorers.engine import cache as caches
from benchmark.scorers.engine.cache import Cache

KEY = "features:a network"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read to their ends, to see whether they are whole."""
    found: list[Path] = []

    def noted(path: Path) -> bool:
        found.append(path)
        return is_whole(path)

    monkeypatch.setattr(caches, "is_whole", noted)
    return found


def keep(folder: Path, *names: str) -> Cache:
    """Keeps a feature for each of some images, as a process that computed them."""
    kept = Cache(folder)
    kept.add(KEY, {name: np.full(4, float(len(name))) for name in names})
    kept.write()
    return kept


def test_features_of_one_checkpoint_are_found_without_hashing_those_of_all(
    tmp_path: Path, hashed: list[Path]
) -> None:
    for checkpoint in range(5):
        keep(tmp_path, *(f"{checkpoint}-{image}" for image in range(3)))
    reader = Cache(tmp_path)
    assert all(reader.find(KEY, f"2-{image}").tolist() == [3.0] * 4 for image in range(3))
    assert len(hashed) == 1


def test_what_is_added_costs_no_look_at_what_was_kept_before(tmp_path: Path, hashed: list[Path]) -> None:
    """Else a long evaluation hashes all of its files with each of its parts."""
    for checkpoint in range(5):
        keep(tmp_path, f"old-{checkpoint}")
    writer = Cache(tmp_path)
    for part in range(4):
        assert writer.find(KEY, f"new-{part}") is None
        writer.add(KEY, {f"new-{part}": np.zeros(4)})
        writer.write()
    assert hashed == []


def test_what_others_write_meanwhile_is_found_when_asked_again(tmp_path: Path, hashed: list[Path]) -> None:
    mine = keep(tmp_path, "own")
    keep(tmp_path, "another's")
    assert mine.find(KEY, "another's") is None
    mine.look_again()
    assert mine.find(KEY, "another's").tolist() == [9.0] * 4
    assert mine.find(KEY, "own").tolist() == [3.0] * 4
    # Its own file it wrote itself.
    assert len(hashed) == 1


@pytest.mark.parametrize("place", [0, 20, -100, -1])
def test_what_is_damaged_is_not_found(tmp_path: Path, place: int) -> None:
    keep(tmp_path, "own")
    (file,) = tmp_path.rglob("*.npy")
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert Cache(tmp_path).find(KEY, "own") is None
    file.write_bytes(b"")
    assert Cache(tmp_path).find(KEY, "own") is None

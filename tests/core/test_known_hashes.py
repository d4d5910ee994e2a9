"""A large file is read once, and again whenever it may be another."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.core import known_hashes
from benchmark.core.hashing import sha256_file, sha256_path
from benchmark.core.known_hashes import KEPT_FROM, known_sha256, known_sha256_files

EARLIER_S = 3600
TICK_S = 0.02
"""More than what file systems' clocks count in."""


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The files that were read, in an empty cache that is this test's alone."""
    monkeypatch.setenv("FBENCH_CACHE", str(tmp_path / "cache"))
    read: list[Path] = []

    def watched(path: Path) -> str:
        read.append(path)
        return sha256_file(path)

    monkeypatch.setattr(known_hashes, "sha256_file", watched)
    return read


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour has passed since files were written."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + EARLIER_S * 10**9)


def new_process() -> None:
    """What a process has in mind, another one does not know."""
    known_hashes._sha256.cache_clear()


def large(path: Path, letter: bytes = b"a") -> Path:
    path.write_bytes(letter * KEPT_FROM)
    return path


@pytest.mark.usefixtures("later")
def test_another_process_reads_a_large_file_no_more_and_a_small_one_again(
    tmp_path: Path, reads: list[Path]
) -> None:
    weights, config = large(tmp_path / "weights"), tmp_path / "config"
    config.write_text("{}")
    for _ in range(2):
        new_process()
        assert known_sha256(weights) == sha256_file(weights)
        assert known_sha256(config) == sha256_file(config)
    assert reads == [weights, config, config]


def rewritten(path: Path) -> None:
    large(path, b"b")


def rewritten_with_its_old_time(path: Path) -> None:
    before = path.stat()
    large(path, b"b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    large(path.with_name("new"), b"b").replace(path)


def grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"b")


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("change", [rewritten, rewritten_with_its_old_time, replaced, grown])
def test_whatever_changes_a_file_it_is_read_again(
    change: Callable[[Path], None], tmp_path: Path, reads: list[Path]
) -> None:
    weights = large(tmp_path / "weights")
    before = known_sha256(weights)
    time.sleep(TICK_S)
    change(weights)
    new_process()
    assert known_sha256(weights) == sha256_file(weights) != before
    assert len(reads) == 2


def test_a_file_of_just_now_is_not_kept_as_it_may_change_within_the_same_moment(
    tmp_path: Path, reads: list[Path]
) -> None:
    weights = large(tmp_path / "weights")
    for _ in range(2):
        new_process()
        known_sha256(weights)
    assert reads == [weights, weights]


@pytest.mark.usefixtures("later")
def test_a_file_that_changes_while_it_is_read_is_not_kept(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = large(tmp_path / "weights")

    def slow(path: Path) -> str:
        found = sha256_file(path)
        time.sleep(TICK_S)
        large(path, b"b")
        return found

    with monkeypatch.context() as during:
        during.setattr(known_hashes, "sha256_file", slow)
        known_sha256(weights)
    new_process()
    assert known_sha256(weights) == sha256_file(weights)
    assert reads == [weights]


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"path": "elsewhere"}'])
def test_a_damaged_record_counts_for_nothing(content: str, tmp_path: Path, reads: list[Path]) -> None:
    weights = large(tmp_path / "weights")
    known_sha256(weights)
    (record,) = (tmp_path / "cache" / "hashes").iterdir()
    record.write_text(content)
    new_process()
    assert known_sha256(weights) == sha256_file(weights)
    assert reads == [weights, weights]


@pytest.mark.usefixtures("later")
def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FBENCH_CACHE", str(tmp_path / "file" / "cache"))
    weights = large(tmp_path / "weights")
    for _ in range(2):
        new_process()
        assert known_sha256(weights) == sha256_file(weights)
    assert reads == [weights, weights]


@pytest.mark.usefixtures("reads")
def test_a_folder_has_the_hash_it_has_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    files = [large(folder / "unet" / "weights"), large(folder / "weights", b"b"), folder / "config"]
    files[-1].write_text("{}")
    assert known_sha256_files(folder, files) == sha256_path(folder)

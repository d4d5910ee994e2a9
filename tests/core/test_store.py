"""A file is whole or not there; what cannot be read or written is one line."""

import errno
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.core import store
from benchmark.core.errors import DiskFullError, MissingFileError, UnreadableFileError, UserError
from benchmark.core.records import ScoreRow

ROWS = [
    ScoreRow("base", "clip", "1@ab", "a", 0, 0.25),
    ScoreRow("base", "lpips", "1@cd", "a", None, 1e-300),
    ScoreRow("base", "fid", "1@ef", None, None, None, "missing", "n < 5d"),
]


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_file_leaves_the_old_one(tmp_path: Path, stop: type[BaseException]) -> None:
    path = tmp_path / "x.json"
    store.write_text(path, "old")
    with pytest.raises(stop), store.atomic_file(path) as temporary:
        temporary.write_text("half")
        raise stop
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_folder_leaves_the_old_one(tmp_path: Path, stop: type[BaseException]) -> None:
    path = tmp_path / "checkpoint"
    with store.atomic_folder(path) as temporary:
        (temporary / "weights").write_text("old")
    with pytest.raises(stop), store.atomic_folder(path) as temporary:
        (temporary / "weights").write_text("half")
        raise stop
    assert (path / "weights").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    for name in ("first", "second"):
        with store.atomic_folder(path) as temporary:
            (temporary / name).write_text(name)
    assert [p.name for p in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_keeps_the_suffix(tmp_path: Path) -> None:
    with store.atomic_file(tmp_path / "deep" / "x.png") as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"x")
    assert (tmp_path / "deep" / "x.png").read_bytes() == b"x"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, code: int) -> None:
    with (
        pytest.raises(DiskFullError, match="the disk is full: cannot write"),
        store.atomic_file(tmp_path / "x") as t,
    ):
        t.write_text("half")
        raise OSError(code, "no space")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        store.write_text(tmp_path / "file" / "x.json", "{}")


def test_room_is_checked_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    store.require_space(tmp_path / "not" / "yet", 5_000_000, "the images")
    with pytest.raises(DiskFullError, match="the images needs 6.0 GB, but 5 MB are free"):
        store.require_space(tmp_path / "not" / "yet", 6_000_000_000, "the images")


def test_score_rows_come_back_as_they_were(tmp_path: Path) -> None:
    store.write_scores(tmp_path / "scores.parquet", ROWS)
    assert store.read_scores(tmp_path / "scores.parquet") == ROWS
    assert store.read_scores(tmp_path) == ROWS


@settings(max_examples=10)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=200))
def test_numbers_come_back_to_the_bit(tmp_path_factory: pytest.TempPathFactory, values: list[float]) -> None:
    path = tmp_path_factory.mktemp("scores") / "scores.parquet"
    store.write_scores(path, [ScoreRow("base", "clip", "1", "a", k, v) for k, v in enumerate(values)])
    assert [row.value for row in store.read_scores(path)] == values


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    store.write_scores(tmp_path / "scores.parquet", [])
    assert store.read_scores(tmp_path) == []


def test_a_missing_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no parquet file at"):
        store.read_scores(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1 but not parquet PAR1", b"{}"])
def test_an_unreadable_table_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scores.parquet").write_bytes(content)
    with pytest.raises(UnreadableFileError, match="scores.parquet as parquet") as caught:
        store.read_scores(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_table_of_something_else_says_which_column_is_missing(tmp_path: Path) -> None:
    pq.write_table(pa.table({"caption": ["x"]}), tmp_path / "scores.parquet")
    with pytest.raises(UnreadableFileError, match="no column checkpoint, .*; it has caption"):
        store.read_scores(tmp_path)


def test_a_table_with_an_impossible_row_is_refused(tmp_path: Path) -> None:
    store.write_scores(tmp_path / "scores.parquet", ROWS)
    table = pq.read_table(tmp_path / "scores.parquet")
    bad = table.set_column(table.schema.get_field_index("value"), "value", [[float("nan"), 1.0, None]])
    pq.write_table(bad, tmp_path / "scores.parquet")
    with pytest.raises(UnreadableFileError, match="status ok with the value nan"):
        store.read_scores(tmp_path)


def test_json_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []
    store.write_json(tmp_path / "x.json", {"path": Path("a/b"), "row": ROWS[0]})
    assert json.loads((tmp_path / "x.json").read_text())["row"]["scorer"] == "clip"
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UnreadableFileError, match="x.json as JSON"):
        store.read_json(tmp_path / "x.json")


def test_a_pipe_is_written_to_and_a_link_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    store.write_text(tmp_path / "link", "through a link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "through a link"
    # A reader first: a pipe without one would keep its writer waiting.
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    store.write_text(tmp_path / "pipe", "through a pipe")
    assert os.read(reader, 100) == b"through a pipe"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe", "target"]

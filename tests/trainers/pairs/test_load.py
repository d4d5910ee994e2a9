"""Preference data: what is used, what is left out, and what stops a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import MissingFileError, UnknownNameError, UnreadableFileError, UserError
from trainers.pairs import load_pairs, read_images

Row = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


def test_the_higher_label_is_preferred_and_ties_are_left_out(preference_row: Row, write_rows: Write) -> None:
    rows = [
        preference_row(0, label_0=1.0, label_1=0.0),
        preference_row(1, label_0=0.0, label_1=1.0),
        preference_row(2, label_0=0.5, label_1=0.5),
        preference_row(3, label_0=0.2, label_1=0.8),
    ]
    data = load_pairs(str(write_rows("prefs.parquet", rows)), held_out=0)
    assert data.ties == 1
    assert data.train.rows == ("prefs.parquet:0", "prefs.parquet:1", "prefs.parquet:3")
    columns = [(p.preferred.column, p.rejected.column) for p in data.train.pairs]
    assert columns == [("jpg_0", "jpg_1"), ("jpg_1", "jpg_0"), ("jpg_1", "jpg_0")]
    assert [p.prompt for p in data.train.pairs] == [rows[i]["caption"] for i in (0, 1, 3)]


@pytest.mark.parametrize("group", [None, 2])
def test_references_lead_to_the_images(preference_row: Row, write_rows: Write, group: int | None) -> None:
    rows = [preference_row(i) for i in range(7)]
    data = load_pairs(str(write_rows("prefs.parquet", rows, row_group_size=group)), held_out=0)
    refs = [p.rejected for p in data.train.pairs]
    wanted = [rows[i]["jpg_1" if i % 2 == 0 else "jpg_0"] for i in range(7)]
    assert list(read_images(refs)) == wanted
    assert list(read_images(refs[::-1])) == wanted[::-1]


def test_images_may_be_cells_as_the_hub_writes_them(preference_row: Row, write_rows: Write) -> None:
    plain = preference_row(0)
    cells = plain | {k: {"bytes": plain[k], "path": None} for k in ("jpg_0", "jpg_1")}
    data = load_pairs(str(write_rows("cells.parquet", [cells])), held_out=0)
    assert list(read_images([data.train.pairs[0].preferred])) == [plain["jpg_0"]]


def test_bad_rows_are_counted_named_and_refused_when_they_are_many(
    preference_row: Row, write_rows: Write
) -> None:
    bad = [
        preference_row(1, caption="  "),
        preference_row(2, jpg_1=b"no image"),
        preference_row(3, jpg_0=None),
        preference_row(4, label_0=None),
        preference_row(5, label_1=7.0),
    ]
    path = str(write_rows("prefs.parquet", [preference_row(0), *bad, preference_row(6)]))
    data = load_pairs(path, held_out=0, max_bad_share=0.8)
    assert len(data.train) == 2
    assert [b.row for b in data.bad] == [f"prefs.parquet:{i}" for i in range(1, 6)]
    for word, row in zip(("caption", "jpg_1", "jpg_0", "labels", "labels"), data.bad, strict=True):
        assert word in row.why
    with pytest.raises(UserError, match=r"5 of 7 rows .*prefs.parquet:1 \(it has no caption\)"):
        load_pairs(path)


def test_the_hash_is_of_the_content_and_not_of_its_files(preference_row: Row, write_rows: Write) -> None:
    rows = [preference_row(i) for i in range(4)]
    whole = load_pairs(str(write_rows("a.parquet", rows)), held_out=0)
    write_rows("shards/0.parquet", rows[:3])
    shards = load_pairs(str(write_rows("shards/1.parquet", rows[3:]).parent), held_out=0)
    assert whole.sha256 == shards.sha256
    other = [*rows[:3], rows[3] | {"label_0": rows[3]["label_1"], "label_1": rows[3]["label_0"]}]
    assert load_pairs(str(write_rows("b.parquet", other)), held_out=0).sha256 != whole.sha256


def test_named_files_are_held_out_and_test_files_never_read(preference_row: Row, write_rows: Write) -> None:
    write_rows("set/train-0.parquet", [preference_row(i) for i in range(3)])
    write_rows("set/test-0.parquet", [preference_row(i) for i in range(3, 5)])
    folder = write_rows("set/heldout.parquet", [preference_row(i) for i in range(5, 9)]).parent
    data = load_pairs(str(folder), held_out=2)
    assert len(data.train) == 3
    assert data.held_out.rows == ("heldout.parquet:0", "heldout.parquet:1")


def test_without_one_a_tenth_at_most_is_set_aside_by_caption(preference_row: Row, write_rows: Write) -> None:
    rows = [preference_row(i, caption=f"prompt {i % 40}") for i in range(80)]
    path = str(write_rows("prefs.parquet", rows))
    data = load_pairs(path, held_out=64)
    assert 0 < len(data.held_out) <= 8
    assert len(data.train) + len(data.held_out) == 80
    assert not {p.prompt for p in data.train.pairs} & {p.prompt for p in data.held_out.pairs}
    assert load_pairs(path, held_out=64).held_out == data.held_out


def test_what_is_not_there_or_not_preference_data_is_said(
    tmp_path: Path, preference_row: Row, write_rows: Write
) -> None:
    write_rows("prefs.parquet", [preference_row(0)])
    with pytest.raises(MissingFileError, match=r"did you mean prefs.parquet"):
        load_pairs(str(tmp_path / "pref.parquet"))
    with pytest.raises(UnknownNameError, match="unknown preference data 'shapes-nothing'"):
        load_pairs("shapes-nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"folder of .parquet files"):
        load_pairs(str(tmp_path / "empty"))
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(UnreadableFileError, match="as parquet"):
        load_pairs(str(tmp_path / "text.parquet"))
    row = preference_row(0)
    del row["label_1"]
    with pytest.raises(UnreadableFileError, match=r"no column label_1; it has caption"):
        load_pairs(str(write_rows("short.parquet", [row])))
    with pytest.raises(UserError, match="no pair to learn from"):
        load_pairs(str(write_rows("ties.parquet", [preference_row(0, label_0=0.5, label_1=0.5)])))


@pytest.mark.parametrize("style", ["van_gogh", "sketch", "winter"])
def test_the_style_files_of_the_embedded_world_have_names(style: str) -> None:
    data = load_pairs(f"shapes-style-{style}")
    assert len(data.train) + len(data.held_out) == 300
    assert len(data.held_out) == 30
    assert not data.bad
    assert load_pairs(f"shapes_style_{style.replace('_', '-')}").sha256 == data.sha256

"""Preference data as other tools keep it: read to the same pairs, or refused by name with the remedy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.core.errors import UserError
from trainers.pairs import load_pairs, read_images

Row = Callable[..., dict[str, Any]]
CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def table(path: Path, rows: list[dict[str, Any]], image: pa.DataType) -> Path:
    text, number = pa.string(), pa.float64()
    schema = pa.schema(
        [("caption", text), ("jpg_0", image), ("jpg_1", image), ("label_0", number), ("label_1", number)]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


@pytest.mark.parametrize("cell", ["embedded", "embedded and named", "path", "absolute path", "text"])
def test_every_cell_of_an_image_gives_the_same_pairs(cell: str, preference_row: Row, tmp_path: Path) -> None:
    rows = [preference_row(i) for i in range(6)]
    plain = load_pairs(str(table(tmp_path / "plain.parquet", rows, pa.binary())), held_out=0)
    (tmp_path / "images").mkdir()
    changed = [dict(row) for row in rows]
    for i, row in enumerate(changed):
        for column in ("jpg_0", "jpg_1"):
            name, data = f"images/{i}-{column}.jpg", row[column]
            (tmp_path / name).write_bytes(data)
            row[column] = {
                "embedded": {"bytes": data, "path": None},
                "embedded and named": {"bytes": data, "path": "of another machine.jpg"},
                "path": {"bytes": None, "path": name},
                "absolute path": {"bytes": None, "path": str(tmp_path / name)},
                "text": name,
            }[cell]
    file = table(tmp_path / "changed.parquet", changed, pa.string() if cell == "text" else CELL)
    found = load_pairs(str(file), held_out=0)
    assert found.sha256 == plain.sha256
    assert not found.bad
    both = [
        [ref for pair in data.train.pairs for ref in (pair.preferred, pair.rejected)]
        for data in (plain, found)
    ]
    assert list(read_images(both[1])) == list(read_images(both[0]))


def test_a_path_to_nothing_is_a_bad_row_and_one_that_went_is_a_line(
    preference_row: Row, tmp_path: Path
) -> None:
    rows = [preference_row(i) for i in range(3)]
    (tmp_path / "a.jpg").write_bytes(rows[0]["jpg_0"])
    rows[0]["jpg_0"] = {"bytes": None, "path": "a.jpg"}
    rows[1]["jpg_0"] = {"bytes": None, "path": "https://example.org/a.jpg"}
    rows[2]["jpg_0"] = {"bytes": None, "path": None}
    for row in rows:
        row["jpg_1"] = {"bytes": row["jpg_1"], "path": None}
    data = load_pairs(str(table(tmp_path / "p.parquet", rows, CELL)), held_out=0, max_bad_share=1)
    assert [bad.row for bad in data.bad] == ["p.parquet:1", "p.parquet:2"]
    assert "cannot read a.jpg: No such file" in data.bad[0].why
    assert data.bad[1].why == "jpg_0 is empty"
    (tmp_path / "a.jpg").unlink()
    pair = data.train.pairs[0]
    with pytest.raises(UserError, match=r"row 0: cannot read a\.jpg"):
        list(read_images([pair.preferred, pair.rejected]))


def _listed(
    tmp_path: Path, jpeg: Any, name: str, entries: list[dict[str, Any]], below: str = "images"
) -> Path:
    (tmp_path / below).mkdir(parents=True, exist_ok=True)
    for i in range(4):
        (tmp_path / below / f"{i}.jpg").write_bytes(jpeg(i))
    path = tmp_path / name
    lines = "".join(json.dumps(entry) + "\n" for entry in entries)
    path.write_text(json.dumps(entries) if path.suffix == ".json" else lines)
    return path


OURS = [{"prompt": "a", "preferred": "images/1.jpg", "rejected": "images/0.jpg"},
        {"prompt": "b", "preferred": "images/2.jpg", "rejected": "images/3.jpg"}]  # fmt: skip
HPD_V2 = [{"prompt": "a", "file_path": ["0.jpg", "1.jpg"], "human_preference": [0, 1]},
          {"prompt": "b", "file_path": ["2.jpg", "3.jpg"], "human_preference": [1, 0]}]  # fmt: skip
HPD_V3 = [{"prompt": "a", "path1": "images/1.jpg", "path2": "images/0.jpg", "choice_dist": [3, 1]},
          {"prompt": "b", "path1": "images/2.jpg", "path2": "images/3.jpg", "confidence": 0.9}]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "entries", "below"),
    [
        ("mine.json", OURS, "images"), ("train.json", HPD_V2, "train"), ("train.json", HPD_V3, "images"),
        ("train.jsonl", HPD_V3, "images"),
    ],
)  # fmt: skip
def test_lists_of_pairs_give_the_pairs_of_a_listing(
    name: str, entries: list[dict[str, Any]], below: str, tmp_path: Path, jpeg: Any
) -> None:
    expected = load_pairs(str(_listed(tmp_path / "ours", jpeg, "pairs.jsonl", OURS)), held_out=0)
    found = load_pairs(str(_listed(tmp_path / "theirs", jpeg, name, entries, below)), held_out=0)
    assert found.sha256 == expected.sha256
    if name == "train.json":
        assert load_pairs(str(tmp_path / "theirs"), held_out=0).sha256 == expected.sha256


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (
            {"prompt": "a", "image_path": ["0.jpg", "1.jpg"], "rank": [2, 1], "raw_annotations": []},
            "HPD v2's rankings",
        ),
        (
            {"image_path": "0.jpg", "prompt_id": "x", "prompt": "a", "rank": 1},
            "ImageRewardDB's ranked images",
        ),
        ({"prompt": "a", "generations": ["0.jpg"], "ranking": [1]}, "ImageReward's rankings"),
    ],
)
@pytest.mark.parametrize("name", ["test.json", "x.json", "x.jsonl"])
def test_rankings_are_refused_by_name(
    entry: dict[str, Any], what: str, name: str, tmp_path: Path, jpeg: Any
) -> None:
    path = _listed(tmp_path, jpeg, name, [entry])
    with pytest.raises(UserError, match=rf"holds {what}.*JSONL of {{prompt, preferred, rejected}}"):
        load_pairs(str(path))


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        (("image", "prompt_id", "prompt", "rank", "overall_rating"), "ImageRewardDB's ranked images"),
        (("prompt", "img_better", "img_worse"), "ImageRewardDB's pairs"),
        (("caption", "image_0_uid", "image_0_url", "label_0", "label_1"), "Pick-a-Pic without images"),
        (("prompt", "path1", "path2"), "HPD v3's list"),
    ],
)
def test_parquet_of_other_layouts_is_refused_by_name(
    columns: tuple[str, ...], what: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table({name: ["x"] for name in columns}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=f"holds {what}"):
        load_pairs(str(tmp_path / "x.parquet"))


def test_a_key_twice_and_a_broken_entry_are_bad_rows(tmp_path: Path, jpeg: Any) -> None:
    path = _listed(tmp_path, jpeg, "pairs.jsonl", OURS)
    twice = '{"prompt": "a", "prompt": "b", "preferred": "images/1.jpg", "rejected": "images/0.jpg"}'
    path.write_text("\ufeff" + path.read_text() + twice + "\n[]\n")
    data = load_pairs(str(path), held_out=0, max_bad_share=1)
    assert len(data.train) == 2
    assert [bad.why for bad in data.bad] == ["the key 'prompt' stands twice", "it is no JSON object"]


def test_files_of_a_folder_that_are_not_read_are_counted(
    preference_row: Row, write_rows: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows("set/train-0.parquet", [preference_row(0)])
    write_rows("elsewhere/train-1.PARQUET", [preference_row(1)])
    write_rows("set/test-0.parquet", [preference_row(2)])
    (tmp_path / "set" / "more").symlink_to("../elsewhere", target_is_directory=True)
    (tmp_path / "set" / "._train-0.parquet").write_bytes(b"x")
    (tmp_path / "set" / "pairs.jsonl").write_text("{}")
    data = load_pairs(str(tmp_path / "set"), held_out=0)
    assert data.train.rows == ("more/train-1.PARQUET:0", "train-0.parquet:0")
    assert "2 files are not read: pairs.jsonl, test-0.parquet" in capsys.readouterr().err


def test_data_of_no_known_format_says_which_there_are(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("prompt,preferred,rejected\n")
    with pytest.raises(
        UserError, match=r"cannot tell the format of .*pairs\.csv; allowed: .*\.parquet, \.jsonl or \.json"
    ):
        load_pairs(str(tmp_path / "pairs.csv"))

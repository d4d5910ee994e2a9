"""Where preference data comes from: listings, folders, the hub; and what a limit and ties mean."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import MissingFileError, UnknownNameError, UserError
from trainers.pairs import load_pairs, read_images, write_bad_rows
from trainers.pairs.hub import HubClient, HubName, Listing
from trainers.pairs.records import BadRow

Row = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
Text = Callable[[str, str], Path]


class FolderHub:
    """A repository in a local folder, in place of the hub; remembers what was fetched."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.fetched: list[str] = []

    def listing(self, name: HubName) -> Listing:
        files = (f.relative_to(self._folder).as_posix() for f in self._folder.rglob("*") if f.is_file())
        return Listing("0123abc", tuple(files))

    def fetch(self, name: HubName, revision: str, file: str) -> Path:
        assert revision == "0123abc"
        self.fetched.append(file)
        return self._folder / file


@pytest.fixture
def hub(preference_row: Row, write_rows: Write, tmp_path: Path) -> FolderHub:
    """Pick-a-Pic's layout: 3 shards of 4 pairs, and two splits each to watch and to test."""
    for k in range(3):
        rows = [preference_row(4 * k + i) for i in range(4)]
        write_rows(f"repo/data/train-0000{k}-of-00003-1a2b.parquet", rows)
    for k, split in enumerate(("validation", "validation_unique", "test", "test_unique")):
        rows = [preference_row(100 + 10 * k + i, caption=f"{split} {i}") for i in range(4)]
        write_rows(f"repo/data/{split}-00000-of-00001.parquet", rows)
    (tmp_path / "repo/README.md").write_text("a data set")
    return FolderHub(tmp_path / "repo")


# --- listings ---------------------------------------------------------------------------------


@pytest.fixture
def listing(write: Text, jpeg: Any, tmp_path: Path) -> Callable[..., Path]:
    """Writes a listing of pairs with their images beside it."""

    def make(lines: list[object], name: str = "set/pairs.jsonl") -> Path:
        path = write(name, "".join(f"{x if isinstance(x, str) else json.dumps(x)}\n" for x in lines))
        (path.parent / "images").mkdir(exist_ok=True)
        for i in range(6):
            (path.parent / f"images/{i}.jpg").write_bytes(jpeg(i))
        return path

    return make


def _line(i: int, **changes: Any) -> dict[str, Any]:
    return {
        "prompt": f"star {i}",
        "preferred": f"images/{i}.jpg",
        "rejected": f"images/{i + 1}.jpg",
    } | changes


def test_a_listing_names_images_relative_to_itself(listing: Callable[..., Path], jpeg: Any) -> None:
    path = listing([_line(0), _line(2, weight=0.25), _line(4)])
    data = load_pairs(str(path), held_out=0)
    assert [p.prompt for p in data.train.pairs] == ["star 0", "star 2", "star 4"]
    assert [p.weight for p in data.train.pairs] == [1.0, 0.25, 1.0]
    assert data.train.rows == ("pairs.jsonl:1", "pairs.jsonl:2", "pairs.jsonl:3")
    assert list(read_images([p.rejected for p in data.train.pairs])) == [jpeg(1), jpeg(3), jpeg(5)]
    assert load_pairs(str(path.parent), held_out=0).sha256 == data.sha256


@pytest.mark.parametrize("name", ["metadata.jsonl", "pairs.jsonl"])
def test_a_folder_has_its_listing_and_one_of_held_out_pairs(listing: Callable[..., Path], name: str) -> None:
    folder = listing([_line(0), _line(2)], f"set/{name}").parent
    listing([_line(4, prompt="a moon")], "set/heldout.jsonl")
    listing([_line(1)], "set/test.jsonl")
    data = load_pairs(str(folder))
    assert data.train.rows == (f"{name}:1", f"{name}:2")
    assert data.held_out.rows == ("heldout.jsonl:1",)


def test_a_weight_is_part_of_the_datas_hash(listing: Callable[..., Path]) -> None:
    hashes = {
        load_pairs(str(listing([_line(0), _line(2, **extra)])), held_out=0).sha256
        for extra in ({}, {"weight": 1}, {"weight": 0.5})
    }
    assert len(hashes) == 2


def test_bad_lines_are_named_with_what_is_wrong(listing: Callable[..., Path]) -> None:
    bad: list[tuple[object, str]] = [
        ("{oh", "no JSON"),
        ("[" * 100_000, "no JSON"),
        (["list"], "no JSON object"),
        ({"prompt": "x"}, "no preferred, rejected"),
        (_line(0, prompt=""), "no caption"),
        (_line(0, prompt=7), "caption is 7, not text"),
        (_line(0, preferred=None), "not both the path"),
        (_line(0, preferred="images/none.jpg"), "cannot read none.jpg: No such file"),
        (_line(0, rejected="images"), "cannot read images: Is a directory"),
        (_line(0, rejected="pairs.jsonl"), "pairs.jsonl is no image"),
        (_line(0, weight=-1), "weight is -1, not finite"),
        (_line(0, weight="much"), "weight is 'much', not a number"),
    ]
    path = listing([_line(0), *(line for line, _ in bad)])
    path.write_bytes(path.read_bytes() + b'{"prompt": "\xff"}\n')
    data = load_pairs(str(path), held_out=0, max_bad_share=1)
    assert len(data.train) == 1
    assert [b.row for b in data.bad] == [f"pairs.jsonl:{i}" for i in range(2, len(bad) + 3)]
    for row, (_, why) in zip(data.bad, bad, strict=False):
        assert why in row.why
    assert data.read == len(bad) + 2


# --- ties and limits --------------------------------------------------------------------------


def test_a_tie_may_be_learned_from_in_both_orders(preference_row: Row, write_rows: Write) -> None:
    tie = {"label_0": 0.5, "label_1": 0.5}
    path = str(write_rows("prefs.parquet", [preference_row(0), preference_row(1, **tie), preference_row(2)]))
    dropped, halved = (load_pairs(path, held_out=0, ties=ties) for ties in ("drop", "half"))
    assert dropped.ties == halved.ties == 1
    assert [p.weight for p in halved.train.pairs] == [1.0, 0.5, 0.5, 1.0]
    both = halved.train.pairs[1:3]
    assert (both[0].preferred, both[0].rejected) == (both[1].rejected, both[1].preferred)
    assert halved.train.digests[1] == halved.train.digests[2][::-1]
    assert halved.train.rows == tuple(f"prefs.parquet:{i}" for i in (0, 1, 1, 2))
    assert halved.sha256 != dropped.sha256
    assert dropped.train == halved.train.select([0, 3])


def test_ties_are_never_held_out(preference_row: Row, write_rows: Write) -> None:
    rows = [preference_row(i, caption=f"star {i}", label_0=0.5, label_1=0.5) for i in range(30)]
    rows += [preference_row(i, caption=f"star {i}") for i in range(30, 60)]
    data = load_pairs(str(write_rows("prefs.parquet", rows)), ties="half", held_out=64)
    assert 0 < len(data.held_out) < 9
    assert {p.weight for p in data.held_out.pairs} == {1.0}
    assert not {p.prompt for p in data.held_out.pairs} & {p.prompt for p in data.train.pairs}


def test_a_limit_takes_the_first_pairs(preference_row: Row, write_rows: Write) -> None:
    path = str(write_rows("prefs.parquet", [preference_row(i) for i in range(9)]))
    whole, part = load_pairs(path, held_out=0), load_pairs(path, held_out=0, limit=4)
    assert part.train == whole.train.select(range(4))
    assert part.read == 4


# --- bad rows ---------------------------------------------------------------------------------


def test_bad_rows_are_listed_in_the_run(preference_row: Row, write_rows: Write, tmp_path: Path) -> None:
    rows = [preference_row(0), preference_row(1, caption=None), preference_row(2, label_0=None)]
    path, run = str(write_rows("prefs.parquet", rows)), tmp_path / "run"
    with pytest.raises(UserError, match=r"2 of 3 rows .*listed in .*run/bad_rows.jsonl"):
        load_pairs(path, runs=[run])
    lines = [json.loads(line) for line in (run / "bad_rows.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == ["prefs.parquet:1", "prefs.parquet:2"]
    assert lines[0]["why"] == "it has no caption"
    write_bad_rows(run, [])
    assert list(run.iterdir()) == []
    write_bad_rows(run, [BadRow("a:1", "why")])
    assert (run / "bad_rows.jsonl").read_text() == '{"row": "a:1", "why": "why"}\n'


def test_bombs_truncated_files_and_wrong_types_are_bad(
    preference_row: Row, write_rows: Write, jpeg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        preference_row(0),
        preference_row(1, jpg_0=jpeg(2)[:10]),
        preference_row(2, label_0=float("nan")),
        preference_row(3, jpg_1=jpeg(3, (600, 600))),
    ]
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 100_000)
    data = load_pairs(str(write_rows("prefs.parquet", rows)), held_out=0, max_bad_share=1)
    assert [b.row for b in data.bad] == [f"prefs.parquet:{i}" for i in (1, 2, 3)]
    assert "bomb" in data.bad[2].why
    numbers = [{"caption": "x", "jpg_0": 1, "jpg_1": 2, "label_0": 1.0, "label_1": 0.0}]
    path = str(write_rows("numbers.parquet", numbers))
    with pytest.raises(UserError, match="an image is int, not bytes or a path"):
        load_pairs(path)


def test_text_that_is_not_utf8_spoils_its_row_alone(
    preference_row: Row, write_rows: Write, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([preference_row(i) for i in range(3)])
    broken = pa.array([b"a star", b"\xff\xfe", b"a ring"], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(0, "caption", broken), tmp_path / "prefs.parquet")
    data = load_pairs(str(tmp_path / "prefs.parquet"), held_out=0, max_bad_share=0.5)
    assert [b.row for b in data.bad] == ["prefs.parquet:1"]
    assert [p.prompt for p in data.train.pairs] == ["a star", "a ring"]


# --- the hub ----------------------------------------------------------------------------------


def test_of_the_hub_train_is_learned_from_and_validation_watched(hub: FolderHub) -> None:
    data = load_pairs("owner/name", hub=hub, held_out=6)
    assert len(data.train) == 12
    assert [p.prompt for p in data.held_out.pairs] == [
        *(f"validation {i}" for i in range(4)),
        *(f"validation_unique {i}" for i in range(2)),
    ]
    assert data.train.rows[4] == "data/train-00001-of-00003-1a2b.parquet:0"
    assert not any("test" in file for file in hub.fetched)


def test_a_limit_fetches_only_the_shards_it_needs(hub: FolderHub) -> None:
    data = load_pairs("owner/name", hub=hub, limit=6, held_out=3)
    assert len(data.train) == 6
    assert [file.split("/")[1][:11] for file in hub.fetched] == ["train-00000", "train-00001", "validation-"]


def test_a_split_is_that_split_alone(hub: FolderHub) -> None:
    data = load_pairs("owner/name@main:test_unique", hub=hub, held_out=0)
    assert [p.prompt for p in data.train.pairs] == [f"test_unique {i}" for i in range(4)]
    assert len(load_pairs("owner/name:train", hub=hub).held_out) == 8
    with pytest.raises(
        UnknownNameError, match=r"unknown split of owner/name 'vaildation'.*did you mean valid"
    ):
        load_pairs("owner/name:vaildation", hub=hub)


def test_a_path_that_is_there_comes_before_the_hub(
    hub: FolderHub, preference_row: Row, write_rows: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows("owner/name/prefs.parquet", [preference_row(0)])
    monkeypatch.chdir(tmp_path)
    assert len(load_pairs("owner/name", hub=hub, held_out=0).train) == 1
    assert not hub.fetched
    with pytest.raises(MissingFileError):
        load_pairs("owner/nam.parquet", hub=hub)


def test_offline_only_the_cache_is_read_and_what_it_lacks_is_refused(
    hub: FolderHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, commit = tmp_path / "hub", "0" * 40
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("FBENCH_CACHE", str(tmp_path / "ours"))
    with pytest.raises(
        UserError, match=r"owner/name is not in .*hub, and --offline.*`hf download owner/name"
    ):
        load_pairs("owner/name", offline=True)
    # The cache as the hub's own tools leave it.
    snapshot = cache / "datasets--owner--name" / "snapshots" / commit
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(tmp_path / "repo")
    (cache / "datasets--owner--name" / "refs").mkdir()
    (cache / "datasets--owner--name" / "refs" / "main").write_text(commit)
    data = load_pairs("owner/name", offline=True, held_out=2)
    assert len(data.train) == 12
    # A listing that was kept tells that a shard is missing.
    client = HubClient(offline=True)
    kept = tmp_path / "ours/hub/owner--name@newest.json"
    kept.parent.mkdir(parents=True)
    files = [*client.listing(HubName("owner/name")).files, "data/train-00003-of-00004.parquet"]
    kept.write_text(json.dumps({"revision": commit, "files": files}))
    with pytest.raises(UserError, match=r"train-00003-of-00004.parquet of owner/name is not in"):
        load_pairs("owner/name", offline=True)
    assert len(load_pairs("owner/name", offline=True, limit=5, held_out=0).train) == 5

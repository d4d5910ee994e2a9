"""Images as other benchmarks leave them: the layout is known by its looks, and every prompt has its row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.records import ImageSet
from benchmark.evaluate.external_images import read_images
from benchmark.evaluate.layouts import HPS_STYLES, find_rows
from benchmark.leaderboard import read_score_table

Saved = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path, bad_files: Any) -> Saved:
    """Writes a small picture below the test's folder."""

    def save(name: str, kind: str = "PNG") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bad_files.encoded(bad_files.picture(), kind))
        return path

    return save


@pytest.fixture
def hps(tmp_path: Path, save: Saved) -> Path:
    """Two styles of three prompts, one image of them missing; texts in ``texts/<style>.json``."""
    (tmp_path / "texts").mkdir()
    for style in HPS_STYLES:
        texts = [f"{style} {i}" for i in range(3)]
        (tmp_path / "texts" / f"{style}.json").write_text(json.dumps(texts))
    for name in ("anime/00000.jpg", "anime/00001.jpg", "photo/00000.jpg", "photo/2.png"):
        save(f"mine/{name}", "JPEG" if name.endswith("jpg") else "PNG")
    save("mine/anime/00002.jpg", "JPEG")
    return tmp_path / "mine"


@pytest.fixture
def geneval(tmp_path: Path, save: Saved) -> Path:
    """Two prompts of two samples, and one whose samples were never made."""
    for i, (tag, text) in enumerate([("counting", "two cats"), ("colors", "a red bus"), ("colors", "a cup")]):
        folder = tmp_path / "mine" / f"{i:05d}"
        (folder / "samples").mkdir(parents=True)
        (folder / "metadata.jsonl").write_text(json.dumps({"tag": tag, "include": [], "prompt": text}))
        (folder / "grid.png").write_bytes(b"")
        for k in range(2 if i < 2 else 0):
            save(f"mine/{i:05d}/samples/{k:04d}.png")
    return tmp_path / "mine"


def test_hps_folders_are_known_and_a_prompt_without_an_image_is_a_missing_record(hps: Path) -> None:
    images = read_images(hps, prompts=hps.parent / "texts")
    assert [p.id for p in images.prompt_set] == [f"{s}-{i:05d}" for s in ("anime", "photo") for i in range(3)]
    assert [p.text for p in images.prompt_set][3:] == ["photo 0", "photo 1", "photo 2"]
    assert {p.tags for p in images.prompt_set} == {("anime",), ("photo",)}
    assert [r.status for r in images] == ["ok"] * 4 + ["missing", "ok"]
    assert images.records[5].path.name == "2.png"
    assert "photo/00001.jpg" in images.records[4].note


def test_hps_texts_may_be_one_file_or_lie_beside_the_images(hps: Path) -> None:
    expected = read_images(hps, prompts=hps.parent / "texts")
    texts = {s: json.loads((hps.parent / "texts" / f"{s}.json").read_text()) for s in HPS_STYLES}
    (hps.parent / "all.json").write_text(json.dumps(texts))
    assert read_images(hps, prompts=hps.parent / "all.json").records == expected.records
    for style in HPS_STYLES:
        (hps / f"{style}.json").write_text(json.dumps(texts[style]))
    assert read_images(hps).prompt_set.prompts == expected.prompt_set.prompts


def test_geneval_folders_are_known(geneval: Path) -> None:
    images = read_images(geneval)
    assert images.seeds == (0, 1)
    assert [p.text for p in images.prompt_set] == ["two cats", "a red bus", "a cup"]
    assert [p.tags for p in images.prompt_set] == [("counting",), ("colors",), ("colors",)]
    assert [r.status for r in images] == ["ok"] * 4 + ["missing"] * 2
    assert [r.path.name for r in images.ok] == ["0000.png", "0001.png"] * 2


@pytest.mark.parametrize("layout", ["hps", "geneval"])
def test_scored_from_the_command_line_with_exit_code_four_for_what_is_missing(
    layout: str, world: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    from benchmark.cli.app import app

    folder: Path = request.getfixturevalue(layout)
    words = [
        "score",
        str(folder),
        "--scorers",
        "hps,lpips",
        "--weights",
        "embedded",
        "--out",
        str(tmp_path / "o"),
    ]
    words += ["--prompts", str(tmp_path / "texts")] if layout == "hps" else []
    assert CliRunner().invoke(app, words).exit_code == 4
    rows = read_score_table(tmp_path / "o").rows
    images = rows[rows["scorer"] == "hps"]
    assert (images["status"] == "ok").sum() == (5 if layout == "hps" else 4)
    assert set(images[images["status"] != "ok"]["status"]) == {"missing"}
    # One image a prompt has no diversity, and two have one.
    assert (rows[rows["scorer"] == "lpips"]["status"] == "ok").sum() == (0 if layout == "hps" else 2)


def test_what_looks_like_two_layouts_must_be_said(hps: Path, save: Saved) -> None:
    save("mine/cover.png").with_suffix(".txt").write_text("a cover")
    with pytest.raises(UserError, match="could be folder or hps; .*--layout"):
        read_images(hps, prompts=hps.parent / "texts")
    assert len(read_images(hps, "hps", hps.parent / "texts")) == 6
    assert [p.text for p in read_images(hps, "folder").prompt_set] == ["a cover"]


def test_all_layouts_refuse_what_they_are_not(hps: Path, tmp_path: Path, save: Saved) -> None:
    texts = hps.parent / "texts"
    (tmp_path / "empty").mkdir()
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "prompt": "x", "image_path": "a.png"}\n')
    (tmp_path / "list.json").write_text('["x"]')
    (tmp_path / "object.json").write_text('{"anime": "x"}')
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"path": tmp_path / "empty"}, "no images that have texts; allowed: jsonl: .*geneval: "),
        ({"path": hps, "layout": "jsonl"}, "is no jsonl layout"),
        ({"path": tmp_path / "rows.jsonl", "layout": "geneval"}, "is no geneval layout"),
        ({"path": tmp_path / "rows.jsonl", "prompts": texts}, "--prompts is for the layout hps"),
        ({"path": hps}, "no texts for the images of anime: no file at .*--prompts names"),
        ({"path": hps, "prompts": tmp_path / "list.json"}, "of the style it is named after"),
        ({"path": hps, "prompts": tmp_path / "object.json"}, "neither a list of texts nor"),
    ]
    for given, message in wrong:
        with pytest.raises(UserError, match=message):
            find_rows(**given)
    save("mine/anime/00003.jpg", "JPEG")
    with pytest.raises(UserError, match=r"00003.jpg has no prompt: anime has 3"):
        read_images(hps, prompts=texts)


def test_geneval_without_its_texts_is_one_line(geneval: Path) -> None:
    file = geneval / "00001" / "metadata.jsonl"
    file.write_text('{"tag": "x"}')
    with pytest.raises(UnreadableFileError, match="geneval's"):
        read_images(geneval)
    file.unlink()
    with pytest.raises(MissingFileError, match="no texts of geneval at .*00001"):
        read_images(geneval)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (
            '{"id": "a", "prompt": "caf\xe9", "image_path": "a.png"}'.encode("latin-1"),
            "utf-8.*save it as UTF-8",
        ),
        (b'{"id": "a", "prompt": " ", "image_path": "a.png"}', "prompt 'a' has no text"),
        (b'{"id": "a", "prompt": null, "image_path": "a.png"}', "that is no text"),
        (b'{"id": "a", "prompt": "\\ud83d", "image_path": "a.png"}', "surrogates not allowed"),
        (b'{"id": "a", "prompt": "x", "image_path": "a.png"}\n{"id"', "line 2: "),
        (b'["a"]', "line 1 is not an object"),
    ],
    ids=["latin-1", "no text", "null", "half an emoji", "cut", "a list"],
)
def test_a_bad_text_is_one_line_before_anything_is_scored(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "mine.jsonl").write_bytes(data)
    with pytest.raises(UnreadableFileError, match=f"mine.jsonl.*{why}"):
        read_images(tmp_path / "mine.jsonl")


@pytest.mark.parametrize(("data", "why"), [(b"caf\xe9", "save it as UTF-8"), (b" \n", "it is empty")])
def test_a_bad_text_beside_an_image_is_one_line(tmp_path: Path, save: Saved, data: bytes, why: str) -> None:
    save("mine/a.png").with_suffix(".txt").write_bytes(data)
    with pytest.raises(UnreadableFileError, match=f"a.txt.*{why}"):
        read_images(tmp_path / "mine")


def test_an_image_that_counts_twice_for_a_prompt_is_told(tmp_path: Path, save: Saved) -> None:
    save("a.png")
    rows = [{"prompt": prompt, "image_path": "a.png"} for prompt in "xyx"]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told: list[str] = []
    assert len(read_images(tmp_path / "mine.jsonl", tell=told.append)) == 3
    assert "1 image stands more than once under one prompt, and count so often: a.png" in told


def test_a_path_too_long_for_a_file_is_a_record(tmp_path: Path, save: Saved) -> None:
    save("a.png")
    rows = [{"prompt": "x", "image_path": name} for name in ("a.png", "b" * 5000)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    good, bad = read_images(tmp_path / "mine.jsonl")
    assert (good.status, bad.status) == ("ok", "error")
    assert "File name too long" in bad.note


def test_whatever_is_behind_a_path_is_a_record(tmp_path: Path, save: Saved) -> None:
    (tmp_path / "folder.png").mkdir()
    rows = [
        {"id": str(i), "prompt": "x", "image_path": name} for i, name in enumerate(["folder.png", "none.png"])
    ]
    save("is.png")
    rows.append({"id": "2", "prompt": "x", "image_path": "is.png"})
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    images: ImageSet = read_images(tmp_path / "mine.jsonl")
    assert [r.status for r in images] == ["missing", "missing", "ok"]

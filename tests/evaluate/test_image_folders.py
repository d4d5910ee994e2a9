"""Nothing in an image folder vanishes: it is scored, it is a row with a reason, or it is counted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.core.errors import UserError
from benchmark.core.image_files import find_images
from benchmark.evaluate.external_images import read_images
from benchmark.evaluate.layouts import find_rows

Fill = Callable[..., Path]


@pytest.fixture(scope="module")
def png(bad_files: Any) -> bytes:
    return bytes(bad_files.encoded(bad_files.picture(), "PNG"))


@pytest.fixture
def fill(tmp_path: Path, png: bytes) -> Fill:
    """Files of a folder: an image for each name, or the text that is given."""

    def fill(*names: str, **texts: str) -> Path:
        for name in names:
            path = tmp_path / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png)
        for name, text in texts.items():
            (tmp_path / "mine" / name.replace("__", "/").replace("_dot_", ".")).write_text(text)
        return tmp_path / "mine"

    return fill


def told(folder: Path, **given: Any) -> tuple[list[str], str]:
    """The image paths of the rows, and what is told beside them."""
    lines: list[str] = []
    rows = find_rows(folder, tell=lines.append, **given)
    return [str(row["image_path"]) for row in rows], "; ".join(line for line in lines if line)


def test_metadata_decides_and_the_other_files_are_counted(fill: Fill) -> None:
    rows = [{"file_name": name, "text": "a cat"} for name in ("a.png", "sub/b.jfif", "gone.png")]
    folder = fill(
        "a.png", "sub/b.jfif", "c.avif", "sub/d.PNG", "._a.png", ".ipynb_checkpoints/a-checkpoint.png"
    )
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "notes.md").write_text("x")
    paths, lines = told(folder)
    assert paths == ["a.png", "sub/b.jfif", "gone.png"]
    assert lines == (
        "2 images have no prompt: c.avif, sub/d.PNG; 1 file is no image: notes.md; "
        "2 files are hidden: ._a.png, .ipynb_checkpoints/a-checkpoint.png"
    )
    assert [record.status for record in read_images(folder)] == ["ok", "ok", "missing"]


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
def test_metadata_may_be_a_table_and_may_lie_below(fill: Fill, name: str) -> None:
    folder = fill("train/a.png", "train/b.png")
    text = 'file_name,text\na.png,"a cat, asleep"\nb.png,a dog\n'
    if name.endswith("jsonl"):
        text = '{"file_name": "a.png", "text": "a cat, asleep"}\n{"file_name": "b.png", "text": "a dog"}\n'
    (folder / "train" / name).write_text(text)
    images = read_images(folder)
    assert [p.text for p in images.prompt_set] == ["a cat, asleep", "a dog"]
    assert [r.path.relative_to(folder).as_posix() for r in images.ok] == ["train/a.png", "train/b.png"]
    other = {"metadata.csv": "metadata.jsonl", "metadata.jsonl": "metadata.csv"}[name]
    (folder / "train" / other).write_text(text)
    with pytest.raises(UserError, match=r"has both metadata\.jsonl and metadata\.csv"):
        read_images(folder)


def test_texts_beside_images_are_found_at_any_depth_and_in_any_case(fill: Fill) -> None:
    folder = fill("a.png", "sub/b.PNG", "sub/c.png", a_dot_txt="a cat", lone_dot_txt="nobody's")
    (folder / "sub" / "b.TXT").write_text("a dog")
    paths, lines = told(folder)
    assert paths == ["a.png", "sub/b.PNG"]
    assert lines == "1 image has no prompt: sub/c.png; 1 text has no image: lone.txt"


def test_linked_folders_are_scored_and_cycles_end(fill: Fill, tmp_path: Path, png: bytes) -> None:
    folder = fill("a.png", a_dot_txt="a cat")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.png").write_bytes(png)
    (tmp_path / "elsewhere" / "b.txt").write_text("a dog")
    (folder / "more").symlink_to("../elsewhere", target_is_directory=True)
    (folder / "round").symlink_to(".", target_is_directory=True)
    assert told(folder) == (["a.png", "more/b.png"], "1 linked folder is there already: round")


@pytest.mark.parametrize("pair", [("1.png", "1.jpg"), ("1.png", "01.png"), ("00001.webp", "1.PNG")])
def test_two_images_of_one_number_are_refused_by_name(
    fill: Fill, tmp_path: Path, pair: tuple[str, str]
) -> None:
    folder = fill(*(f"photo/{name}" for name in pair))
    (tmp_path / "photo.json").write_text(json.dumps(["a", "b"]))
    with pytest.raises(
        UserError,
        match=f"two images of number 1: {pair[0]} and {pair[1]}|two images of number 1: "
        f"{pair[1]} and {pair[0]}",
    ):
        find_rows(folder, prompts=tmp_path)
    other = fill(*(f"../geneval/00000/samples/{name}" for name in pair)).parent / "geneval"
    (other / "00000" / "metadata.jsonl").write_text('{"tag": "t", "include": [], "prompt": "a"}')
    with pytest.raises(UserError, match="two images of number 1"):
        find_rows(other)


def test_what_no_index_or_style_claims_is_counted(fill: Fill, tmp_path: Path) -> None:
    folder = fill(
        "photo/00000.png", "photo/best.png", "photo/old/00001.png", "concept_art/00000.png", "cover.gif"
    )
    (folder / "photo.json").write_text(json.dumps(["a", "b"]))
    (folder / "photo" / "log.txt").write_text("x")
    paths, lines = told(folder, layout="hps")
    assert paths == ["photo/00000.png", "photo/00001.jpg"]
    assert lines == (
        "4 images have no prompt: concept_art/00000.png, cover.gif, photo/best.png ...; "
        "1 file is no image: photo/log.txt"
    )
    other = fill(
        "../g/00000/samples/0000.png",
        "../g/00000/samples/grid.png",
        "../g/00000/grid.png",
        "../g/extra/1.png",
    )
    other = other.parent / "g"
    (other / "00000" / "metadata.jsonl").write_text('{"tag": "t", "include": [], "prompt": "a"}')
    paths, lines = told(other)
    assert paths == ["00000/samples/0000.png"]
    assert lines == "3 images have no prompt: 00000/grid.png, 00000/samples/grid.png, extra/1.png"


def test_a_folder_without_images_says_what_lies_there(fill: Fill) -> None:
    with pytest.raises(UserError, match=r"holds no images that have texts \(1 file is hidden: \._a\.png\)"):
        find_rows(fill("._a.png"))


NAMES = st.sampled_from(
    ["a.png", "b.JPG", "c.txt", "._a.png", "d.avif", "notes.md", ".x/e.png", "s/a.png", "s/f.webp"]
)


@settings(max_examples=40, deadline=None)
@given(there=st.sets(NAMES), named=st.lists(NAMES | st.just("gone.png"), min_size=1, unique=True))
def test_every_file_is_in_a_row_or_counted(
    tmp_path_factory: pytest.TempPathFactory, there: set[str], named: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in there:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    rows = [json.dumps({"file_name": name, "text": f"of {name}"}) for name in named]
    (folder / "metadata.jsonl").write_text("\n".join(rows))
    paths, lines = told(folder)
    assert paths == named
    found = find_images(folder)
    unnamed = [path for path in found.images if path.relative_to(folder).as_posix() not in named]
    counts = [
        len(unnamed),
        sum(
            p.suffix == ".txt" and p.with_suffix("") not in {i.with_suffix("") for i in found.images}
            for p in found.others
        ),
        sum(p.name == "notes.md" for p in found.others),
        len(found.hidden),
    ]
    said = [int(part.split()[0]) for part in lines.split("; ") if part]
    assert said == [count for count in counts if count]

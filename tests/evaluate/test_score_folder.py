"""Images that were made elsewhere."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.core.errors import MissingFileError, MissingRowsError, UnreadableFileError, UserError
from benchmark.core.records import ImageSet
from benchmark.evaluate.config import ScoreConfig
from benchmark.evaluate.external_images import read_images
from benchmark.evaluate.score_folder import score_folder

MakeSet = Callable[..., ImageSet]


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def rows_of(images: ImageSet) -> list[dict[str, object]]:
    return [
        {"id": r.prompt_id, "prompt": images.prompt(r).text, "image_path": str(r.path), "seed": r.seed}
        for r in images
    ]


def test_jsonl_is_scored_as_the_images_themselves(world: Path, make_set: MakeSet, tmp_path: Path) -> None:
    images = make_set(prompts=3)
    file = write_rows(tmp_path / "mine.jsonl", rows_of(images))
    config = ScoreConfig(path=file, scorers=("true_reward", "clip"), out=tmp_path / "out", weights="embedded")
    result = score_folder(config)
    assert result.leaderboard is not None
    assert [row.checkpoint.id for row in result.leaderboard.rows] == ["mine"]
    assert (result.n_rows, result.n_missing) == (12, 0)
    assert "sampler:external" in result.leaderboard.signature
    assert result.image_sets[0].ok == tuple(replace(record, path_kl=None) for record in images)
    before = sorted((tmp_path / "out" / ".scores").rglob("*.parquet"))
    assert len(before) == 2
    score_folder(config)
    assert sorted((tmp_path / "out" / ".scores").rglob("*.parquet")) == before


def test_a_missing_image_is_a_row_and_exit_code_four(world: Path, make_set: MakeSet, tmp_path: Path) -> None:
    rows = rows_of(make_set(prompts=2))
    rows[1]["image_path"] = "not-there.png"
    file = write_rows(tmp_path / "mine.jsonl", rows)
    result = score_folder(
        ScoreConfig(path=file, scorers=("oracle",), out=tmp_path / "out", weights="embedded")
    )
    assert (result.n_rows, result.n_missing) == (4, 1)
    with pytest.raises(MissingRowsError) as raised:
        result.raise_if_missing()
    assert raised.value.exit_code == 4


def test_rows_without_a_seed_are_counted(make_set: MakeSet, tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "seed"} for row in rows_of(make_set(prompts=2, k=3))]
    images = read_images(write_rows(tmp_path / "mine.jsonl", rows))
    assert [(r.prompt_id, r.seed) for r in images] == [(f"p00{i}", k) for i in range(2) for k in range(3)]


def test_a_folder_has_texts_beside_its_images(make_set: MakeSet) -> None:
    images = make_set(prompts=2, k=2)
    folder = images.records[0].path.parent
    with pytest.raises(UserError, match=r"has no text; allowed: metadata\.jsonl"):
        read_images(folder)
    for record in images:
        record.path.with_suffix(".txt").write_text(images.prompt(record).text)
    found = read_images(folder)
    assert {p.text for p in found.prompt_set} == {p.text for p in images.prompt_set}
    assert len(found.ok) == 4
    rows = [{"file_name": r.path.name, "text": images.prompt(r).text} for r in images]
    write_rows(folder / "metadata.jsonl", rows)
    assert read_images(folder).prompt_set.prompts == found.prompt_set.prompts


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "a", "image_path": "a.png"}], "a row lacks 'prompt'"),
        ([{"id": "a", "prompt": "x", "image_path": "a", "seed": 1}] * 2, "two images of seed 1"),
        ([{"id": "a", "prompt": t, "image_path": "a"} for t in "xy"], "stands for two prompts"),
        ([{"id": "../a", "prompt": "x", "image_path": "a"}], "usable as a file name"),
        ([], "it holds none"),
    ],
)
def test_wrong_rows_are_one_line(rows: list[dict[str, object]], message: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=message):
        read_images(write_rows(tmp_path / "mine.jsonl", rows))


def test_a_wrong_path_names_the_near_one(tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.jsonl", [])
    with pytest.raises(MissingFileError, match=r"did you mean mine\.jsonl"):
        read_images(tmp_path / "min.jsonl")


def test_images_of_every_size_beside_an_unreadable_one_get_their_sheet_and_page(
    world: Path, tmp_path: Path
) -> None:
    rows = []
    for i, size in enumerate([(64, 64), (65, 64), (300, 40), (64, 64)]):
        Image.new("RGB", size, (40 * i + 60, 0, 0)).save(tmp_path / f"{i}.png")
        rows.append({"id": f"p{i // 2}", "prompt": f"number {i // 2}", "image_path": f"{i}.png"})
    (tmp_path / "broken.png").write_bytes(b"")
    rows += [{"id": "p2", "prompt": "broken", "image_path": name} for name in ("broken.png", "0.png")]
    config = ScoreConfig(
        path=write_rows(tmp_path / "mine.jsonl", rows),
        scorers=("clip",),
        out=tmp_path / "out",
        weights="embedded",
    )
    result = score_folder(config)
    assert (result.n_rows, result.n_missing) == (6, 1)
    sheet = np.asarray(Image.open(result.folder / "figures" / "sheet.png").convert("RGB")).astype(int)
    for i in range(4):
        assert (abs(sheet - (40 * i + 60, 0, 0)).max(axis=2) <= 2).any(), (
            "every picture is there, the wide one whole"
        )
    assert (result.folder / "report.html").is_file()

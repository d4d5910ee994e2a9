"""Images to score as other tools leave them: opened with each image in its place, or refused by name."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmark.core.errors import UserError
from benchmark.evaluate.external_images import read_images

Place = Callable[..., str]


@pytest.fixture
def picture(tmp_path: Path) -> Place:
    """Writes a small picture below the test's folder, each another one."""
    rng = np.random.default_rng(0)

    def picture(name: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
        return name

    return picture


def listed(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_diffusiondb_rows_of_one_prompt_are_images_of_it(tmp_path: Path, picture: Place) -> None:
    """An id for each image, and the generator's own random seed."""
    seeds = [2**32 - 1, 7, 3_000_000_000, 7, 12]
    texts = ["a fox", "a fox", "a fox", "a lake", "a hill"]
    rows = [
        {
            "id": f"{i:08x}-028e",
            "prompt": text,
            "seed": seed,
            "cfg": 7.0,
            "image_path": picture(f"im/{i}.png"),
        }
        for i, (text, seed) in enumerate(zip(texts, seeds, strict=True))
    ]
    images = read_images(listed(tmp_path / "part.jsonl", rows))
    assert len(images.ok) == len(images) == 5
    assert [p.text for p in images.prompt_set] == ["a fox", "a lake", "a hill"]
    assert [(r.path.name, r.seed) for r in images][:3] == [("1.png", 0), ("2.png", 1), ("0.png", 2)]


def test_diffusiondb_prompts_seen_with_other_settings_are_told_apart_by_their_ids(
    tmp_path: Path, picture: Place
) -> None:
    rows = [
        {"id": f"x{i}", "prompt": "a fox", "seed": 5, "image_path": picture(f"{i}.png")} for i in range(3)
    ]
    assert [r.seed for r in read_images(listed(tmp_path / "part.jsonl", rows))] == [0, 1, 2]


@pytest.mark.parametrize("seed", [2**64 - 1, 2**63, -1])
def test_seeds_of_64_bits_are_labels(tmp_path: Path, picture: Place, seed: int) -> None:
    rows = [{"prompt": f"a fox {i}", "seed": seed, "image_path": picture(f"{i}.png")} for i in range(3)]
    images = read_images(listed(tmp_path / "comfy.jsonl", rows))
    assert [r.seed for r in images] == [0, 0, 0]


def test_an_imagefolder_of_datasets_groups_equal_texts(tmp_path: Path, picture: Place) -> None:
    rows = [{"file_name": picture(f"v1.0/{i}.b.png")[5:], "text": f"a fox {i // 2}"} for i in range(4)]
    listed(tmp_path / "v1.0" / "metadata.jsonl", rows)
    images = read_images(tmp_path / "v1.0")
    assert images.checkpoint.id == images.prompt_set.name == "v1.0"
    assert [(len(images.prompt_set), r.seed, r.status) for r in images] == [
        (2, k, "ok") for k in (0, 1, 0, 1)
    ]


def test_captions_beside_images_are_found_under_dotted_names(tmp_path: Path, picture: Place) -> None:
    for i in range(4):
        (tmp_path / picture(f"mine/step.{i}.png")).with_name(f"step.{i}.txt").write_text(f"a fox {i % 2}")
    images = read_images(tmp_path / "mine")
    assert [p.text for p in images.prompt_set] == ["a fox 0", "a fox 1"]
    assert [r.path.name for r in images] == [f"step.{i}.png" for i in (0, 2, 1, 3)]


def test_hps_images_are_one_a_prompt_also_where_texts_repeat(tmp_path: Path, picture: Place) -> None:
    for i in range(3):
        picture(f"mine/anime/{i:05d}.jpg")
    (tmp_path / "anime.json").write_text(json.dumps(["a fox", "a lake", "a fox"]))
    images = read_images(tmp_path / "mine", prompts=tmp_path)
    assert [(r.prompt_id, r.seed) for r in images] == [(f"anime-{i:05d}", 0) for i in range(3)]


@pytest.mark.parametrize("first", [0, 1])
def test_geneval_samples_are_ks_whatever_they_are_counted_from(
    tmp_path: Path, picture: Place, first: int
) -> None:
    for i, text in enumerate(["a fox", "a fox", "a lake"]):
        folder = tmp_path / "mine" / f"{i:05d}"
        for k in range(4 if i < 2 else 0):
            picture(f"mine/{i:05d}/samples/{first + k:04d}.png")
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        listed(folder / "metadata.jsonl", [{"tag": "colors", "include": [], "prompt": text}])
    images = read_images(tmp_path / "mine")
    assert [(r.prompt_id, r.seed) for r in images] == [(f"{i:05d}", k) for i in range(3) for k in range(4)]
    assert [r.status for r in images] == ["ok"] * 8 + ["missing"] * 4


def test_pick_a_pic_parquet_is_refused_by_name(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{"caption": "a fox", "jpg_0": b"", "jpg_1": b"", "label_0": 1.0}])
    pq.write_table(table, tmp_path / "test.parquet")
    with pytest.raises(UserError, match=r"test.parquet holds its images in itself; .*JSONL of"):
        read_images(tmp_path / "test.parquet")


def test_a_folder_of_images_and_one_json_is_refused_by_an_image(tmp_path: Path, picture: Place) -> None:
    """As DiffusionDB's parts are: `part-000001.json` of `{image: {p: prompt, se: seed}}`."""
    picture("part-000001/a.png")
    (tmp_path / "part-000001" / "part-000001.json").write_text('{"a.png": {"p": "a fox", "se": 5}}')
    with pytest.raises(UserError, match=r"a.png has no text; allowed: metadata.jsonl"):
        read_images(tmp_path / "part-000001")

"""Small preference data, and settings of runs that take a second."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trainers.config import TrainConfig

CAPTIONS = ("a red star", "two blue hearts", "a ring", "something green", "a tiny square", "a moon in winter")


def make_jpeg(seed: int, size: tuple[int, int] = (64, 64), level: int | None = None) -> bytes:
    """A smooth picture that no other seed gives, or a flat one of a grey level."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8))
    if level is not None:
        coarse = Image.new("RGB", (4, 4), (level, level, level))
    buffer = BytesIO()
    coarse.resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def make_row(i: int, **changes: Any) -> dict[str, Any]:
    """Row i: image 0 is preferred in even rows; every image is used once."""
    first = float(i % 2 == 0)
    row = {"caption": CAPTIONS[i % len(CAPTIONS)], "jpg_0": make_jpeg(2 * i), "jpg_1": make_jpeg(2 * i + 1)}
    return row | {"label_0": first, "label_1": 1 - first, "best_image_uid": str(i)} | changes


def make_file(path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
    """A parquet file of such rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


@pytest.fixture
def jpeg() -> Callable[..., bytes]:
    """An encoded picture of a seed, a size, a grey level."""
    return make_jpeg


@pytest.fixture
def preference_row() -> Callable[..., dict[str, Any]]:
    """Row i of preference data, with changes."""
    return make_row


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows to a parquet file below the test's own folder."""

    def write(name: str, rows: list[dict[str, Any]], **options: Any) -> Path:
        return make_file(tmp_path / name, rows, **options)

    return write


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the embedded sets are: 24 pairs to learn from, 6 held out."""
    folder = tmp_path_factory.mktemp("data") / "tiny-prefs"
    make_file(folder / "train.parquet", [make_row(i) for i in range(24)])
    make_file(folder / "heldout.parquet", [make_row(i, caption=f"a star {i}") for i in range(100, 106)])
    return folder


@pytest.fixture(scope="session")
def tiny_rows() -> Callable[[Path], Path]:
    """Writes the smallest data there is: 8 pairs to learn from, 2 held out, and one row that is bad."""

    def write(folder: Path) -> Path:
        make_file(folder / "train.parquet", [*(make_row(i) for i in range(8)), make_row(8, caption="")])
        make_file(folder / "heldout.parquet", [make_row(i, caption=f"a star {i}") for i in (100, 101)])
        return folder

    return write


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of latents for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory, tiny_pipeline_folder: Path) -> Path:
    """A random open_clip model with the tiny pipeline's merges."""
    import shutil

    import torch

    from benchmark.networks.open_clip import new_open_clip, open_clip_tokenizer
    from tools.build_shapes.small_networks import save_open_clip, small_config

    folder = tmp_path_factory.mktemp("clip")
    shutil.copy(tiny_pipeline_folder / "tokenizer" / "bpe.txt.gz", folder)
    config = small_config(
        open_clip_tokenizer(folder / "bpe.txt.gz").vocab_size,
        embed_dim=8,
        vision={"layers": 1, "width": 16, "head_width": 8, "patch_size": 16, "image_size": 32},
        text={"context_length": 16, "width": 16, "heads": 2, "layers": 1},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_open_clip(new_open_clip(config), config, folder)
    return folder


@pytest.fixture(scope="session")
def settings_at(tiny_data: Path, tiny_cache: Path, tiny_pipeline_folder: Path) -> Callable[..., TrainConfig]:
    """Settings of a run on CPU in float32, in a folder."""

    def make(out: Path, **changes: Any) -> TrainConfig:
        values: dict[str, Any] = {
            "base": str(tiny_pipeline_folder),
            "data": str(tiny_data),
            "beta": 1.0,
            "log_ratio_scale": 100.0,
            "lora_rank": 4,
            "steps": 4,
            "batch_size": 4,
            "warmup": 0,
            "lr": 1e-2,
            "save_every": 2,
            "held_out_draws": 4,
            "precision": "fp32",
            "device": "cpu",
            "cache": tiny_cache,
            "out": out,
        }
        if changes.get("objective") == "sft":
            values |= {"beta": None, "log_ratio_scale": None}
        return TrainConfig.parse(values | changes)

    return make


@pytest.fixture
def settings(tmp_path: Path, settings_at: Callable[..., TrainConfig]) -> Callable[..., TrainConfig]:
    """The same in the test's own folder; each call names the run."""
    return lambda name="run", **changes: settings_at(tmp_path / name, **changes)

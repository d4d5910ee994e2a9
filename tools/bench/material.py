"""What ours and the peers train on, and the words that tell each of them to do the same."""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from benchmark.core import resources, store
from benchmark.core.store import read_json
from benchmark.workflows.workers import run_workers
from tools.bench.peers import DIFFUSERS, RELEASE, Peer

NUMBER_OF_PAIRS: Final = 512


@dataclass(frozen=True)
class Task:
    """A training run that both sides do.

    Attributes:
        full: All weights against a second UNet, or a LoRA on the attention layers.
        base: Folder of the model.
        data: Folder of `train.parquet`, with Pick-a-Pic's columns and without ties.
        size: Height and width of an image.
        batch_size: Pairs a step.
        steps: Optimiser steps.
        precision: `fp32` or `bf16`.
        rank: Of the LoRA.
        savings: Settings of ours that save memory or time.
    """

    full: bool
    base: Path
    data: Path
    size: int
    batch_size: int
    steps: int
    precision: str
    rank: int = 16
    savings: Mapping[str, object] = field(default_factory=dict)

    @property
    def peer(self) -> Peer:
        """Who does it beside us."""
        return RELEASE if self.full else DIFFUSERS

    def our_command(self, out: Path, cache: Path) -> list[str]:
        """`fbench train`, with one checkpoint at the end, as the peers make."""
        settings = {
            "objective": "f_dpo", "divergence": "reverse_kl", "beta": 1, "log-ratio-scale": 2500, "lr": 1e-6,
            "base": self.base, "data": self.data, "out": out, "precision": self.precision,
            "steps": self.steps, "save-every": self.steps, "batch-size": self.batch_size,
            "lora-rank": "full" if self.full else self.rank,
        }  # fmt: skip
        flags = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
        sets = {"held_out_pairs": 0, "lora_targets": "attention", "warmup": 0, "cache": cache}
        sets |= self.savings
        words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
        return [sys.executable, "-m", "fbench", "train", *flags, *words]

    def peer_command(self, out: Path, cache: Path) -> list[str]:
        """The peer's script.

        Raises:
            UserError: if it is not at hand.
        """
        settings = {
            "pretrained_model_name_or_path": self.base, "dataset_name": self.data, "output_dir": out,
            "cache_dir": cache, "resolution": self.size, "train_batch_size": self.batch_size,
            "max_train_steps": self.steps, "learning_rate": 1e-6, "lr_warmup_steps": 0, "seed": 0,
            "mixed_precision": "bf16" if self.precision == "bf16" else "no",
        }  # fmt: skip
        settings |= {} if self.full else {"rank": self.rank, "dataset_split_name": "train"}
        words = [f"--{key}={value}" for key, value in settings.items()]
        again = ["--gradient_checkpointing"] if "gradient_checkpointing" in self.savings else []
        return self.peer.command([*words, *again])

    @property
    def peer_environment(self) -> dict[str, str]:
        """Its bar writes every step, and nothing is asked of any hub."""
        return {
            "TQDM_MININTERVAL": "0",
            "HF_HUB_OFFLINE": "1",
            "WANDB_MODE": "disabled",
            "TOKENIZERS_PARALLELISM": "false",
        }


def embedded_model(folder: Path) -> Path:
    """The embedded model as one that predicts the noise, because the release's script trains no other.

    The weights are the same and so is the work; only what the predictions are compared with is not.
    """
    shutil.copytree(resources.shapes_weights("shapes-sd"), folder)
    file = folder / "scheduler" / "scheduler_config.json"
    config = {**read_json(file, "a scheduler's config"), "prediction_type": "epsilon"}
    file.write_text(json.dumps(config), encoding="utf-8")
    return folder


def embedded_pairs(folder: Path, pairs: int = NUMBER_OF_PAIRS) -> Path:
    """The first embedded pairs that are no ties; the release looks for `pickapic` in the folder's name."""
    import pyarrow.parquet as pq

    rows = pq.read_table(resources.shapes_data("shapes-prefs") / "train.parquet").to_pylist()
    return _write_pairs(folder, [row for row in rows if row["label_0"] in (0, 1)][:pairs])


def random_pairs(folder: Path, size: int, pairs: int = 4) -> Path:
    """Pairs of smooth random pictures.

    Args:
        folder: Where `train.parquet` goes.
        size: Height and width.
        pairs: How many.
    """
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for _ in range(pairs):
        row: dict[str, Any] = {"caption": "a red star", "label_0": 1.0, "label_1": 0.0}
        for k in range(2):
            coarse = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
            buffer = BytesIO()
            coarse.resize((size, size), Image.Resampling.BICUBIC).save(buffer, "JPEG")
            row[f"jpg_{k}"] = buffer.getvalue()
        rows.append(row)
    return _write_pairs(folder, rows)


def random_sd15(size: int, builds: Path = Path(".build")) -> Path:
    """A folder of Stable Diffusion 1.5's layout and size with random weights; written once, 4 GB.

    Args:
        size: Height and width of an image; 512 is the published one.
        builds: Folder for what is built.
    """
    folder = builds / f"random-sd15-{size}"
    if not folder.is_dir():
        print(f"writing random weights of Stable Diffusion 1.5's size to {folder}", flush=True)
        # Elsewhere, so that this process stays small.
        run_workers(_write_random_sd15, [(folder, size)])
    return folder.resolve()


def _write_random_sd15(job: tuple[Path, int]) -> None:
    from benchmark.models.families.unet.published import SD15
    from tools.random_folders import write_random_folder

    folder, size = job
    sizes = replace(SD15, unet={**SD15.unet, "sample_size": size // 8})
    with store.atomic_folder(folder) as draft:
        write_random_folder(draft, sizes)


def _write_pairs(folder: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    return folder

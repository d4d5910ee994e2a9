"""One training step at a published model's size, with random weights: what it takes of memory and time.

    python -m tools.bench.full_size --precision fp32

builds the folder once (2 GB for sd15, 7 GB for sdxl) and then trains one LoRA step of `f_dpo` on one pair in
a fresh process, as `fbench train` does. The figures are those of docs/base-models.md.
"""

import argparse
import importlib
import json
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmark.workflows.workers import run_workers

_GIB = 2**30
FAMILIES = {"sd15": 512, "sdxl": 1024}
"""Height and width of an image."""
# What a run imports on its way: the memory that takes is the libraries' and not the run's.
_IMPORTS = (
    "peft.utils", "benchmark.models.checkpoints", "trainers.loop", "trainers.validation",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
)  # fmt: skip


@dataclass(frozen=True)
class Footprint:
    """What a run took.

    Attributes:
        imports: Peak resident memory when everything was imported, in bytes.
        peak: Peak resident memory at the end, in bytes.
        seconds: Wall time from opening the folder to the last file.
        processor: Processor time of the same, which a busy machine does not stretch.
        step: What the run logged of its step.
        precision: What the networks computed in.
    """

    imports: int
    peak: int
    seconds: float
    processor: float
    step: dict[str, Any]
    precision: str

    def line(self) -> str:
        """For the terminal."""
        return (
            f"peak {(self.peak - self.imports) / _GIB:.2f} GiB above the {self.imports / _GIB:.2f} GiB after "
            f"imports; {self.seconds:.0f} s, of the processor {self.processor:.0f} s; "
            f"{self.precision}, loss {self.step['loss']:.4f}, gradient norm {self.step['grad_norm']:.3g}"
        )


def one_step(settings: dict[str, Any]) -> Footprint:
    """Trains in this process, which must have done nothing else.

    Args:
        settings: Of the run, as `TrainConfig` takes them.
    """
    import torch

    torch.set_num_threads(1)
    for name in _IMPORTS:
        importlib.import_module(name)
    from trainers.config import TrainConfig
    from trainers.train import train

    imports = _peak()
    start, busy = time.perf_counter(), time.process_time()
    result = train(TrainConfig.parse(settings))
    seconds, processor = time.perf_counter() - start, time.process_time() - busy
    last = json.loads((result.folder / "metrics.jsonl").read_text().splitlines()[-1])
    precision = str(result.checkpoint.hyperparameters["precision"])
    return Footprint(imports, _peak(), seconds, processor, last, precision)


def _peak() -> int:
    """Peak resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def write_pair(path: Path, size: int) -> None:
    """One pair of smooth random pictures."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    row: dict[str, object] = {"caption": "a red star", "label_0": 1.0, "label_1": 0.0}
    for k in range(2):
        coarse = np.random.default_rng(k).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        buffer = BytesIO()
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(buffer, "JPEG")
        row[f"jpg_{k}"] = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([row]), path)


def measure(family: str, work: Path, **changes: Any) -> Footprint:
    """Builds what is not there yet and trains the step.

    Args:
        family: `sd15` or `sdxl`.
        work: Folder for the model, the pair and the run.
        changes: Of the run's settings.
    """
    base, data, run = work / family, work / f"{family}.parquet", work / "run"
    if not (base / "model_index.json").is_file():
        run_workers(_build, [(family, base)])
    write_pair(data, FAMILIES[family])
    shutil.rmtree(run, ignore_errors=True)
    settings = {
        "base": str(base), "data": str(data), "beta": 1.0, "log_ratio_scale": "auto", "steps": 1,
        "batch_size": 1, "held_out_pairs": 0, "device": "cpu", "cache": work / "cache", "out": run,
    }  # fmt: skip
    (found,) = run_workers(one_step, [settings | changes])
    return found


def _build(job: tuple[str, Path]) -> None:
    from benchmark.models.families.unet.published import SD15, SDXL
    from tools.random_folders import write_random_folder

    family, folder = job
    sizes = {"sd15": SD15, "sdxl": SDXL}[family]
    write_random_folder(folder, sizes, half=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints one line."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.full_size", description=__doc__)
    parser.add_argument("--family", choices=sorted(FAMILIES), default="sd15")
    parser.add_argument("--work", type=Path, default=Path(".build/full-size"), help="where it all goes")
    parser.add_argument("--precision", default="auto", help="auto, fp32 or bf16")
    parser.add_argument("--gradient-checkpointing", action="store_true", help="less memory, more time")
    given = parser.parse_args(arguments)
    found = measure(
        given.family,
        given.work,
        precision=given.precision,
        gradient_checkpointing=given.gradient_checkpointing,
    )
    print(found.line())


if __name__ == "__main__":
    main()

"""`sweep_lora` and `sweep_full`: six policies trained together against six runs of ours, one after the other.

Together they share the model, the batches and the reference's pass. Nothing else can be shared, so that no
sweep is quicker than the limit in the note, (shared + own) / (shared / 6 + own) of a step's time.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmark.core.words import number_of
from tools.bench.material import embedded_pairs
from tools.bench.measuring import Measurement
from trainers.config import TrainConfig
from trainers.logs import read_metrics

POLICIES: Final = (
    ("reverse_kl", 1.0), ("reverse_kl", 0.3), ("jensen_shannon", 1.0), ("forward_kl", 1.0),
    ("alpha(a=0.5)", 1.0), ("alpha(a=0.2)", 1.0),
)  # fmt: skip
"""Divergence and beta of each."""


def measure(
    *, full: bool, steps: int = 16, batch_size: int = 16, rounds: int = 2, pairs: int = 512
) -> Measurement:
    """Trains them in turns, in this process, with the cache filled; the median of the rounds counts.

    Args:
        full: All weights, or a LoRA on the attention layers.
        steps: Of every policy; its first step and its checkpoint are in the time, imports are not.
        batch_size: Pairs a step.
        rounds: Of both ways.
        pairs: How many are trained on.
    """
    import torch

    from trainers.train import train, train_many

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        data = embedded_pairs(work / "pickapic", pairs)
        # Fills the cache and warms up.
        train(_configs(work, data, "first", full=full, steps=2, batch_size=batch_size)[0])
        apart: list[float] = []
        together: list[float] = []
        for turn in range(rounds):
            single = _configs(work, data, f"apart-{turn}", full=full, steps=steps, batch_size=batch_size)
            start = time.perf_counter()
            for config in single:
                train(config)
            apart.append(time.perf_counter() - start)
            start = time.perf_counter()
            train_many(_configs(work, data, f"sweep-{turn}", full=full, steps=steps, batch_size=batch_size))
            together.append(time.perf_counter() - start)
        limit = _limit(single, apart[-1])
    what = "all weights" if full else "LoRA on the attention layers"
    ours, peer = (statistics.median(seconds) for seconds in (together, apart))
    return Measurement(
        name="sweep_full" if full else "sweep_lora",
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        unit="s",
        peer_name=f"{len(POLICIES)} runs of ours",
        note=(
            f"{len(POLICIES)} policies, {steps} steps of {batch_size} pairs, {what}, "
            f"{number_of(torch.get_num_threads(), 'thread')}; "
            f"{_range(together)} against {_range(apart)} s; the limit is about {limit:.2f} x"
        ),
    )


def _configs(
    work: Path, data: Path, name: str, *, full: bool, steps: int, batch_size: int
) -> list[TrainConfig]:
    return [
        TrainConfig(
            base="shapes", data=str(data), objective="f_dpo", divergence=divergence, beta=beta,
            log_ratio_scale=2500.0, lora_rank="full" if full else 16, lora_targets="attention", lr=1e-6,
            steps=steps, batch_size=batch_size, save_every=steps, held_out_pairs=0, cache=work / "cache",
            out=work / name / str(i),
        )
        for i, (divergence, beta) in enumerate(POLICIES)
    ]  # fmt: skip


def _limit(runs: Sequence[TrainConfig], seconds: float) -> float:
    """From runs that were trained apart: what of their time is not the policies' own can be shared."""
    own = sum(float(line["seconds"] or 0) for run in runs for line in read_metrics(run.out)[1:])
    return seconds / ((seconds - own) / len(runs) + own)


def _range(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.1f} to {max(seconds):.1f}"

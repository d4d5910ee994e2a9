"""The commands, from small to large."""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmark.core.console import notice
from tools.bench.memory import peak_memory
from tools.studies.growth.records import Run, read_runs, write_runs

EVALUATIONS: Final = ((1, 16, 4), (2, 32, 4), (4, 64, 4))
"""Checkpoints, prompts and images of each, made and scored."""
RESULT_TABLES: Final = ((5, 100, 4), (10, 400, 4), (25, 800, 8), (50, 1632, 8))
"""The same, of scores that are made up: what an evaluation does once everything is scored."""
POLICIES: Final = (1, 2, 4, 8)
"""Runs of a sweep that are trained together."""
_STEPS, _PAIRS = 12, 16
_SCORERS: Final = "true_taste,oracle,clip,lpips"
_BETAS: Final = (8, 4, 2, 1, 0.5, 0.25, 0.125, 0.0625)


@dataclass(frozen=True)
class Command:
    """What is run and measured.

    Attributes:
        kind: As of `Run`.
        size: As of `Run`.
        words: As of `Run`.
        arguments: Of Python.
        out: The folder that it writes; removed before.
        keep: Do not remove it: the command goes on from what is there.
    """

    kind: str
    size: int
    words: str
    arguments: Sequence[str]
    out: Path
    keep: bool = False


def commands(folder: Path) -> Iterator[Command]:
    """All that is measured.

    Args:
        folder: Everything goes into it.
    """
    policies = [folder / "policies" / str(i) for i in range(EVALUATIONS[-1][0] - 1)]
    for checkpoints, prompts, images in EVALUATIONS:
        n = checkpoints * prompts * images
        words = f"{checkpoints} checkpoints x {prompts} prompts x {images} images"
        out = folder / "evaluations" / str(n)
        specs = ["base", *map(str, policies[: checkpoints - 1])]
        asked = [word for spec in specs for word in ("--checkpoint", spec)]
        size = ("--limit", str(prompts), "--images-per-prompt", str(images), "--scorers", _SCORERS)
        eval_ = ("-m", "fbench", "eval", *asked, *size, "--out", str(out))
        yield Command("evaluation", n, words, eval_, out)
        yield Command("resumed", n, f"{words}, nothing missing", eval_, out, keep=True)
    for checkpoints, prompts, images in RESULT_TABLES:
        n = checkpoints * prompts * images
        words = f"{checkpoints} checkpoints x {prompts} prompts x {images} images, 12 scorers"
        out = folder / "results" / str(n)
        numbers = ("--checkpoints", str(checkpoints), "--prompts", str(prompts), "--images", str(images))
        large = ("-m", "tools.bench.large_evaluation", *numbers, "--out", str(out))
        yield Command("results", n, words, large, out)
    for n in POLICIES:
        out = folder / "sweeps" / str(n)
        betas = [word for beta in _BETAS[:n] for word in ("--beta", str(beta))]
        size = ("--steps", str(_STEPS), "--batch-size", str(_PAIRS), "--set", "held_out_pairs=0")
        words = f"{n} policies, {_STEPS} steps of {_PAIRS} pairs"
        sweep = ("-m", "fbench", "sweep", "--preset", "shapes-f-dpo-reverse-kl", *betas, *size)
        yield Command("sweep", n, words, (*sweep, "--out", str(out)), out)


def measure(folder: Path) -> None:
    """Measures what is not in the results yet.

    Args:
        folder: For everything that commands write.

    Raises:
        UserError: if one fails; with the last line of its output.
    """
    log = folder / "logs" / "log"
    log.parent.mkdir(parents=True, exist_ok=True)
    _train_policies(folder, log)
    known = read_runs()
    for command in commands(folder):
        # A resumed one goes on from the one before it.
        if f"{command.kind} {command.size}" in known:
            continue
        if not command.keep:
            shutil.rmtree(command.out, ignore_errors=True)
        begin = time.monotonic()
        peak = peak_memory([sys.executable, *command.arguments], log, {"OMP_NUM_THREADS": "1"})
        seconds = round(time.monotonic() - begin, 1)
        run = Run(command.kind, command.size, command.words, seconds, round(peak / 1e9, 3))
        known[run.name] = run
        write_runs(known)
        notice(f"{run.words}: {run.seconds:.1f} s, {run.peak_gb:.2f} GB")


def _train_policies(folder: Path, log: Path) -> None:
    """The checkpoints that are evaluated, of few steps; they also fill the caches of latents and texts."""
    for i in range(EVALUATIONS[-1][0] - 1):
        out = folder / "policies" / str(i)
        small = ("--steps", "2", "--batch-size", str(_PAIRS), "--seed", str(i), "--out", str(out))
        train = ("-m", "fbench", "train", "--preset", "shapes-f-dpo-reverse-kl", *small)
        peak_memory([sys.executable, *train], log, {"OMP_NUM_THREADS": "1"})

"""`memory_lora` and `memory_full...`: peak memory of a run at Stable Diffusion 1.5's size, above its imports.

Every figure is the largest resident memory of a fresh process. What it holds when everything is imported is
measured in another one and taken off, because it is the libraries' and not the run's.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmark.core.devices import free_threads
from benchmark.core.errors import UserError
from tools.bench.material import Task, random_pairs, random_sd15
from tools.bench.measuring import Measurement
from tools.bench.pacing import last_line

_GIB = 2**30
_IMPORTS: Final = (
    "peft.utils", "benchmark.models.checkpoints", "trainers.loop", "trainers.train", "trainers.validation",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
)  # fmt: skip
"""What `fbench train` imports on its way."""

_WATCH: Final = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:], stdout=sys.stderr)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
open(sys.argv[1], "w").write(str(peak * (1 if sys.platform == "darwin" else 1024)))
sys.exit(code)
"""
"""Starts a command and notes its peak; small itself, because a child's count begins with its parent's."""


SAVINGS: Final[Mapping[str, Mapping[str, object]]] = {
    "": {},
    "_exact": {"gradient_checkpointing": "true", "early_updates": "true"},
    "_8bit": {"gradient_checkpointing": "true", "early_updates": "true", "optimizer": "adamw8bit"},
}
"""Settings of ours, by the end of a measurement's name: none, those that change no weight, and all.

The peer is told to go forward again as well, which is all that it can do.
"""


def measure(*, full: bool, savings: str = "", size: int = 512, steps: int = 2) -> Measurement:
    """Trains one pair a step; the second step is the first that holds the optimiser's moments.

    Args:
        full: All weights, or a LoRA.
        savings: Of `SAVINGS`.
        size: Height and width of an image.
        steps: Optimiser steps.

    Raises:
        UserError: if the peer is not at hand, or a side fails, as for want of memory.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        task = Task(
            full=full,
            base=random_sd15(size),
            data=random_pairs(work / "pickapic", size),
            size=size,
            batch_size=1,
            steps=steps,
            precision="bf16",
            savings=SAVINGS[savings],
        )
        return measure_task(task, work)


def measure_task(task: Task, work: Path) -> Measurement:
    """Runs both sides, one after the other.

    Args:
        task: What is trained.
        work: An empty folder for all that is written.

    Raises:
        UserError: if the peer is not at hand, or a side fails.
    """
    environment = {"OMP_NUM_THREADS": str(free_threads()), **task.peer_environment}
    theirs = task.peer_command(work / "peer", work / "datasets")
    libraries = [*_IMPORTS, *(["torchao.optim"] if "optimizer" in task.savings else [])]
    imports = [sys.executable, "-c", f"import {', '.join(libraries)}"]
    commands = {
        "our imports": imports,
        "ours": task.our_command(work / "ours", work / "cache"),
        "their imports": task.peer.command(["--help"]),
        "theirs": theirs,
    }
    peak = {who: peak_memory(command, work / "log", environment) / _GIB for who, command in commands.items()}
    ours, peer = peak["ours"] - peak["our imports"], peak["theirs"] - peak["their imports"]
    saved = next(name for name, settings in SAVINGS.items() if settings == task.savings)
    said = "".join(f", {key}={value}" for key, value in task.savings.items())
    return Measurement(
        name=("memory_full" if task.full else "memory_lora") + saved,
        ours=ours,
        peer=peer,
        ratio=ours / peer,
        unit="GiB",
        peer_name=task.peer.name,
        note=(
            f"our share of the peer's: less is better; above {peak['our imports']:.2f} and "
            f"{peak['their imports']:.2f} GiB after imports; {task.steps} steps of one pair of "
            f"{task.size} x {task.size} pixels, {task.precision}, Stable Diffusion 1.5's networks{said}"
        ),
    )


def peak_memory(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> int:
    """The largest resident memory of a command, in bytes.

    Args:
        command: What to run.
        log: Where its output goes.
        environment: Variables beside those of this process.

    Raises:
        UserError: if it fails; with the last line of its output.
    """
    found = log.with_suffix(".peak")
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-c", _WATCH, str(found), *command],
            check=False,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    if done.returncode:
        raise UserError(f"a run for its memory failed with {done.returncode}: {last_line(log)}")
    return int(found.read_text())

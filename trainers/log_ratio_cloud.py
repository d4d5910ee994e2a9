r"""The cloud of a run: $(s_w, s_l)$ of its held-out pairs at each checkpoint, for its gradient field.

RUN/log_ratios/step-000200.npz   `s_w`, `s_l` (draws, n) in nats, float32; `t` (draws, n), int64

The pairs, their order and their (t, noise) are the same at every checkpoint and in every run of one data
set, so a place in one file is the same draw in another. Equal runs write equal bytes, and a resumed run
writes again what it does again.
"""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float32, Num
from numpy.typing import NDArray
from torch import Tensor

from benchmark.core import store
from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError

FOLDER = "log_ratios"
_ARRAYS = ("s_w", "s_l", "t")


@dataclass(frozen=True, eq=False)
class LogRatioCloud:
    """Where the held-out pairs of a run stand.

    Attributes:
        step: Optimiser steps behind it.
        s_w: Log-ratios of the winners in nats, (draws, n).
        s_l: Log-ratios of the losers, likewise.
        t: Timesteps, likewise.
    """

    step: int
    s_w: NDArray[np.float32]
    s_l: NDArray[np.float32]
    t: NDArray[np.int64]


def save_log_ratios(
    run: Path,
    step: int,
    s_w: Float32[Tensor, "draws n"] | None,
    s_l: Float32[Tensor, "draws n"] | None,
    t: Num[Tensor, "draws n"],
) -> None:
    """Writes the cloud of a checkpoint, whole or not at all; nothing at step 0, where s is 0.

    Args:
        run: The run's folder.
        step: Optimiser steps done.
        s_w: Of the winners; None for objectives without a reference, which have no cloud.
        s_l: Of the losers; None for objectives without losers.
        t: The timesteps.
    """
    if step == 0 or s_w is None or s_l is None:
        return
    winner, loser, at = (array.detach().cpu().numpy() for array in (s_w, s_l, t))
    with store.atomic_file(log_ratios_file(run, step)) as temporary, temporary.open("wb") as file:
        np.savez(file, s_w=winner, s_l=loser, t=at)


def read_log_ratios(run: Path, step: int | None = None) -> LogRatioCloud:
    """The cloud of one checkpoint of a run.

    Args:
        run: The run's folder.
        step: Which checkpoint; None for the last that has one.

    Raises:
        MissingFileError: if the run has none.
        UserError: if it has some, and none of that step.
        UnreadableFileError: if the file is not one.
    """
    found = (path.stem.removeprefix("step-") for path in (run / FOLDER).glob("step-*.npz"))
    steps = sorted(int(number) for number in found if number.isdigit())
    if not steps:
        raise MissingFileError(
            run / FOLDER,
            "log-ratios of held-out pairs",
            do="runs with held-out pairs and an objective with s_w and s_l write them at every checkpoint",
        )
    if step is not None and step not in steps:
        known = ", ".join(str(s) for s in steps)
        raise UserError(f"{run} has no log-ratios of step {step}", allowed=known)
    path = log_ratios_file(run, steps[-1] if step is None else step)
    try:
        with np.load(path, allow_pickle=False) as file:
            s_w, s_l, t = (file[name] for name in _ARRAYS)
    except (BadZipFile, EOFError, KeyError, OSError, TypeError, ValueError) as error:
        raise UnreadableFileError(path, "log-ratios", error) from error
    if not (s_w.shape == s_l.shape == t.shape and s_w.size):
        raise UnreadableFileError(path, "log-ratios", "its arrays differ in shape, or are empty")
    return LogRatioCloud(steps[-1] if step is None else step, s_w, s_l, t)


def log_ratios_file(run: Path, step: int) -> Path:
    """Where the cloud of a step is."""
    return run / FOLDER / f"step-{step:06d}.npz"

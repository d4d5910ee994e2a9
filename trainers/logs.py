"""What is logged of a step, the file it goes to, and whether a run still holds.

`metrics.jsonl` is one line a step, each written whole. The state of a run holds the lines up to its step: a
resumed run begins the file anew with them, whatever became of it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.core import store
from benchmark.core.errors import UnreadableFileError
from trainers.divergences import Divergence
from trainers.objectives import PairErrors
from trainers.objectives.base import log_ratio_summary

QUARTERS = 4
MAX_BEYOND_KNEE: Final = 0.01
"""Share of samples beyond the knee above which a run counts as diverged."""
Metrics = dict[str, float | int | bool | None]


def quarter_logs(
    divergence: Divergence | None, errors: PairErrors, noise_level: Float[Tensor, "draws n"]
) -> dict[str, float]:
    """The summaries of s, winner and loser apart, for each quarter of the noise levels that was drawn.

    `t1` is the quarter with the least noise, `t4` the one with the most.

    Args:
        divergence: Of the objective; without one there is nothing to summarise.
        errors: With the log-ratios.
        noise_level: How far through the noise schedule the networks were asked, in [0, 1).
    """
    s_w, s_l = errors.log_ratio_winner, errors.log_ratio_loser
    if divergence is None or s_w is None or s_l is None:
        return {}
    quarter = (noise_level * QUARTERS).long()
    logs: dict[str, float] = {}
    for q in range(QUARTERS):
        inside = quarter == q
        if not bool(inside.any()):
            continue
        for side, s in (("winner", s_w.detach()), ("loser", s_l.detach())):
            summary = log_ratio_summary(divergence, s[inside])
            logs |= {f"t{q + 1}/{side}/{key}": float(value) for key, value in summary.items()}
    return logs


def floats(logs: Mapping[str, Tensor]) -> dict[str, float]:
    """Named scalars as numbers, with one wait for the device."""
    values = torch.stack([value.detach().float() for value in logs.values()]).tolist() if logs else []
    return dict(zip(logs, values, strict=True))


class MetricsFile:
    """`metrics.jsonl` of a run.

    Args:
        path: The file.
        text: The lines of earlier attempts that stay.
    """

    def __init__(self, path: Path, text: str = "") -> None:
        self.path = path
        self._lines = [text]
        store.write_text(path, text)
        self._file = path.open("a", encoding="utf-8")

    @property
    def text(self) -> str:
        """All lines."""
        return "".join(self._lines)

    def write(self, metrics: Mapping[str, float | int | bool | None]) -> None:
        """Appends one line; what is not finite becomes null, which JSON can hold."""
        self._lines.append(_text(metrics))
        self._file.write(self._lines[-1])
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_metrics(run: Path) -> list[Metrics]:
    """The lines of a run's `metrics.jsonl`, in order.

    Raises:
        UnreadableFileError: if a line is not a step with its numbers.
    """
    return list(_lines(run / "metrics.jsonl"))


def lines_up_to(path: Path, step: int) -> str:
    """The lines of a run whose state does not hold them, up to a step.

    Raises:
        UnreadableFileError: if some are lost, doubled or damaged.
    """
    kept = [line for line in _lines(path) if (line["step"] or 0) <= step] if path.is_file() else []
    if [line["step"] for line in kept] != list(range(step + 1)):
        raise UnreadableFileError(
            path,
            f"the metrics of steps 0 to {step}",
            "lines are lost or doubled",
            do="delete the run's folder",
        )
    return "".join(_text(line) for line in kept)


def _lines(path: Path) -> list[Metrics]:
    try:
        content = path.read_text(encoding="utf-8")
        # A killed process may leave half a line at the end.
        lines: list[Any] = [json.loads(line) for line in content[: content.rfind("\n") + 1].splitlines()]
    except ValueError as error:
        raise UnreadableFileError(path, "metrics", error) from error
    for number, line in enumerate(lines, 1):
        if not _is_step(line):
            raise UnreadableFileError(path, "metrics", f"line {number} is no step with its numbers")
    return lines


def _is_step(line: Any) -> bool:
    return (
        isinstance(line, dict)
        and isinstance(line.get("step"), int)
        and all(value is None or isinstance(value, int | float) for value in line.values())
    )


def _text(metrics: Mapping[str, float | int | bool | None]) -> str:
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}
    return json.dumps(finite, allow_nan=False) + "\n"


@dataclass
class Watch:
    """Whether a run has diverged: beyond the knee, or worse than the reference on held-out pairs.

    Attributes:
        beyond: Sum over the steps since the last checkpoint of the share beyond the knee.
        steps: How many steps that were.
        passed_knee: Whether that share was ever too large.
        held_out_loss: The last one.
        at_reference: What it is where the policy is the reference.
    """

    beyond: float = 0.0
    steps: int = 0
    passed_knee: bool = False
    held_out_loss: float | None = None
    at_reference: float | None = None

    def note_step(self, logs: Mapping[str, float]) -> None:
        """Notes a step."""
        self.beyond += _beyond_knee(logs)
        self.steps += 1

    def note_held_out(self, held_out: Mapping[str, float], *, at_reference: bool) -> None:
        """Notes the logs of the held-out pairs.

        Args:
            held_out: The logs.
            at_reference: Whether nothing has been learned yet.
        """
        self.held_out_loss = held_out["loss"]
        if at_reference:
            self.at_reference = held_out["loss"]
        self.passed_knee |= _beyond_knee(held_out) > MAX_BEYOND_KNEE

    def close_window(self) -> None:
        """At a checkpoint: judges the steps since the last one."""
        self.passed_knee |= self.beyond > MAX_BEYOND_KNEE * max(1, self.steps)
        self.beyond, self.steps = 0.0, 0

    @property
    def diverged(self) -> bool:
        """Whether the run counts as diverged."""
        worse = (
            self.held_out_loss is not None
            and self.at_reference is not None
            and self.held_out_loss > self.at_reference
        )
        return self.passed_knee or worse


def _beyond_knee(logs: Mapping[str, float]) -> float:
    """Of the two sides the worse one."""
    return max(logs.get("winner/beyond_knee", 0.0), logs.get("loser/beyond_knee", 0.0))

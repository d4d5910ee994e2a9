"""What is logged of a step, and the file it goes to.

`metrics.jsonl` is one line a step, each written whole. The state of a run holds the lines up to its step: a
resumed run begins the file anew with them, whatever became of it.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.core import store
from benchmark.core.errors import UnreadableFileError
from trainers.divergences import Divergence
from trainers.preference_logs import log_ratio_summary

QUARTERS = 4
Metrics = dict[str, float | int | bool | None]


def quarter_logs(
    divergence: Divergence,
    s_w: Float[Tensor, "draws n"],
    s_l: Float[Tensor, "draws n"],
    level: Float[Tensor, "draws n"],
) -> dict[str, float]:
    """The summaries of s, winner and loser apart, for each quarter of the noise levels that was drawn.

    `t1` is the quarter with the least noise, `t4` the one with the most.
    """
    quarter = (level * QUARTERS).floor()
    logs: dict[str, float] = {}
    for q in range(QUARTERS):
        inside = quarter == q
        if not bool(inside.any()):
            continue
        for side, s in (("winner", s_w), ("loser", s_l)):
            summary = log_ratio_summary(divergence, s[inside])
            logs |= {f"t{q + 1}/{side}/{key}": float(value) for key, value in summary.items()}
    return logs


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


def floats(logs: Mapping[str, Tensor]) -> dict[str, float]:
    """Named scalars as numbers, with one wait for the device."""
    values = torch.stack([value.detach().float() for value in logs.values()]).tolist() if logs else []
    return dict(zip(logs, values, strict=True))

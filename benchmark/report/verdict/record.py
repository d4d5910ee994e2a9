"""What was compared, with the verdict on it."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.core.hashing import plain
from benchmark.gate.decision import Verdict

SCHEMA_VERSION = 1
"""Of the JSON; raised when a key changes its meaning or goes."""


@dataclass(frozen=True)
class GateReport:
    """A verdict and what it is about.

    Attributes:
        verdict: The gate's answer.
        kind: Two checkpoints, or two methods by their training runs.
        baseline: What was to be replaced: a checkpoint's id, or a method's name.
        candidate: What would replace it.
        suite: Prompt set and size, as in the score table.
        signature: Of the score tables compared.
        n_prompts: Prompts.
        images_per_prompt: K.
        baseline_runs: Training runs behind the baseline; 1 for a checkpoint.
        candidate_runs: The same of the candidate.
        notes: What a reader must know about this comparison.
        remedy: How to measure more, as an instruction; is told where the verdict is inconclusive.
    """

    verdict: Verdict
    kind: Literal["checkpoint", "method"]
    baseline: str
    candidate: str
    suite: str
    signature: str
    n_prompts: int
    images_per_prompt: int
    baseline_runs: int = 1
    candidate_runs: int = 1
    notes: tuple[str, ...] = ()
    remedy: str = ""


def verdict_record(report: GateReport) -> dict[str, Any]:
    """The report as plain values, for JSON; a number that is not known is None.

    Returns:
        `schema_version` and `outcome`, then the fields of :class:`GateReport` as they are called there.
    """
    record: dict[str, Any] = _known(plain(report))
    return {"schema_version": SCHEMA_VERSION, "outcome": report.verdict.outcome, **record}


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_known(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

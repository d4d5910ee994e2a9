"""The regression gate: may this candidate take the baseline's place?

    report = gate_evaluations(["runs/eval-old"], ["runs/eval-new"])

From top to bottom: ``evaluations`` finds whom a user means, ``differences`` holds their scores against each
other, ``margins`` says how large a drop matters, ``decision`` is the rule that makes it a verdict and was
fixed before the data. No model, no image; how a verdict is shown is `benchmark.report`'s.
"""

from benchmark.gate.decision import Finding, GateReport, Outcome, Verdict, decide
from benchmark.gate.differences import (
    checkpoint_bounds,
    gate_checkpoints,
    gate_methods,
    run_bounds,
    set_bounds,
)
from benchmark.gate.evaluations import SHAPES_GATED, gate_evaluations
from benchmark.gate.margins import default_margin

__all__ = [
    "SHAPES_GATED",
    "Finding",
    "GateReport",
    "Outcome",
    "Verdict",
    "checkpoint_bounds",
    "decide",
    "default_margin",
    "gate_checkpoints",
    "gate_evaluations",
    "gate_methods",
    "run_bounds",
    "set_bounds",
]

"""The regression gate: may this candidate take the baseline's place?

Pure functions of scores: no model, no image. The evidence is a difference with one-sided bounds for each
gated scorer (``evidence``); the rule that turns it into a verdict was fixed before the data (``decision``).
"""

from benchmark.gate.decision import Finding, Outcome, Verdict, decide
from benchmark.gate.evaluations import SHAPES_GATED, gate_evaluations
from benchmark.gate.evidence import (
    checkpoint_evidence,
    default_margin,
    run_evidence,
    set_evidence,
)
from benchmark.gate.tables import gate_checkpoints, gate_methods
from benchmark.report.verdict import (
    GateReport,
    InconclusiveAs,
    junit_text,
    print_verdict,
    verdict_markdown,
    verdict_record,
)

__all__ = [
    "SHAPES_GATED",
    "Finding",
    "GateReport",
    "InconclusiveAs",
    "Outcome",
    "Verdict",
    "checkpoint_evidence",
    "decide",
    "default_margin",
    "gate_checkpoints",
    "gate_evaluations",
    "gate_methods",
    "junit_text",
    "print_verdict",
    "run_evidence",
    "set_evidence",
    "verdict_markdown",
    "verdict_record",
]

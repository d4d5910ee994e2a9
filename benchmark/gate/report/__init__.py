"""A verdict as people, pages and programs read it: terminal, Markdown, JUnit XML, JSON.

All are pure functions of one :class:`GateReport`. Names in it (checkpoints, scorers, formulas) are text that
somebody else wrote.
"""

from benchmark.gate.report.junit import InconclusiveAs, junit_text
from benchmark.gate.report.markdown import verdict_markdown
from benchmark.gate.report.record import GateReport, verdict_record
from benchmark.gate.report.terminal import print_verdict

__all__ = [
    "GateReport",
    "InconclusiveAs",
    "junit_text",
    "print_verdict",
    "verdict_markdown",
    "verdict_record",
]

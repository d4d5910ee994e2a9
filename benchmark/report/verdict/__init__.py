"""A verdict as people, pages and programs read it: terminal, Markdown, JUnit XML, JSON.

All are pure functions of one :class:`GateReport`. Names in it (checkpoints, scorers, formulas) are text that
somebody else wrote.
"""

from benchmark.report.verdict.junit import InconclusiveAs, junit_text
from benchmark.report.verdict.markdown import verdict_markdown
from benchmark.report.verdict.record import GateReport, verdict_record
from benchmark.report.verdict.terminal import print_verdict

__all__ = [
    "GateReport",
    "InconclusiveAs",
    "junit_text",
    "print_verdict",
    "verdict_markdown",
    "verdict_record",
]

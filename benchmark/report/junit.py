"""The verdict as JUnit XML, which every CI can show."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Literal

from benchmark.gate import Finding, GateReport
from benchmark.report.verdict_texts import advice, clean, finding_numbers, headline

InconclusiveAs = Literal["error", "failure", "skipped"]
"""How an inconclusive scorer is marked."""


def junit_text(report: GateReport, *, inconclusive: InconclusiveAs = "error") -> str:
    """One testsuite with one testcase a scorer.

    A regression is a ``<failure>``. An inconclusive scorer is an ``<error>`` unless told otherwise: that is
    JUnit's word for a test that could not come to a result. It is never green by accident, and counted
    apart from regressions.

    Args:
        report: What to write; names are escaped, what XML cannot hold is replaced.
        inconclusive: ``failure`` for readers that know no errors, ``skipped`` for a CI that lets it through.

    Returns:
        The text of the file; ``type`` of a failure or error is the outcome.
    """
    verdict = report.verdict
    count = dict.fromkeys(("failure", "error", "skipped"), 0)
    suite = ET.Element("testsuite", name=f"fbench gate: {clean(report.candidate)}")
    _properties(suite, _facts(report))
    for finding in verdict.findings:
        case = ET.SubElement(
            suite, "testcase", classname=f"fbench.gate.{report.kind}", name=clean(finding.scorer)
        )
        _properties(case, _numbers(finding))
        if finding.outcome != "pass":
            mark = "failure" if finding.outcome == "regression" else inconclusive
            count[mark] += 1
            message = _message(finding)
            element = ET.SubElement(case, mark, type=finding.outcome, message=message)
            element.text = "\n".join([headline(report), message, *advice(report)])
        elif finding.note:
            ET.SubElement(case, "system-out").text = finding.note
    suite.attrib |= {
        "tests": str(len(verdict.findings)), "failures": str(count["failure"]),
        "errors": str(count["error"]), "skipped": str(count["skipped"]),
    }  # fmt: skip
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _properties(parent: ET.Element, values: Mapping[str, str]) -> None:
    listed = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(listed, "property", name=name, value=value)


def _facts(report: GateReport) -> dict[str, str]:
    return {
        "outcome": report.verdict.outcome,
        "kind": report.kind,
        "baseline": clean(report.baseline),
        "baseline_runs": str(report.baseline_runs),
        "candidate": clean(report.candidate),
        "candidate_runs": str(report.candidate_runs),
        "suite": clean(report.suite),
        "signature": clean(report.signature),
        **{f"note_{i}": clean(note) for i, note in enumerate(report.notes, start=1)},
    }


def _numbers(finding: Finding) -> dict[str, str]:
    """With all digits; what is not known is left out."""
    bounds = finding.bounds
    values = {
        "difference": bounds.value, "lower": bounds.lower, "upper": bounds.upper, "margin": finding.margin,
        "p_value": finding.p_value, "detectable_drop": finding.detectable,
        "unchanged_passes": finding.unchanged_passes,
    }  # fmt: skip
    return {"outcome": finding.outcome} | {k: f"{v:.9g}" for k, v in values.items() if not math.isnan(v)}


def _message(finding: Finding) -> str:
    listed = ", ".join(f"{name} {value}" for name, value in finding_numbers(finding).items())
    return f"{clean(finding.scorer)}: {listed}" + (f"; {finding.note}" if finding.note else "")

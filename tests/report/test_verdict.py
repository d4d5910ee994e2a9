"""What every form of a verdict keeps: its outcomes, its numbers, and names that somebody else wrote."""

import io
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from benchmark.core.hashing import plain
from benchmark.gate import GateReport, decide
from benchmark.gate.decision import SMALL_DECLINE
from benchmark.report import verdict_texts
from benchmark.report.data_files import verdict_record
from benchmark.report.junit import InconclusiveAs, junit_text
from benchmark.report.markdown import verdict_markdown
from benchmark.report.terminal import print_verdict
from benchmark.stats.one_sided import UNBOUNDED, Bounds, t_bounds
from benchmark.stats.power import pass_probability
from benchmark.stats.training_runs import Difference

HOSTILE = (
    "a|b", "<script>alert(1)</script>", '"]]>&amp;\'', "line\nbreak\r\n| x |", "bell\x07 \x1b[2J\x00",
    "\u202egnihton", "`code` *bold* [x](y) #1 @all", "\ud800 half", "\ufffe\uffff", "ünïcode ✓ 漢字",
    "x" * 300, "{% raw %} $x$ ::error::",
)  # fmt: skip
SCORERS = ("true_reward", "oracle", "true_diversity", "scene_rate")
MARGIN = 0.2


def bounds(value: float, se: float, df: float = 20.0) -> Bounds:
    return t_bounds(Difference(value, se, df))


FINE, DECLINED, WORSE, DOUBT = bounds(0, 0.01), bounds(-0.1, 0.02), bounds(-0.9, 0.05), bounds(-0.1, 0.3)
NEAR = bounds(-0.13, 0.06)
CASES = {
    "pass": (FINE, FINE, FINE, FINE),
    "declined": (FINE, DECLINED, FINE, FINE),
    "regression": (WORSE, FINE, DOUBT, WORSE),
    "inconclusive": (FINE, DOUBT, DOUBT, FINE),
    "near": (NEAR, FINE, FINE, FINE),
    "unknown": (FINE, UNBOUNDED, FINE, FINE),
    "both": (UNBOUNDED, DOUBT, FINE, DECLINED),
    "exact": (bounds(0.0, 0.0), bounds(-1.0, 0.0), FINE, FINE),
}


def report(case: Sequence[Bounds], names: Sequence[str] = SCORERS, **fields: object) -> GateReport:
    verdict = decide(dict(zip(names, case, strict=False)), dict.fromkeys(names, MARGIN))
    made = GateReport(
        verdict, "method", "reverse_kl", "expr:u*log(u)-(u+1)*log((u+1)/2)",
        "shapes-core@1: 96 prompts x 4 images", "fbench:1.0|set:shapes-core@1:96x4|cfg:3.0", 96, 4, 8, 3,
        remedy="Train more seeds: --seeds 0-7.",
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


ALL = {name: report(case) for name, case in CASES.items()}
ALL["hostile"] = report(
    [FINE, WORSE, DOUBT] * 4, HOSTILE, baseline=HOSTILE[1], candidate=HOSTILE[4], suite=HOSTILE[3],
    signature=HOSTILE[0], notes=HOSTILE,
)  # fmt: skip
CHECKPOINTS = replace(ALL["inconclusive"], kind="checkpoint", baseline_runs=1, candidate_runs=1)

every = pytest.mark.parametrize("told", ALL.values(), ids=ALL)


def screen(told: GateReport, width: int = 80) -> list[str]:
    file = io.StringIO()
    print_verdict(told, Console(file=file, width=width, highlight=False))
    return file.getvalue().splitlines()


def suite_of(told: GateReport, **options: InconclusiveAs) -> ET.Element:
    root = ET.fromstring(junit_text(told, **options))
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    return suite


def properties(element: ET.Element) -> dict[str, str]:
    return {p.attrib["name"]: p.attrib["value"] for p in element.findall("properties/property")}


# --- JUnit ------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("inconclusive", ["error", "failure", "skipped"])
def test_junit_counts_agree_with_the_verdict(told: GateReport, inconclusive: InconclusiveAs) -> None:
    suite = suite_of(told, inconclusive=inconclusive)
    cases = suite.findall("testcase")
    outcomes = Counter(finding.outcome for finding in told.verdict.findings)
    expected = Counter({"failure": outcomes["regression"]}) + Counter(
        {inconclusive: outcomes["inconclusive"]}
    )
    for mark, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        marked = [case for case in cases if case.find(mark) is not None]
        assert len(marked) == int(suite.attrib[attribute]) == expected[mark]
    assert int(suite.attrib["tests"]) == len(cases) == len(told.verdict.findings)
    for case, finding in zip(cases, told.verdict.findings, strict=True):
        marks = [child for child in case if child.tag in ("failure", "error", "skipped")]
        assert [mark.attrib["type"] for mark in marks] == [finding.outcome] * (finding.outcome != "pass")


@every
def test_junit_is_green_for_a_pass_alone(told: GateReport) -> None:
    suite = suite_of(told)
    green = suite.attrib["failures"] == suite.attrib["errors"] == suite.attrib["skipped"] == "0"
    assert green == (told.verdict.outcome == "pass")
    assert (suite.attrib["failures"] != "0") == (told.verdict.outcome == "regression")


@every
def test_junit_carries_signature_and_numbers(told: GateReport) -> None:
    suite = suite_of(told)
    facts = properties(suite)
    assert facts["signature"] == verdict_texts.clean(told.signature)
    assert facts["outcome"] == told.verdict.outcome
    assert (facts["baseline_runs"], facts["candidate_runs"]) == ("8", "3")
    for case, finding in zip(suite.findall("testcase"), told.verdict.findings, strict=True):
        numbers = properties(case)
        assert float(numbers["margin"]) == finding.margin
        known = finding.bounds.value == finding.bounds.value
        assert ("lower" in numbers) == known
        if known:
            assert float(numbers["lower"]) == pytest.approx(finding.bounds.lower)
            assert float(numbers["unchanged_passes"]) == pytest.approx(finding.unchanged_passes)


def test_names_that_xml_can_hold_come_back_from_junit_as_they_are() -> None:
    names = ["a|b", "<script>alert(1)</script>", "\"]]>&amp;'", "ünïcode ✓ 漢字", "x" * 300]
    suite = suite_of(report([WORSE] * 5, names, candidate=names[1]))
    assert [case.attrib["name"] for case in suite.findall("testcase")] == names
    assert properties(suite)["candidate"] == names[1]
    assert all(
        name in (failure.text or "") for name, failure in zip(names, suite.iter("failure"), strict=True)
    )


# --- Markdown ---------------------------------------------------------------------------------


@every
def test_markdown_has_one_whole_row_a_scorer(told: GateReport) -> None:
    text = verdict_markdown(told)
    text.encode()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(told.verdict.findings)
    cells = [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows]
    assert {len(row) for row in cells} == {9}
    outcomes = [row[1].strip().strip("*") for row in cells[2:]]
    assert outcomes == [finding.outcome for finding in told.verdict.findings]
    assert text.startswith(f"### {told.verdict.outcome.upper()}")


def test_nothing_in_a_name_is_markup() -> None:
    text = verdict_markdown(ALL["hostile"])
    for sign in "<>`[]#":
        assert re.search(rf"(?<!\\)\{sign}", text.removeprefix("### ")) is None, sign
    assert "\x1b" not in text
    assert "\u202e" not in text


# --- the screen -------------------------------------------------------------------------------


@every
def test_the_screen_says_the_outcome_first_and_fits(told: GateReport) -> None:
    lines = screen(told)
    assert lines[0].startswith(told.verdict.outcome.upper())
    assert len(verdict_texts.headline(told)) <= 80
    signature = verdict_texts.clean(told.signature)
    assert lines[-1] == signature
    long_name = "x" * 80
    assert max(len(line) for line in lines if line != signature and long_name not in line) <= 80
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("name", CASES)
def test_the_usual_verdict_is_one_screen(name: str) -> None:
    text = screen(ALL[name])
    assert len(text) <= (24 if ALL[name].verdict.outcome == "pass" else 28)
    rows = [line.split()[0] for line in text]
    assert [row for row in rows if row in SCORERS] == list(SCORERS)


def test_notes_and_power_are_told() -> None:
    declined = " ".join(screen(ALL["declined"]))
    assert f"oracle: {SMALL_DECLINE}." in declined
    assert f"PASS, with a {SMALL_DECLINE} on oracle" in declined
    assert "passes on all of them: at least 0.99." in declined
    noted = screen(replace(ALL["pass"], notes=("Two runs diverged.",)))
    assert "Two runs diverged." in noted


def test_a_narrow_terminal_folds_names_and_keeps_numbers() -> None:
    told = report([WORSE, DOUBT], ["true_reward_heldout_of_mine", "attribute_diversity"])
    text = "\n".join(screen(told, width=72))
    assert "…" not in text
    assert "-0.900" in text


# --- what to do next --------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_advice_is_for_the_inconclusive(name: str) -> None:
    told = ALL[name]
    assert bool(verdict_texts.advice(told)) == (told.verdict.outcome == "inconclusive")


def test_advice_tells_little_data_from_a_drop_near_the_margin() -> None:
    (small,) = verdict_texts.advice(ALL["inconclusive"])
    assert small.startswith("Too little data")
    assert small.endswith("--seeds 0-7.")
    (near,) = verdict_texts.advice(ALL["near"])
    assert "declined by something near the margin" in near
    (unknown,) = verdict_texts.advice(ALL["unknown"])
    assert unknown.startswith("No bound for oracle")
    assert [line.split()[0] for line in verdict_texts.advice(ALL["both"])] == ["No", "Too"]
    (prompts,) = verdict_texts.advice(CHECKPOINTS)
    assert re.search(r"about [\d.]+ times as many prompts", prompts)


def test_the_advised_size_lets_an_unchanged_candidate_pass() -> None:
    findings = report([bounds(0, 0.15, 1e6), bounds(0, 0.15, 1e6)], ["a", "b"]).verdict.findings
    se = 0.15 / verdict_texts._times_smaller(findings)
    assert pass_probability(se, 1e6, MARGIN) ** 2 == pytest.approx(0.8, abs=1e-3)


# --- JSON -------------------------------------------------------------------------------------


@every
def test_json_has_every_number_and_no_nan(told: GateReport) -> None:
    text = json.dumps(plain(verdict_record(told)), allow_nan=False)
    back = json.loads(text)
    assert back["outcome"] == told.verdict.outcome
    for found, finding in zip(back["verdict"]["findings"], told.verdict.findings, strict=True):
        assert found["scorer"] == finding.scorer
        lower = finding.bounds.lower
        assert found["bounds"]["lower"] == (lower if lower == lower else None)

"""`fbench regress`: what it refuses, plans, and how it ends; training: tests/workflows/test_regress.py."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import Result

from benchmark.core.resources import baselines_folder
from benchmark.gate import GateReport, gate_methods
from benchmark.leaderboard import join_tables, read_score_table
from benchmark.workflows.regress import study

Fbench = Callable[..., Result]
Refused = Callable[..., str]

WRONG = """
import torch
from trainers.divergences import Divergence

class Wrong(Divergence):
    '''h is not f' - f'(1): it is twice that.'''
    name, symmetric, f_prime_at_0, reference = "wrong", False, -float("inf"), "nobody"
    def f(self, u): return u * torch.log(u)
    def exact_h(self, s): return 2 * s
    def exact_slope(self, s): return 2 * torch.ones_like(s)
"""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--divergence is missing"),
        (("--divergence", "reverse_kk"), "reverse_kl"),
        (("--divergence", "expr: log(u)"), "onvex"),
        (("--divergence", "expr: u*log(u", ), "expr"),
        (("--divergence", "WRONG"), "f'(e^s) - f'(1)"),
        (("--divergence", "jeffreys", "--baseline", "no-such"), "allowed: jensen_shannon, reverse_kl"),
        (("--divergence", "jeffreys", "--seeds", "0,1"), "at least 3"),
        (("--divergence", "jeffreys", "--seeds", "zero"), "--seeds"),
        (("--divergence", "jeffreys", "--seeds", "3-1"), "--seeds is '3-1'"),
        (("--divergence", "jeffreys", "--scorers", "oracel"), "oracle"),
        (("--divergence", "jeffreys", "--margin", "oracle"), "SCORER=VALUE"),
        (("--divergence", "jeffreys", "--margin", "hps=1"), "hps"),
        (("--divergence", "jeffreys", "--junit", "."), "is a folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_gated_is_one_line_and_trains_nothing(
    refused: Refused, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    given = [word.replace("WRONG", f"{tmp_path / 'wrong.py'}:Wrong") for word in words]
    assert told in refused("regress", *given, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_plan_says_what_is_trained_and_against_what(fbench: Fbench, tmp_path: Path) -> None:
    words = ("regress", "--divergence", "expr: u*log(u)", "--seeds", "0-4", "--out", tmp_path / "out")
    plan = fbench(*words, "--dry-run")
    assert plan.exit_code == 0, plan.output
    assert "seeds 0, 1, 2, 3, 4" in plan.stdout
    assert "against 8 runs of reverse_kl" in plan.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("drop", [0.0, 2.0, 1.0])
def test_the_exit_code_and_the_files_are_the_verdict(
    fbench: Fbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drop: float
) -> None:
    """Committed runs of Jensen-Shannon stand in for a candidate's, made worse by so many margins."""
    monkeypatch.setattr(study, "regress", lambda what: _as_if_trained(what, drop))
    files = tmp_path / "gate.xml", tmp_path / "gate.md"
    words = ("--scorers", "true_taste,oracle", "--junit", files[0], "--markdown", files[1])
    told = fbench("regress", "--divergence", "jensen_shannon", *words, "--out", tmp_path / "out", "--json")
    report = json.loads(told.stdout)
    codes = {"pass": 0, "regression": 1, "inconclusive": 3}
    assert told.exit_code == codes[report["outcome"]]
    if drop != 1.0:
        assert report["outcome"] == ("regression" if drop else "pass")
    suite = ET.parse(files[0]).getroot()
    failures = [case for case in suite.iter("testcase") if case.find("failure") is not None]
    assert bool(failures) == (report["outcome"] == "regression")
    assert report["outcome"] in files[1].read_text().lower()


def _as_if_trained(what: study.Regress, drop: float) -> GateReport:
    baseline, other = (
        read_score_table(baselines_folder() / name) for name in ("reverse_kl", "jensen_shannon")
    )
    rows = other.rows.copy()
    margins = {"true_taste": 0.1, "oracle": 0.038}
    for scorer, margin in margins.items():
        rows.loc[(rows["scorer"] == scorer) & (rows["checkpoint"] != "base"), "value"] -= drop * margin
    table = join_tables([baseline, replace(other, rows=rows)])
    ours, theirs = (
        [c.id for c in t.checkpoints if not c.is_base] for t in (other, baseline)
    )  # fmt: skip
    return GateReport(
        gate_methods(table, theirs, ours[:4], what.scorers, margins=margins), "method", what.baseline,
        what.divergence, table.suite, table.signature, table.n_prompts, table.images_per_prompt, 8, 4,
    )  # fmt: skip

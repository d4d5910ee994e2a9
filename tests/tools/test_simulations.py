"""The simulations' machinery: chunks that are kept, sums, the page's block; and each case, very small."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import UnknownNameError, UnreadableFileError, UserError
from benchmark.workflows.regress import baselines
from tools.simulations import gating, running, spreads
from tools.simulations.cases import Draw, Outcome, clustered, noise
from tools.simulations.report import (
    BEGIN,
    END,
    beside_others,
    kept_its_word,
    markdown,
    record,
    wilson,
    write,
)
from tools.simulations.running import CASES, CaseResult, Chunk, plan, simulate


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK", 4)


TABLES = {
    "means": 100,
    "resamples": 20,
    "iso": 40,
    "best": 60,
    "gate": 60,
    "drops": 60,
    "checkpoints": 60,
    "claim": 40,
}
"""Of each case here; 200 where nothing is said. At full size they are in the guide."""


@pytest.mark.parametrize("name", CASES)
def test_the_statistics_keep_their_word(name: str) -> None:
    """Every share that is asked for, as far as few tables can tell: its 99.99 % interval reaches there."""
    tables = TABLES.get(name, 200)
    outcomes = list(CASES[name].run(Draw(np.random.default_rng(0), tables, 99, 1)))
    assert len({(o.row, o.column) for o in outcomes}) == len(outcomes) > 0
    assert all(o.n % tables == 0 and 0 <= o.hits <= o.n and o.least <= o.most for o in outcomes)
    assert [o for o in outcomes if kept_its_word(o, level=0.9999) is False] == []


def test_a_study_goes_on_where_it_was_and_grows(few: None, tmp_path: Path) -> None:
    first = simulate(plan(["methods"], 4, 50, tmp_path), 1)
    (kept,) = tmp_path.iterdir()
    stamp = kept.stat().st_mtime_ns
    grown = simulate(plan(["methods"], 9, 50, tmp_path), 1)
    assert kept.stat().st_mtime_ns == stamp
    assert [o.n for o in first[0].outcomes] == [4] * len(first[0].outcomes)
    assert [o.n for o in grown[0].outcomes] == [12] * len(first[0].outcomes)
    kept.unlink()
    again = simulate(plan(["methods"], 9, 50, tmp_path), 1)
    assert again[0].outcomes == grown[0].outcomes


def test_every_worker_has_a_part_of_every_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dealt: list[list[str]] = []

    def instead(work: Callable[[list[Chunk]], None], parts: list[list[Chunk]]) -> None:
        dealt.extend(sorted({chunk.case for chunk in part}) for part in parts)
        for part in parts:
            work(part)

    monkeypatch.setattr(running, "CHUNK", 1)
    monkeypatch.setattr(running, "run_workers", instead)
    results = simulate(plan(["methods", "sets"], 3, 50, tmp_path), 2)
    assert dealt == [["methods", "sets"], ["methods", "sets"]]
    assert [result.case for result in results] == ["methods", "sets"]
    assert len(list(tmp_path.iterdir())) == 6


def test_other_resamples_or_another_setting_are_another_study(
    few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [plan(["gate"], 1, resamples, tmp_path)[0].path for resamples in (50, 60)]
    monkeypatch.setitem(CASES, "gate", replace(CASES["gate"], setting="Another."))
    paths.append(plan(["gate"], 1, 50, tmp_path)[0].path)
    assert len(set(paths)) == 3


def test_an_unknown_case_is_named() -> None:
    with pytest.raises(UnknownNameError, match="simulation"):
        plan(["gates"], 1, 50, Path())


def test_the_gate_is_simulated_on_the_budget_of_regress() -> None:
    budget = (gating.CANDIDATES, gating.BASELINES, gating.PROMPTS)
    assert budget == (len(baselines.SEEDS), len(baselines.BASELINE_SEEDS), baselines.EVALUATION["limit"])
    assert baselines.EVALUATION["images_per_prompt"] == gating.IMAGES


def test_the_gate_is_simulated_with_the_spreads_of_the_committed_baselines() -> None:
    """Whoever makes the baselines anew copies what `python -m tools.simulations.spreads` prints."""
    assert tuple(spreads.SPREADS) == baselines.SCORERS
    assert spreads.measured() == spreads.SPREADS


def test_spreads_are_found_again_in_runs_of_known_ones() -> None:
    """Two methods over eight seeds: seeds differ by 0.3, runs on a prompt by 0.5, prompts respond by 0.4."""
    generator = np.random.default_rng(0)
    prompts = generator.normal(size=2000)
    runs = [
        generator.normal(0, 0.3, (8, 1)) + prompts + response + generator.normal(0, 0.5, (8, 2000))
        for response in (0.0, generator.normal(0.2, 0.4, 2000))
    ]
    rest, seeds = spreads.variances_of(runs[0])
    assert rest == pytest.approx(0.25, rel=0.05)
    assert 0.1 < seeds**0.5 < 0.5
    assert spreads.response_of(*runs) == pytest.approx(0.16, rel=0.1)
    base = prompts + generator.normal(0, 0.5, 2000)
    assert spreads._from_base(runs[1], base) == pytest.approx(0.16, rel=0.2)
    runs[0][3, :500] = np.nan
    assert spreads._complete_share(*runs) == pytest.approx((0.75 + (0.5 + 0.5 * 0.75)) / 2, abs=0.05)


@pytest.mark.parametrize("shape", ["normal", "gamma", "log-normal"])
def test_noise_has_mean_0_and_variance_1(shape: str) -> None:
    drawn = noise(np.random.default_rng(0), shape, (200_000,))  # type: ignore[arg-type]
    assert drawn.mean() == pytest.approx(0.0, abs=0.02)
    assert drawn.var() == pytest.approx(1.0, abs=0.15)
    cells = clustered(np.random.default_rng(0), shape, (1, 4000, 4))[0]  # type: ignore[arg-type]
    assert cells.var(axis=1, ddof=1).mean() == pytest.approx(0.5, rel=0.2)


def test_wilson_equals_statsmodels() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for hits, n in ((0, 10), (3, 10), (50, 50), (3800, 4000)):
        theirs = proportion.proportion_confint(hits, n, method="wilson")
        assert wilson(hits, n) == pytest.approx(theirs, abs=1e-9)


def test_a_word_is_broken_only_beyond_chance() -> None:
    asked = Outcome("x", "y", 940, 1000, 0.95, 1.0)
    assert kept_its_word(asked)
    assert not kept_its_word(replace(asked, hits=920))
    assert kept_its_word(replace(asked, hits=920), level=0.99999)
    assert kept_its_word(replace(asked, least=0.0)) is None


def test_what_a_column_is_asked_stands_in_its_head_once() -> None:
    outcomes = (
        Outcome("a", "covers", 950, 1000, 0.93, 0.97),
        Outcome("b", "covers", 900, 1000, 0.93, 0.97),
        Outcome("a", "passes", 850, 1000, 0.8),
        Outcome("b", "passes", 100, 1000),
        Outcome("b", "found", 300, 1000),
    )
    text = markdown(record([CaseResult("case", "What.", 1.0, outcomes)], 1000, 50, "it"))
    assert "1,000 tables a setting unless said otherwise, 50 resamples" in text
    assert text.splitlines()[-4:] == [
        "| | covers (93 to 97) | passes | found |",
        "| :-- | --: | --: | --: |",
        "| a | 95.0 | 85.0 (≥ 80) |  |",
        "| b | 90.0 ✗ | 10.0 | 30.0 |",
    ]


def test_the_page_is_changed_between_the_marks_only(few: None, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    study = record(simulate(plan(["methods"], 1, 50, tmp_path / "out"), 1), 4, 50, "python -m it")
    write(study, tmp_path / "simulations.json", page)
    assert json.loads((tmp_path / "simulations.json").read_text()) == study
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\nMade by `python -m it`")
    assert text.endswith(f"{END}\nafter\n")
    assert markdown(study) in text
    assert "old" not in text
    page.write_text("no block")
    with pytest.raises(UnreadableFileError, match="block of simulations"):
        write(study, tmp_path / "simulations.json", page)


def test_some_cases_again_leave_the_others_as_they_are_recorded(tmp_path: Path) -> None:
    def study(tables: int, **hits: int) -> dict[str, object]:
        results = [CaseResult(n, "What.", 1.0, (Outcome("a", "covers", h, 100),)) for n, h in hits.items()]
        return record(results, tables, 50, "it")

    path = tmp_path / "simulations.json"
    order = ["means", "gate", "drops"]
    assert beside_others(study(100, gate=1), path, order) == study(100, gate=1)
    write(study(100, means=90, gate=80), path, None)
    again = beside_others(study(100, drops=20, gate=70), path, order)
    assert again == study(100, means=90, gate=70, drops=20)
    text = markdown(beside_others(study(20, gate=15), path, order))
    assert "### means\n\nWhat.\n" in text
    assert "### gate\n\nWhat. 20 tables.\n" in text
    with pytest.raises(UserError, match="allowed: 50, as"):
        beside_others({**study(100, gate=70), "resamples": 60}, path, order)

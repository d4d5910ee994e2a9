"""The claim study on simulated members whose truth is known, and its files."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.core.errors import ConfigError, MissingFileError, NotComparableError, UnreadableFileError
from benchmark.core.records import UNDEFINED, Checkpoint, ScorerColumn, ScoreRow
from benchmark.leaderboard import ScoreTable, rows_to_frame
from benchmark.leaderboard.equal_level import sweeps_of
from benchmark.leaderboard.frontiers import guidance_point
from benchmark.leaderboard.optimum_lines import EFFECTIVE_SHARE, optimum_column, optimum_point
from benchmark.stats.sweeps import Sweep
from tools.simulations import claim
from tools.simulations.claim import simulated_sweeps
from tools.studies.claim.analysis import findings, verdicts
from tools.studies.claim.design import (
    BASE,
    CLAIMED,
    DIVERGENCES,
    REFERENCE,
    TEST,
    Design,
    Member,
    study_units,
)
from tools.studies.claim.explained import explained
from tools.studies.claim.grid import LADDER, TRIED, betas_for, choose, read_grid, write_grid
from tools.studies.claim.members import compact, is_kept, keep
from tools.studies.claim.page import mark, read_evidence
from tools.studies.claim.questions import ORDER, QUESTIONS, TREND, against, all_answers
from tools.studies.claim.records import Findings
from tools.studies.claim.sweeps import Evidence, evidence, method, narrowed, on_prompts
from tools.studies.claim.tables import block_elsewhere, whole_block
from tools.studies.claim.work import Clock, deadline_of

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results" / "claim"
SIZE = (5, 40)
BETAS = (0.8, 0.4, 0.2, 0.1)
COLUMNS = (
    ScorerColumn("true_taste", "1", "preference", "prompt", True, primary=True),
    ScorerColumn("true_diversity", "1", "diversity", "prompt", True, primary=True),
)


def members(*more: float, seed: int = 0, size: tuple[int, int] = SIZE) -> Evidence:
    """Members of which each divergence keeps so much more than reverse KL at half of the range."""
    true = (0.0, *more, *[0.0] * (len(DIVERGENCES) - 1 - len(more)))
    sweeps = simulated_sweeps(np.random.default_rng(seed), true, size)
    return evidence(table_of(sweeps), {}, range(size[0]))


def table_of(sweeps: Sequence[Sweep]) -> ScoreTable:
    base = Checkpoint("base", "shapes")
    seeds = range(sweeps[0].level.shape[1])
    made = [base]
    rows = _rows(base, [sweeps[0].level[0, 0], sweeps[0].outcome[0, 0]])
    for divergence, sweep in zip(DIVERGENCES, sweeps, strict=True):
        for i, beta in enumerate(BETAS, start=1):
            for s in seeds:
                numbers = {"beta": beta, "seed": s, "diverged": False}
                made.append(
                    Checkpoint(f"{divergence}-{beta:g}-{s}", "shapes", "f_dpo", divergence, numbers, 48)
                )
                rows += _rows(made[-1], [sweep.level[i, s], sweep.outcome[i, s]])
    prompts = sweeps[0].level.shape[2]
    tags = {f"p{p:03d}": ("count_1", f"open_{p % 5}") for p in range(prompts)}
    return ScoreTable(
        rows_to_frame(rows), f"simulated@1: {prompts} prompts x 8 images", "fbench:1.0|cfg:2.0", tuple(made),
        COLUMNS, prompts, 8, tags=tags,
    )  # fmt: skip


def _rows(checkpoint: Checkpoint, values: Sequence[np.ndarray]) -> list[ScoreRow]:
    return [
        ScoreRow(checkpoint.id, column.name, "1", f"p{p:03d}", None, None, "missing", UNDEFINED)
        if np.isnan(value)
        else ScoreRow(checkpoint.id, column.name, "1", f"p{p:03d}", None, float(value))
        for column, of in zip(COLUMNS, values, strict=True)
        for p, value in enumerate(of)
    ]


def found(own: Evidence, resamples: int = 200) -> Findings:
    return findings(own, "the command", "cpu", resamples=resamples)


def test_a_known_difference_is_found_and_decides() -> None:
    best = found(members(0.15))
    js, order, same = best.verdicts
    assert [v.word for v in (js, same)] == ["supported", "refuted"]
    assert found(members(0.0, 0.15)).verdicts[0].word == "refuted"
    half = {a.name: a for a in best.answers if a.question == "taste" and a.share == 0.5}
    lead = half[method("jensen_shannon")]
    assert lead.lo is not None
    assert lead.hi is not None
    assert lead.lo <= 0.15 <= lead.hi
    assert lead.sign == 1
    assert lead.components is not None
    assert order.word in ("undecided", "supported", "refuted")


def test_theorys_order_is_seen_from_either_end() -> None:
    ranks = {name: len(ORDER) - i for i, name in enumerate(ORDER)}
    step = 0.06
    true = [step * (ranks[name] - ranks[REFERENCE]) for name in DIVERGENCES[1:]]
    assert found(members(*true)).verdicts[1].word == "supported"
    assert found(members(*(-value for value in true))).verdicts[1].word == "refuted"


def test_without_a_difference_intervals_hold_and_nothing_is_refuted() -> None:
    """96 contrasts of 24 studies at 95 %, and 24 families of four at 95 % together."""
    held, refuted = [], 0
    for seed in range(24):
        sweeps = members(seed=seed).over_beta("true_taste", "true_diversity")
        answers = list(against("x", sweeps, method(REFERENCE), (0.5,), resamples=150))
        held += [a.sign == 0 for a in answers]
        decided = list(
            against(f"decided against {REFERENCE}", sweeps, method(REFERENCE), (0.5,), 0.9875, 150)
        )
        refuted += verdicts(decided)[2].word == "refuted"
    assert len(held) == 96
    assert np.mean(held) >= 0.88
    assert refuted <= 4


def test_equal_curves_within_the_margin_are_one() -> None:
    sweeps = members().over_beta("true_taste", "true_diversity")
    own = next(s for s in sweeps if s.name == method(REFERENCE))
    copies = [replace(own, name=s.name, outcome=own.outcome.copy()) for s in sweeps]
    decided = list(against(f"decided against {REFERENCE}", copies, method(REFERENCE), (0.5,), 0.9875, 100))
    assert verdicts(decided)[2].word == "supported"


def test_what_lies_beside_the_curves_is_placed_on_the_right_side() -> None:
    """Lines, other objectives, no training, and half-way checkpoints, each with diversity moved by 0.3."""
    own = members(0.15)
    curve = next(s for s in own.over_beta("true_taste", "true_diversity") if s.name == method(REFERENCE))
    level, outcome = curve.level[3], curve.outcome[3]
    table, base = own.table, own.table.checkpoints[0]
    made, rows = list(table.checkpoints), [table.rows]
    for s in range(SIZE[0]):
        made.append(Checkpoint(f"sft-{s}", "shapes", "sft", None, {"seed": s}, 48))
        rows.append(rows_to_frame(_rows(made[-1], [level[s], outcome[s] + 0.3])))
        for d in DIVERGENCES:
            numbers = {"beta": BETAS[-1], "seed": s}
            made.append(Checkpoint(f"{d}-half-{s}", "shapes", "f_dpo", d, numbers, 24))
            rows.append(rows_to_frame(_rows(made[-1], [level[s], outcome[s]])))
    whole = replace(table, checkpoints=tuple(made), rows=pd.concat(rows, ignore_index=True))
    guided = guidance_point(base, 3.0)
    plain = [curve.level[0, 0], curve.outcome[0, 0]]
    guidance = replace(
        table, checkpoints=(base, guided),
        rows=rows_to_frame([*_rows(base, plain), *_rows(guided, [plain[0] + 0.1, plain[1] - 0.3])]),
    )  # fmt: skip
    found = evidence(whole, {"guidance": guidance, "closed-form": _lines(base, plain)}, range(SIZE[0]))
    answers = list(all_answers(found, 200))
    beside = {a.name: a.sign for a in answers if a.question == "beside"}
    assert beside == {"sft": 1, "guidance": -1}
    from_lines = {a.name: a.sign for a in answers if (a.question, a.share) == ("closed form", 0.5)}
    assert from_lines[method("jensen_shannon")] == 1
    assert sum(sign == 0 for sign in from_lines.values()) >= 3
    steps = [a for a in answers if a.question == "along training"]
    assert len(steps) == 3 * (len(DIVERGENCES) - 1)
    assert all(a.difference is not None for a in steps)


def _lines(base: Checkpoint, plain: Sequence[np.ndarray]) -> ScoreTable:
    """The optimum under every divergence, on the curve that the members have without a difference."""
    points, rows = [base], _rows(base, plain)
    for divergence in DIVERGENCES:
        for beta in (1.0, 0.5):
            points.append(optimum_point(base, divergence, divergence, beta, "true_taste", 64))
            gain = 0.125 / beta
            rows += _rows(points[-1], [plain[0] + gain, plain[1] - 0.75 * gain])
    shares = [ScoreRow(c.id, EFFECTIVE_SHARE, "1", "p000", None, 0.9) for c in points]
    columns = (*COLUMNS, optimum_column(EFFECTIVE_SHARE))
    return ScoreTable(rows_to_frame([*rows, *shares]), "s", "sig", tuple(points), columns, SIZE[1], 8)


def sweep(name: str, at: Sequence[float], more: float = 0.0) -> Sweep:
    """Points of the curve y = -x, raised by `more`, of 4 seeds and 6 prompts."""
    level = np.broadcast_to(np.array([0.0, *at])[:, None, None], (len(at) + 1, 4, 6)).copy()
    raised = np.array([0.0, *[more] * len(at)])[:, None, None]
    points = ("base", *(f"beta {beta:g}" for beta in BETAS))
    return Sweep(name, level, -level + raised, points)


def test_another_beta_explains_all_or_nothing() -> None:
    own = sweep("own", (0.05, 0.1, 0.15, 0.2))
    (moved,) = explained([own, sweep("other", (0.025, 0.05, 0.1, 0.15))], "own", resamples=20)
    assert moved.share == pytest.approx(1)
    assert moved.at_equal_beta == pytest.approx(np.mean([0.025, 0.05, 0.05, 0.05]))
    assert moved.at_equal_taste == pytest.approx(0)
    assert moved.effective[1:] == pytest.approx((0.8, 0.4, 0.2))
    (raised,) = explained([own, sweep("other", (0.05, 0.1, 0.15, 0.2), 0.03)], "own", resamples=20)
    assert raised.share == pytest.approx(0)
    assert raised.at_equal_taste == pytest.approx(0.03)


def test_betas_fall_and_spread_the_gains() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        gains = 0.3 * generator.random(4) - 0.05
        betas = betas_for(TRIED, gains.tolist())
        assert all(strong <= weak / 2 for weak, strong in pairwise(betas))
        assert all(np.log2(beta / LADDER) % 1 == 0 for beta in betas)


def test_the_grid_is_that_of_the_validation_runs(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="claim choose"):
        read_grid(tmp_path)
    tried = table_of(simulated_sweeps(np.random.default_rng(0), (0.0,) * 5, (1, 40)))
    columns = (*COLUMNS, *(replace(COLUMNS[1], name=name) for name in ("oracle", "scene_rate")))
    more = [
        tried.rows[tried.rows["scorer"] == "true_diversity"].assign(scorer=name)
        for name in ("oracle", "scene_rate")
    ]
    whole = replace(tried, columns=columns, rows=pd.concat([tried.rows, *more], ignore_index=True))
    grid = choose(whole)
    assert list(grid.betas) == list(DIVERGENCES)
    assert len(grid.tried) == 20
    write_grid(grid, tmp_path)
    assert read_grid(tmp_path) == grid


def test_every_stop_leaves_whole_seeds_first() -> None:
    betas = dict.fromkeys(DIVERGENCES, BETAS)
    units = study_units(betas)
    assert units[0].members == (Member(),)
    seeds = [member.seed for unit in units[1:] for member in unit.members]
    assert seeds == sorted(seeds)
    names = [member.name for unit in units for member in unit.members]
    assert len(set(names)) == len(names) == 1 + 8 * 24
    halfway = [m for unit in units for m in unit.members if m.halfway]
    assert {(m.objective, m.beta) for m in halfway} == {("f_dpo", 0.1)}
    design = Design(TEST, units, Path("out"), Path("results"))
    settings = [json.dumps(design.settings(m), sort_keys=True) for unit in units for m in unit.members]
    assert len(set(settings)) == len(names)
    kinds = {m.objective: design.run(m) for m in units[6].members}
    assert kinds["sft"].beta is None
    assert kinds["rpo"].slope_matched
    assert kinds["kto"].beta == 0.2


def test_a_table_of_means_says_what_its_cells_say(tmp_path: Path) -> None:
    g = np.random.default_rng(0)
    base, run = (
        Checkpoint("base", "shapes"),
        Checkpoint("a", "shapes", "f_dpo", "x", {"beta": 1.0, "seed": 0}, 9),
    )
    cells = [
        ScoreRow(c.id, "true_taste", "1", f"p{p}", k, None if (p, k) == (1, 2) else float(g.normal()),
                 "missing" if (p, k) == (1, 2) else "ok", UNDEFINED if (p, k) == (1, 2) else "")
        for c in (base, run) for p in range(4) for k in range(3)
    ]  # fmt: skip
    whole = [
        ScoreRow(c.id, "true_diversity", "1", f"p{p}", None, float(p)) for c in (base, run) for p in range(4)
    ]
    columns = (replace(COLUMNS[0], unit="image"), COLUMNS[1])
    table = ScoreTable(
        rows_to_frame([*cells, *whole]), "s", "sig", (base, run), columns, 4, 3, tags={"p0": ("t",)}
    )
    small = compact(table)
    both = [sweeps_of(t, "true_taste", "true_diversity", "beta") for t in (table, small)]
    for one, other in zip(*both, strict=True):
        np.testing.assert_allclose(one.level, other.level)
        np.testing.assert_allclose(one.outcome, other.outcome)
    assert len(small.rows) == 16
    assert small.tags == table.tags
    settings = {"training": {"beta": 1.0}, "images": 3}
    assert not is_kept(tmp_path / "m", settings)
    keep(tmp_path / "m", settings, small, "cpu", "the command")
    assert is_kept(tmp_path / "m", settings)
    with pytest.raises(NotComparableError, match=r"training\.beta is 1\.0 there and 0\.5 here"):
        is_kept(tmp_path / "m", {"training": {"beta": 0.5}, "images": 3})
    (tmp_path / "m" / "manifest.json").write_text("{}")
    with pytest.raises(UnreadableFileError):
        is_kept(tmp_path / "m", settings)


def test_prompts_are_told_apart_by_what_they_leave_open() -> None:
    part = on_prompts(members(), range(3, 4))
    assert set(part.table.rows["prompt_id"]) == {f"p{p:03d}" for p in range(3, 40, 5)}


def test_the_clock_begins_nothing_that_would_end_too_late() -> None:
    now = time.time()
    assert Clock(None).allows("train", 1e9, 1.0)
    clock = Clock(now + 100)
    assert clock.allows("train", 90, 1.0)
    assert not clock.allows("train", 110, 1.0)
    clock.timed("train", 10, now - 30)  # three times as slow as expected
    assert not clock.allows("train", 90, 1.0)
    assert clock.allows("images", 90, 1.0)


def test_a_deadline_is_of_today_or_tomorrow() -> None:
    noon = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert deadline_of(None, None) is None
    assert deadline_of(30, None, lambda: noon) == noon.timestamp() + 1800
    assert deadline_of(None, "12:30", lambda: noon) == noon.timestamp() + 1800
    assert deadline_of(None, "11:30", lambda: noon) == noon.timestamp() + 23.5 * 3600
    for minutes, until in ((5, "12:00"), (-1, None), (None, "noon")):
        with pytest.raises(ConfigError):
            deadline_of(minutes, until, lambda: noon)


def test_the_tables_name_every_question_that_was_asked() -> None:
    text = whole_block(found(members(0.1), 60))
    assert QUESTIONS["taste"].words in text
    assert "3 open facts" in text
    assert "| 8 training seeds |" in text
    assert "`f_dpo pearson_chi2`" in text
    assert "nan" not in text


def test_two_divergences_on_another_base_model_are_one_contrast() -> None:
    whole = members(0.2)
    few = [c for c in whole.table.checkpoints if c.is_base or c.divergence in (REFERENCE, CLAIMED)]
    elsewhere = found(evidence(narrowed(whole.table, few), {}, whole.seeds), 60)
    assert TREND not in {a.question for a in elsewhere.answers}
    at_half = [a for a in elsewhere.answers if a.share == 0.5]
    plain, decided = (
        next(a for a in at_half if a.question == question)
        for question in ("taste", f"decided against {REFERENCE}")
    )
    assert (plain.lo, plain.hi) == (decided.lo, decided.hi)
    text = block_elsewhere(elsewhere)
    assert QUESTIONS["taste"].words in text
    assert "pearson" not in text


def test_what_was_seen_is_what_the_evaluation_says() -> None:
    assert claim.measured() == (claim.SEEN, claim.LINK)


def test_the_page_is_what_the_committed_members_say() -> None:
    page = (ROOT / "docs" / "claim.md").read_text(encoding="utf-8")
    _, begin, rest = page.partition(f"<!-- {mark(BASE)} -->")
    shown, end, _ = rest.partition(f"<!-- end of {mark(BASE)} -->")
    assert begin
    assert end
    committed = RESULTS / "findings.json"
    if not committed.is_file():
        assert shown.strip() == "Not run yet."
        assert not list(RESULTS.glob("figures/*"))
        return
    said = json.loads(committed.read_text(encoding="utf-8"))
    design = Design(TEST, study_units(read_grid(RESULTS).betas), Path("runs"), RESULTS / "members")
    own = read_evidence(design)
    assert list(own.seeds) == said["seeds"]
    for one in against("taste", own.over_beta("true_taste", "true_diversity"), method(REFERENCE)):
        (theirs,) = [
            a
            for a in said["answers"]
            if (a["question"], a["name"], a["share"]) == ("taste", one.name, one.share)
        ]
        assert [one.difference, one.lo, one.hi] == pytest.approx(
            [theirs["difference"], theirs["lo"], theirs["hi"]], abs=1e-9
        )
        assert f"{one.difference:+.3f} [{one.lo:+.3f}, {one.hi:+.3f}]" in shown

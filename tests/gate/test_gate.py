"""The gate's rule, row by row, and the evidence it judges."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmark.core.errors import UserError
from benchmark.gate import (
    checkpoint_bounds,
    decide,
    default_margin,
    run_bounds,
    set_bounds,
)
from benchmark.gate.decision import SMALL_DECLINE, UNKNOWN
from benchmark.stats.one_sided import Bounds, t_bounds
from benchmark.stats.training_runs import Difference, independent_runs, paired_runs

M = 0.2


def bounds(value: float, se: float, df: float = 1e9) -> Bounds:
    return t_bounds(Difference(value, se, df))


@pytest.mark.parametrize(
    ("value", "se", "expected", "note"),
    [
        (0.0, 0.05, "pass", ""),
        (0.5, 0.05, "pass", ""),
        (0.0, 0.5, "inconclusive", ""),
        (-0.1, 0.02, "pass", SMALL_DECLINE),
        (-0.4, 0.05, "regression", ""),
        (-0.2, 0.05, "regression", ""),
        (-0.2, 0.15, "inconclusive", ""),
        (-0.2, 0.0, "regression", ""),
        (0.0, 0.0, "pass", ""),
    ],
)
def test_the_rule(value: float, se: float, expected: str, note: str) -> None:
    verdict = decide({"oracle": bounds(value, se)}, {"oracle": M})
    assert verdict.outcome == expected
    (finding,) = verdict.findings
    assert (finding.outcome, finding.note) == (expected, note)


def test_one_regression_outweighs_the_rest_and_one_doubt_a_pass() -> None:
    fine, doubt, bad = bounds(0.0, 0.01), bounds(0.0, 0.5), bounds(-1.0, 0.05)
    margins = dict.fromkeys("abc", M)
    assert decide({"a": fine, "b": fine}, margins).outcome == "pass"
    assert decide({"a": fine, "b": doubt}, margins).outcome == "inconclusive"
    assert decide({"a": fine, "b": doubt, "c": bad}, margins).outcome == "regression"


def test_holm_guards_the_family() -> None:
    """A drop that is significant alone, and no longer among ten scorers."""
    slight, fine = bounds(-0.2, 0.1), bounds(0.0, 0.01)
    assert decide({"a": slight}, {"a": M}).outcome == "regression"
    many = {"a": slight} | {str(i): fine for i in range(9)}
    verdict = decide(many, dict.fromkeys(many, M))
    assert verdict.outcome == "inconclusive"
    assert verdict.findings[0].p_value == pytest.approx(10 * slight.p_drop)


def test_a_wider_margin_never_turns_a_pass_into_anything_else() -> None:
    generator = np.random.default_rng(0)
    for value, se in zip(generator.normal(0, 0.3, 200), generator.uniform(0.01, 0.3, 200), strict=True):
        narrow, wide = (decide({"a": bounds(value, se)}, {"a": m}).outcome for m in (0.1, 0.3))
        assert not (narrow == "pass" and wide != "pass")
        assert not (narrow != "regression" and wide == "regression")


def test_without_bounds_it_is_inconclusive_and_says_why() -> None:
    empty = checkpoint_bounds(np.full((5, 2), np.nan), np.zeros((5, 2)), higher_is_better=True)
    runs = run_bounds(
        np.full((3, 5, 2), np.nan), np.zeros((8, 5, 2)), range(3), range(8), higher_is_better=True
    )
    for nothing in (empty, runs):
        verdict = decide({"a": nothing}, {"a": M})
        assert verdict.outcome == "inconclusive"
        assert verdict.findings[0].note == UNKNOWN
        # What cannot be judged takes nothing from the others.
        both = decide({"a": nothing, "b": bounds(-1.0, 0.05)}, {"a": M, "b": M})
        assert both.outcome == "regression"


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan"), float("inf")])
def test_a_margin_must_be_a_positive_number(margin: float) -> None:
    with pytest.raises(UserError, match="margin of oracle"):
        decide({"oracle": bounds(0, 1)}, {"oracle": margin})


def test_a_margin_or_a_scorer_too_few_is_refused() -> None:
    with pytest.raises(UserError, match="margin of oracle"):
        decide({"oracle": bounds(0, 1)}, {})
    with pytest.raises(UserError, match="no scorer"):
        decide({}, {})


def test_power_is_printed_with_the_verdict() -> None:
    sharp = decide({"a": bounds(0, 0.02), "b": bounds(0, 0.1)}, {"a": M, "b": M})
    by_scorer = [finding.unchanged_passes for finding in sharp.findings]
    assert by_scorer[0] > 0.99 > by_scorer[1]
    assert sharp.unchanged_passes == pytest.approx(np.prod(by_scorer))
    assert 0 < sharp.findings[0].detectable < sharp.findings[1].detectable


def cells(seed: int, shift: float = 0.0, runs: int | None = None) -> np.ndarray:
    generator = np.random.default_rng(seed)
    prompts = np.random.default_rng(99).normal(size=(60, 1))
    size = (60, 4) if runs is None else (runs, 60, 4)
    by_run = 0.02 * generator.normal(size=(() if runs is None else (runs, 1, 1)))
    values: np.ndarray = prompts + by_run + shift + 0.5 * generator.normal(size=size)
    return values


def test_the_default_margin_is_a_fifth_of_the_spread_within_prompts() -> None:
    assert default_margin(cells(0)) == pytest.approx(0.2 * 0.5, rel=0.15)


@pytest.mark.parametrize("higher", [True, False])
def test_two_checkpoints_through_the_gate(higher: bool) -> None:
    base, sign = cells(0), 1.0 if higher else -1.0
    margin = {"a": 2 * default_margin(base)}

    def outcome(shift: float) -> str:
        candidate = base + sign * shift + 0.2 * np.random.default_rng(1).normal(size=base.shape)
        found = checkpoint_bounds(candidate, base, higher_is_better=higher, resamples=500)
        return decide({"a": found}, margin).outcome

    assert [outcome(shift) for shift in (0.5, 0.0, -0.5)] == ["pass", "pass", "regression"]


def test_a_checkpoint_against_itself_passes() -> None:
    base = cells(0)
    same = checkpoint_bounds(base, base, higher_is_better=True)
    assert decide({"a": same}, {"a": 1e-6}).outcome == "pass"


def test_set_metrics_go_by_their_jackknife() -> None:
    leave_out = 0.3 + 0.01 * np.random.default_rng(0).normal(size=20)
    worse = set_bounds(0.3, leave_out, higher_is_better=False)
    assert worse.value == -0.3
    assert worse.df == 19
    assert decide({"kid": worse}, {"kid": 0.1}).outcome == "regression"
    unknown = set_bounds(0.3, leave_out[:0], higher_is_better=False)
    assert decide({"kid": unknown}, {"kid": 0.1}).outcome == "inconclusive"


def test_two_methods_through_the_gate() -> None:
    baseline = cells(0, runs=8)
    margin = {"a": 2 * default_margin(baseline[0])}

    def outcome(shift: float) -> str:
        found = run_bounds(cells(1, shift, runs=3), baseline, range(3), range(8), higher_is_better=True)
        return decide({"a": found}, margin).outcome

    assert [outcome(shift) for shift in (0.5, 0.0, -0.5)] == ["pass", "pass", "regression"]


def test_runs_are_paired_by_training_seed_where_five_are_shared() -> None:
    baseline, candidate = cells(0, runs=8), cells(1, runs=6)

    def found(seeds: Sequence[int]) -> Bounds:
        return run_bounds(candidate, baseline, seeds, [7, 6, 5, 4, 3, 2, 1, 0], higher_is_better=True)

    means, against = candidate.mean(axis=2), baseline.mean(axis=2)
    assert found(range(6)) == t_bounds(paired_runs(means, against[::-1][:6]))
    assert found([0, 1, 2, 3, 20, 21]) == t_bounds(independent_runs(means, against))
    assert found([0, 1, 2, 3, 4, 21]) == t_bounds(paired_runs(means[:5], against[::-1][:5]))


@pytest.mark.parametrize(
    ("candidate", "baseline", "words"),
    [
        (range(2), range(8), "2 candidate runs"),
        (range(3), range(7), "7 baseline runs"),
        ([0, 1, 1], range(8), "two candidate runs have training seed 1"),
    ],
)
def test_too_few_runs_are_no_method(candidate: Sequence[int], baseline: Sequence[int], words: str) -> None:
    with pytest.raises(UserError, match=words):
        run_bounds(
            cells(0, runs=len(candidate)), cells(1, runs=len(baseline)), candidate, baseline,
            higher_is_better=True,
        )  # fmt: skip

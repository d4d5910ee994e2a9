"""Laws of curves and of contrasts at equal level."""

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from benchmark.stats.curves import Curves, sweep_curves, used_points
from benchmark.stats.sweeps import (
    NO_OVERLAP,
    Contrast,
    Sweep,
    combinations_at_equal_level,
    contrasts_at_equal_level,
    without_gaps,
)
from benchmark.stats.training_runs import NO_CLAIM


def test_curves_are_scipys_isotonic_regression_up_to_the_maximum() -> None:
    generator = np.random.default_rng(0)
    level, outcome = generator.normal(size=(2, 300, 7)).cumsum(axis=-1)
    curves = sweep_curves(level, outcome)
    for row in range(300):
        end = int(level[row].argmax()) + 1
        fitted = isotonic_regression(level[row, :end]).x
        np.testing.assert_allclose(curves.level[row, :end], fitted)
        assert np.isinf(curves.level[row, end:]).all()
        assert used_points(level[row]).sum() == end
        at = np.linspace(curves.lowest[row], curves.highest[row], 9)
        blocks, block = np.unique(fitted.round(12), return_inverse=True)
        means = [outcome[row, :end][block == b].mean() for b in range(len(blocks))]
        one = Curves(np.tile(curves.level[row], (9, 1)), np.tile(curves.outcome[row], (9, 1)))
        np.testing.assert_allclose(one.at(at), np.interp(at, blocks, means))


def test_outside_the_curve_nothing_is_said() -> None:
    curves = sweep_curves(np.array([[0.0, 1.0, 3.0, 2.0]]), np.array([[5.0, 4.0, 2.0, 0.0]]))
    read = [float(curves.at(np.array([level]))[0]) for level in (-0.1, 0.0, 0.5, 2.0, 3.0, 3.1)]
    np.testing.assert_allclose(read, [np.nan, 5.0, 4.5, 3.0, 2.0, np.nan])


def noisy(generator: np.random.Generator, loss: float, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Reward rises, diversity falls: 5 points x 6 training seeds x 30 prompts."""
    pressure = np.linspace(0, 1, 5)[:, None, None]
    size = (5, 6, 30)
    level = (
        2 * pressure + noise * generator.normal(size=size) + 0.3 * noise * generator.normal(size=(1, 6, 1))
    )
    outcome = 1 - loss * pressure + noise * generator.normal(size=size)
    return level, outcome


def contrasts(*pairs: tuple[np.ndarray, np.ndarray], resamples: int = 300) -> tuple[Contrast, ...]:
    sweeps = [Sweep(f"s{i}", level, outcome) for i, (level, outcome) in enumerate(pairs)]
    return contrasts_at_equal_level(sweeps, "s0", resamples=resamples)


def test_curves_without_noise_differ_by_what_they_differ() -> None:
    generator = np.random.default_rng(0)
    found = contrasts(noisy(generator, 0.8, 0.0), noisy(generator, 0.2, 0.0), resamples=20)
    for contrast, share in zip(found, (0.25, 0.5, 0.75), strict=True):
        assert contrast.level == pytest.approx(2 * share)
        assert contrast.interval is not None
        i = contrast.interval
        assert (i.value, i.lo, i.hi) == pytest.approx((0.6 * share, 0.6 * share, 0.6 * share))


def test_a_sweep_does_not_differ_from_itself_and_shifts_cancel() -> None:
    level, outcome = noisy(np.random.default_rng(1), 0.5)
    for contrast in contrasts((level, outcome), (level.copy(), outcome + 3.0)):
        assert contrast.interval is not None
        i = contrast.interval
        assert (i.value, i.lo, i.hi) == pytest.approx((3.0, 3.0, 3.0))


def test_units_of_the_level_do_not_matter_and_sides_change_the_sign() -> None:
    generator = np.random.default_rng(2)
    a, b = noisy(generator, 0.5), noisy(generator, 0.2)
    plain = contrasts(a, b)
    scaled = contrasts((100 * a[0] + 3, a[1]), (100 * b[0] + 3, b[1]))
    turned = contrasts(b, a)
    for p, s, t in zip(plain, scaled, turned, strict=True):
        assert p.interval is not None
        assert s.interval is not None
        assert t.interval is not None
        assert (s.interval.lo, s.interval.hi) == pytest.approx((p.interval.lo, p.interval.hi))
        assert (-t.interval.hi, -t.interval.lo) == pytest.approx((p.interval.lo, p.interval.hi))


def test_without_a_common_range_it_says_so() -> None:
    level, outcome = noisy(np.random.default_rng(3), 0.5)
    for contrast in contrasts((level, outcome), (level + 5.0, outcome)):
        assert contrast == Contrast("s1", contrast.share, None, None, NO_OVERLAP)


def test_a_common_range_that_chance_made_is_none() -> None:
    generator = np.random.default_rng(4)
    level, outcome = noisy(generator, 0.5)
    further = level + 2.0 + 0.5 * generator.normal(size=level.shape)
    assert all(c.note == NO_OVERLAP for c in contrasts((level, outcome), (further, outcome)))


def test_a_prompt_that_no_run_has_is_left_out() -> None:
    generator = np.random.default_rng(5)
    a, b = noisy(generator, 0.5), noisy(generator, 0.2)
    without = [tuple(np.delete(array, 7, axis=2) for array in pair) for pair in (a, b)]
    holed = [tuple(array.copy() for array in pair) for pair in (a, b)]
    for level, outcome in holed:
        level[..., 7] = outcome[..., 7] = np.nan
    assert contrasts((holed[0][0], holed[0][1]), (holed[1][0], holed[1][1])) == contrasts(
        (without[0][0], without[0][1]), (without[1][0], without[1][1])
    )


def test_every_run_keeps_the_mean_of_its_own_prompts() -> None:
    """A gap in one run takes nothing from the others, nor from its own other scorer."""
    values = np.random.default_rng(6).normal(size=(5, 6, 30))
    values[2, 3, :12], values[4, 1, 25] = np.nan, np.nan
    filled = without_gaps(values)
    np.testing.assert_allclose(filled.mean(axis=-1), np.nanmean(values, axis=-1))
    n = (~np.isnan(values)).sum(axis=-1)
    errors = np.nanstd(values, axis=-1, ddof=1) / np.sqrt(n)
    np.testing.assert_allclose(filled.std(axis=-1, ddof=1) / np.sqrt(30), errors)
    whole = n == 30
    np.testing.assert_array_equal(filled[whole], values[whole])


def test_one_training_seed_is_over_prompts_alone() -> None:
    generator = np.random.default_rng(6)
    a, b = noisy(generator, 0.5), noisy(generator, 0.2)
    found = contrasts((a[0][:, :1], a[1][:, :1]), (b[0][:, :1], b[1][:, :1]))
    assert all(c.interval is not None and c.interval.n == 1 and c.interval.se > 0 for c in found)
    assert {c.note for c in found} == {NO_CLAIM}
    assert {c.note for c in contrasts(a, b)} == {""}


def test_sweeps_of_other_prompts_or_names_are_refused() -> None:
    level, outcome = noisy(np.random.default_rng(7), 0.5)
    with pytest.raises(ValueError, match="same training seeds and prompts"):
        contrasts((level, outcome), (level[..., 1:], outcome[..., 1:]))
    with pytest.raises(ValueError, match="nobody"):
        contrasts_at_equal_level([Sweep("a", level, outcome)], "nobody")


def test_it_covers_the_difference_of_two_known_curves() -> None:
    generator = np.random.default_rng(8)
    held = []
    for _ in range(120):
        pairs = noisy(generator, 0.5, 0.5), noisy(generator, 0.2, 0.5)
        middle = contrasts(*pairs, resamples=150)[1].interval
        assert middle is not None
        held.append(middle.lo <= 0.15 <= middle.hi)
    assert np.mean(held) >= 0.9


def test_a_combination_is_that_of_the_contrasts_and_a_trend_is_found() -> None:
    """Weights that sum to zero: the value is the sum of contrasts; equal losses steps make an exact trend."""
    generator = np.random.default_rng(9)
    pairs = [noisy(generator, loss) for loss in (0.8, 0.5, 0.2)]
    sweeps = [Sweep(f"s{i}", *pair) for i, pair in enumerate(pairs)]
    ranks = {"s0": -0.5, "s1": 0.0, "s2": 0.5}
    trend = combinations_at_equal_level(sweeps, {"per rank": ranks}, resamples=300)
    ends = [c for c in contrasts_at_equal_level(sweeps, "s0", resamples=300) if c.name == "s2"]
    for one, end, share in zip(trend, ends, (0.25, 0.5, 0.75), strict=True):
        assert one.interval is not None
        assert end.interval is not None
        assert one.interval.value == pytest.approx(end.interval.value / 2)
        assert one.interval.lo <= 0.3 * share <= one.interval.hi


def test_components_add_up_and_tell_seeds_from_prompts() -> None:
    """Seeds that move a whole run, prompts that respond, or chance alone: each is seen as what it is."""
    generator = np.random.default_rng(10)
    level, outcome = noisy(generator, 0.5, 0.02)
    moved = {
        "seeds": 0.3 * generator.normal(size=(1, 6, 1)),
        "prompts": 0.3 * generator.normal(size=(1, 1, 30)),
        "rest": 0.3 * generator.normal(size=(1, 6, 30)),
    }
    for name, more in moved.items():
        (_, middle, _) = contrasts((level, outcome), (level, outcome + more))
        assert middle.interval is not None
        parts = middle.components
        assert parts is not None
        assert parts.se(6, 30) == pytest.approx(middle.interval.se, rel=0.15)
        own = {"seeds": parts.seeds, "prompts": parts.prompts, "rest": parts.rest}
        assert max(own, key=lambda k: own[k]) == name
        assert parts.se(24, 120) == pytest.approx(
            (parts.seeds / 24 + parts.prompts / 120 + parts.rest / 2880) ** 0.5
        )

"""Laws of claims about methods, hacking indices and one-sided bounds."""

import numpy as np
import pytest
from scipy import stats

from benchmark.stats.cells import within_prompt_sd
from benchmark.stats.hacking_index import gap_interval, standardised_gains
from benchmark.stats.jackknife import jackknife_interval
from benchmark.stats.one_sided import Bounds, prompt_bounds, t_bounds
from benchmark.stats.power import detectable_drop, pass_probability
from benchmark.stats.training_runs import independent_runs, mean_over_runs, paired_runs, set_mean_over_runs


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_with_seed_variance_alone_it_is_the_paired_t_test(generator: np.random.Generator) -> None:
    a, b = generator.normal(size=(2, 8, 1))
    prompts = generator.normal(size=(1, 30))
    difference = paired_runs(a + prompts, b + prompts)
    assert difference.df == pytest.approx(7)
    assert difference.p_value == pytest.approx(stats.ttest_rel(a[:, 0], b[:, 0]).pvalue)
    low, high = stats.ttest_rel(a[:, 0], b[:, 0]).confidence_interval()
    assert (difference.interval().lo, difference.interval().hi) == pytest.approx((low, high))


def test_with_prompt_variance_alone_it_is_the_t_test_over_prompts(generator: np.random.Generator) -> None:
    by_prompt = generator.normal(size=(1, 30))
    difference = paired_runs(np.repeat(by_prompt, 5, axis=0), np.zeros((5, 30)))
    assert difference.df == pytest.approx(29)
    assert difference.p_value == pytest.approx(stats.ttest_1samp(by_prompt[0], 0).pvalue)


def test_independent_runs_are_welchs_test_with_seed_variance_alone(generator: np.random.Generator) -> None:
    a, b = generator.normal(size=(3, 1)), 2 * generator.normal(size=(8, 1))
    prompts = generator.normal(size=(1, 30))
    difference = independent_runs(a + prompts, b + prompts)
    welch = stats.ttest_ind(a[:, 0], b[:, 0], equal_var=False)
    assert difference.df == pytest.approx(welch.df)
    assert difference.p_value == pytest.approx(welch.pvalue)


@pytest.mark.parametrize("paired", [True, False])
def test_both_components_are_in_the_error(paired: bool) -> None:
    """Coverage over training seeds and prompts at once."""
    generator = np.random.default_rng(1)
    held = []
    for _ in range(1500):
        a, b = generator.normal(size=(2, 8, 1))
        response = generator.normal(size=(1, 40))
        x = a + response + generator.normal(size=(8, 40))
        y = b + generator.normal(size=(8, 40))
        interval = (paired_runs if paired else independent_runs)(x, y).interval()
        held.append(interval.lo <= 0 <= interval.hi)
    assert 0.935 <= np.mean(held) <= 0.975


def test_order_of_seeds_sides_and_gaps(generator: np.random.Generator) -> None:
    x, y = generator.normal(size=(2, 6, 20))
    order = generator.permutation(6)
    one, other = paired_runs(x, y), paired_runs(x[order], y[order])
    assert (one.value, one.se, one.df) == pytest.approx((other.value, other.se, other.df))
    turned = paired_runs(y, x)
    assert (turned.value, turned.se) == pytest.approx((-one.value, one.se))
    holed = np.concatenate([x, np.full((6, 1), np.nan)], axis=1)
    assert paired_runs(holed, np.concatenate([y, y[:, :1]], axis=1)) == one


@pytest.mark.parametrize("prompts", [0, 1])
def test_fewer_than_two_complete_prompts_leave_the_difference_unknown(prompts: int) -> None:
    x = np.full((5, 6), np.nan)
    x[:, :prompts] = 1.0
    for difference in (paired_runs(x, x), independent_runs(x, x)):
        assert np.isnan([difference.value, difference.se, difference.p_value]).all()
        assert np.isnan(t_bounds(difference).lower)
    assert np.isnan(paired_runs(x, x).interval().lo)


def test_a_method_is_itself(generator: np.random.Generator) -> None:
    x = generator.normal(size=(6, 20))
    difference = paired_runs(x, x)
    assert (difference.value, difference.se, difference.p_value) == (0.0, 0.0, 1.0)


def test_one_run_has_the_error_of_its_prompts_alone(generator: np.random.Generator) -> None:
    x = generator.normal(size=(1, 20))
    mean = mean_over_runs(np.hstack([x, [[np.nan]]]))
    low, high = stats.ttest_1samp(x[0], 0).confidence_interval()
    assert (mean.interval().lo, mean.interval().hi) == pytest.approx((low, high))
    assert mean_over_runs(np.repeat(x, 4, axis=0)).se == pytest.approx(mean.se)
    assert np.isnan(mean_over_runs(x[:, :1]).value)


def test_a_set_metric_that_is_a_mean_has_the_error_of_runs_and_of_prompts(
    generator: np.random.Generator,
) -> None:
    runs, groups = generator.normal(size=(6, 1)), generator.normal(size=20)
    by_group = runs + groups
    leave_out = (by_group.sum(axis=1)[:, None] - by_group).T / 19
    mean = set_mean_over_runs(by_group.mean(axis=1), leave_out)
    assert mean.value == pytest.approx(by_group.mean())
    assert mean.se**2 == pytest.approx(runs.var(ddof=1) / 6 + groups.var(ddof=1) / 20)
    # One run, or runs that agree: the jackknife of one checkpoint.
    alone = set_mean_over_runs(by_group[:1].mean(axis=1), leave_out[:, :1])
    assert alone.interval().lo == pytest.approx(jackknife_interval(alone.value, leave_out[:, 0]).lo)
    assert alone.df == pytest.approx(19)
    gap = np.where(np.arange(20)[:, None] == 3, np.nan, leave_out)
    assert np.isnan(set_mean_over_runs(by_group.mean(axis=1), gap).se)


def test_spread_within_prompts_ignores_how_hard_prompts_are(generator: np.random.Generator) -> None:
    hard = 100 * generator.normal(size=(400, 1))
    cells = hard + 2 * generator.normal(size=(400, 4))
    assert within_prompt_sd(cells) == pytest.approx(2.0, rel=0.1)
    assert within_prompt_sd(cells) == pytest.approx(np.sqrt(cells.var(axis=1, ddof=1).mean()))
    cells[0, 1:] = np.nan
    assert within_prompt_sd(cells) == pytest.approx(np.sqrt(cells[1:].var(axis=1, ddof=1).mean()))
    assert within_prompt_sd(cells[:, :1]) == pytest.approx(cells[:, 0].std(ddof=1))
    assert np.isnan(within_prompt_sd(np.ones((1, 1))))


def test_gains_are_free_of_units_and_know_the_direction(generator: np.random.Generator) -> None:
    base = generator.normal(size=(30, 4))
    better = base + 0.5
    gain = standardised_gains(better, base, higher_is_better=True)
    np.testing.assert_allclose(gain, 0.5 / within_prompt_sd(base))
    np.testing.assert_allclose(standardised_gains(7 * better, 7 * base, higher_is_better=True), gain)
    np.testing.assert_allclose(standardised_gains(-better, -base, higher_is_better=False), gain)
    assert np.isnan(standardised_gains(better, np.ones((30, 4)), higher_is_better=True)).all()


def test_hacking_is_the_gain_that_others_do_not_see(generator: np.random.Generator) -> None:
    common = generator.normal(size=60)
    gained = common + 1.0 + 0.1 * generator.normal(size=60)
    held_out = [common + 0.1 * generator.normal(size=60) for _ in range(3)]
    index = gap_interval(gained, held_out, resamples=500)
    assert index.lo <= 1.0 <= index.hi
    # What all scorers see alike is in no one's interval.
    assert index.hi - index.lo < 0.1
    assert gap_interval(gained, [gained], resamples=50).value == 0.0


def test_bounds_are_students_on_normal_data_and_agree_with_the_p_value(
    generator: np.random.Generator,
) -> None:
    d = generator.normal(-0.1, 1.0, size=80)
    bounds = prompt_bounds(d)
    by_t = t_bounds(paired_runs(np.stack([d, d]), np.zeros((2, 80))))
    assert (bounds.lower, bounds.upper) == pytest.approx((by_t.lower, by_t.upper), abs=0.03)
    assert bounds.p_drop == pytest.approx(stats.ttest_1samp(d, 0, alternative="less").pvalue, abs=0.02)
    turned = prompt_bounds(-d)
    assert (turned.lower, turned.upper) == pytest.approx((-bounds.upper, -bounds.lower), abs=0.02)


@pytest.mark.parametrize("shift", np.linspace(-0.5, 0.1, 13))
def test_a_drop_is_significant_exactly_where_the_upper_bound_says_so(shift: float) -> None:
    d = np.random.default_rng(1).exponential(size=50) - 1 + shift
    bounds = prompt_bounds(d, resamples=1999)
    assert (bounds.p_drop <= 0.05) == (bounds.upper < 0)


def test_bounds_hold_in_95_of_100_on_skewed_data() -> None:
    generator = np.random.default_rng(2)
    bounds = [prompt_bounds(generator.exponential(size=60) - 1, resamples=300) for _ in range(500)]
    assert 0.92 <= np.mean([b.lower <= 0 for b in bounds]) <= 0.98
    assert 0.92 <= np.mean([b.upper >= 0 for b in bounds]) <= 0.98


def test_bounds_of_constants_and_of_nothing() -> None:
    assert prompt_bounds(np.full(9, -0.5)) == Bounds(-0.5, 0.0, 8.0, -0.5, -0.5, 0.0)
    assert prompt_bounds(np.zeros(9)).p_drop == 1.0
    assert np.isnan(prompt_bounds(np.array([1.0, np.nan])).lower)
    two = prompt_bounds(np.array([1.0, 2.0]))
    half = stats.t.ppf(0.95, 1) * 0.5
    assert (two.lower, two.upper) == pytest.approx((1.5 - half, 1.5 + half))
    assert np.isnan(prompt_bounds(np.array([np.nan])).value)


def test_power_of_the_gate_is_what_simulation_says() -> None:
    generator = np.random.default_rng(3)
    n, margin = 12, 0.8
    se, df = 1 / np.sqrt(n), n - 1.0
    t = stats.t.ppf(0.95, df)

    def bounds(drop: float) -> tuple[np.ndarray, np.ndarray]:
        x = generator.normal(-drop, 1.0, size=(n, 20_000))
        half = t * x.std(axis=0, ddof=1) / np.sqrt(n)
        return x.mean(axis=0) - half, x.mean(axis=0) + half

    passed = (bounds(0.0)[0] > -margin).mean()
    assert pass_probability(se, df, margin) == pytest.approx(passed, abs=0.01)
    lower, upper = bounds(detectable_drop(se, df, margin))
    assert ((upper < 0) & (lower <= -margin)).mean() == pytest.approx(0.8, abs=0.04)
    assert pass_probability(0.0, df, margin) == pass_probability(1e-9, df, margin) == 1.0
    assert np.isnan(pass_probability(float("nan"), df, margin))
    assert detectable_drop(se, df, margin, family=4) >= detectable_drop(se, df, margin)

"""Laws of win rates and their intervals."""

import numpy as np
import pytest

from benchmark.stats.intervals import Interval
from benchmark.stats.win_rate import win_rate, win_rate_intervals


def interval(candidate: np.ndarray, reference: np.ndarray, **settings: float) -> Interval:
    (found,) = win_rate_intervals(
        candidate[None], reference, higher_is_better=True, resamples=int(settings.get("resamples", 500))
    )
    return found


def pair(generator: np.random.Generator, lead: float, prompts: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Wins of one prompt go together: its images share a lead."""
    reference = generator.normal(size=(prompts, 4))
    own = generator.normal(lead, 1.0, size=(prompts, 1))
    return reference + own + 0.5 * generator.normal(size=(prompts, 4)), reference


def test_the_share_is_that_of_win_rate_also_with_gaps() -> None:
    candidate, reference = pair(np.random.default_rng(0), 0.3)
    candidate[3, 1:] = np.nan
    reference[7] = np.nan
    found = interval(candidate, reference)
    assert found.value == win_rate(candidate, reference, higher_is_better=True)
    assert found.n == 59
    assert 0 < found.lo < found.value < found.hi < 1


def test_turning_the_direction_or_the_sides_turns_the_interval_about_one_half() -> None:
    candidate, reference = pair(np.random.default_rng(1), 0.3)
    found, turned = interval(candidate, reference), interval(reference, candidate)
    (negated,) = win_rate_intervals(-candidate[None], -reference, higher_is_better=False, resamples=500)
    assert (turned.lo, turned.value, turned.hi) == pytest.approx(
        (1 - found.hi, 1 - found.value, 1 - found.lo)
    )
    assert (negated.lo, negated.hi) == pytest.approx((found.lo, found.hi))


def test_several_candidates_have_the_intervals_they_have_alone() -> None:
    generator = np.random.default_rng(2)
    a, reference = pair(generator, 0.3)
    b = a - 0.5
    together = win_rate_intervals(np.stack([a, b]), reference, higher_is_better=True, resamples=500)
    for found, alone in zip(together, (interval(a, reference), interval(b, reference)), strict=True):
        assert (found.lo, found.value, found.hi) == pytest.approx((alone.lo, alone.value, alone.hi))


def test_ties_are_one_half_and_sure() -> None:
    values = np.random.default_rng(3).normal(size=(20, 4))
    found = interval(values, values)
    assert (found.lo, found.value, found.hi) == (0.5, 0.5, 0.5)


def test_a_clean_sweep_is_not_sure() -> None:
    """What happens always in P prompts may fail in the next: the ends are those of a binomial share."""
    reference = np.zeros((20, 4))
    won, lost = interval(reference + 1, reference), interval(reference - 1, reference)
    assert (won.lo, won.hi) == pytest.approx((0.025 ** (1 / 20), 1.0))
    assert (lost.lo, lost.hi) == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)))


def test_without_a_common_cell_nothing_is_known() -> None:
    found = interval(np.full((3, 2), np.nan), np.zeros((3, 2)))
    assert found.n == 0
    assert np.isnan([found.value, found.lo, found.hi]).all()


def test_images_of_a_prompt_count_as_one_prompt() -> None:
    """The same prompts with every image four times over: no more is known."""
    candidate, reference = pair(np.random.default_rng(4), 0.2)
    once, often = interval(candidate, reference), interval(np.tile(candidate, 4), np.tile(reference, 4))
    assert (often.lo, often.hi) == pytest.approx((once.lo, once.hi))


@pytest.mark.parametrize("lead", [0.0, 0.8])
def test_intervals_cover_the_true_share_in_95_of_100(lead: float) -> None:
    """The truth: P(lead + own > 0), own ~ N(0, 1 + 0.25)."""
    generator = np.random.default_rng(5)
    truth = np.mean(generator.normal(lead, np.sqrt(1.25), 400_000) > 0)
    hits = []
    for _ in range(300):
        found = interval(*pair(generator, lead), resamples=199)
        hits.append(found.lo <= truth <= found.hi)
    assert 0.92 <= np.mean(hits) <= 0.985

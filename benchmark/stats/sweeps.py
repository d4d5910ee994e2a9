"""Contrasts between sweeps at equal reward or equal distance."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.stats.arrays import LEVEL, RESAMPLES, BoolArray, FloatArray
from benchmark.stats.cells import over_own_prompts
from benchmark.stats.curves import Curves, sweep_curves
from benchmark.stats.intervals import Interval
from benchmark.stats.power import minimum_detectable_effect
from benchmark.stats.resampling import resample_counts
from benchmark.stats.training_runs import NO_CLAIM, SEEDS_FOR_A_CLAIM, Difference, satterthwaite

Weights = Mapping[str, float]

SHARES = (0.25, 0.5, 0.75)
"""Where in the common range sweeps are compared."""

NO_OVERLAP = "no overlap"

LOST = 0.05
"""Share of resamples that may be without a common range before the contrast is one of chance."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """One method along its sweep parameter.

    Attributes:
        name: Such as the divergence.
        level: What is held equal (a reward, ``path_kl``), larger is further along; prompt means, shape
            (points, seeds, prompts), points in the order of the sweep parameter, weak to strong. Begin
            with the base model where all sweeps begin there.
        outcome: What is compared, same shape.
        points: What to call the points, such as ``beta 0.3``.
    """

    name: str
    level: FloatArray
    outcome: FloatArray
    points: tuple[str, ...] = ()


@dataclass(frozen=True)
class Components:
    """What the error of a contrast is made of, as variances of one seed and one prompt.

    Attributes:
        seeds: Between training seeds.
        prompts: Between prompts.
        rest: What neither explains, mostly the chance of a run's images of a prompt.
    """

    seeds: float
    prompts: float
    rest: float

    def se(self, seeds: int, prompts: int) -> float:
        r"""$\sqrt{\sigma_s^2 / S + \sigma_p^2 / P + \sigma_e^2 / SP}$, of another size of study."""
        return self._error(seeds, prompts).se

    def detectable(self, seeds: int, prompts: int, level: float = LEVEL) -> float:
        """The smallest difference that so many seeds and prompts find with 80 % probability."""
        error = self._error(seeds, prompts)
        return minimum_detectable_effect(error.se, error.df, alpha=1 - level)

    def _error(self, seeds: int, prompts: int) -> Difference:
        rest = self.rest / (seeds * prompts)
        # As they are estimated, the means of seeds and of prompts each hold the rest as well.
        by_seed, by_prompt = self.seeds / seeds + rest, self.prompts / prompts + rest
        terms = ((by_seed, seeds - 1), (by_prompt, prompts - 1), (rest, (seeds - 1) * (prompts - 1)))
        return satterthwaite(0.0, by_seed + by_prompt - rest, terms)


@dataclass(frozen=True)
class Contrast:
    """One method against the reference method at equal level.

    Attributes:
        name: Of the method.
        share: Where in the common range.
        level: The level there; None without overlap.
        interval: Of the outcome's difference, method minus reference; None without overlap. Its `n` is
            the number of training seeds.
        note: `NO_OVERLAP`; `NO_CLAIM` where fewer than five training seeds speak for checkpoints, not for
            methods; or empty.
        components: Of the difference's variance; None without overlap or with one seed.
    """

    name: str
    share: float
    level: float | None
    interval: Interval | None
    note: str = ""
    components: Components | None = None


def contrasts_at_equal_level(
    sweeps: Sequence[Sweep],
    reference: str,
    *,
    shares: Sequence[float] = SHARES,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Contrast, ...]:
    r"""Differences of the outcome between sweeps where they have reached the same level.

    For every sweep the curve of :func:`benchmark.stats.curves.sweep_curves`; the common range is from the
    highest beginning to the lowest end of all curves; outside it nothing is said. Training seeds and
    prompts, both shared by all sweeps, are drawn with replacement, and everything (means, envelope,
    pooling, range, reading) is done again in each resample: of seeds alone ($V_s$, times $S/(S-1)$ for
    what a bootstrap of few leaves out), of prompts alone ($V_p$), and of both ($V_{sp}$), which holds the
    part that neither explains once more than their sum, $V_e = V_{sp} - V_s - V_p$. The interval is
    $\hat\theta \pm t_\mathrm{df} \sqrt{V_s + V_p - V_e}$ with Satterthwaite's degrees of freedom. With one
    seed it is over prompts alone: of checkpoints, not of methods.

    Args:
        sweeps: At least two, on the same seeds and prompts. A run's mean is over the prompts that it has, and
            all means move under one resampling: see :func:`benchmark.stats.cells.over_own_prompts`.
        reference: Name of the sweep that the others are compared with.
        shares: Where in the common range.
        level: Confidence level.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        For each sweep but the reference, one contrast a share. `NO_OVERLAP` where there is no common
        range, or where more than 5 % of the resamples have none.

    Raises:
        ValueError: If the shapes do not agree, or the reference is not among the sweeps.

    Source:
        Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1 (2007), 386-411, for resampling of both factors,
        which counts $V_e$ three times.
    """
    names = [sweep.name for sweep in sweeps]
    if reference not in names:
        raise ValueError(f"{reference} is not among {names}")
    asked = {name: {name: 1.0, reference: -1.0} for name in names if name != reference}
    return combinations_at_equal_level(
        sweeps, asked, shares=shares, level=level, resamples=resamples, seed=seed
    )


def combinations_at_equal_level(
    sweeps: Sequence[Sweep],
    combinations: Mapping[str, Weights],
    *,
    shares: Sequence[float] = SHARES,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Contrast, ...]:
    r"""Weighted sums $\sum_i c_i y_i$ of what sweeps keep at equal level, such as a trend over an order.

    The intervals are those of :func:`contrasts_at_equal_level`.

    Args:
        sweeps: As there.
        combinations: By name, the weight $c_i$ of each sweep that counts; others have none.
        shares: Where in the range common to all the sweeps.
        level: Confidence level.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        For each combination, one contrast a share.

    Raises:
        ValueError: If the shapes do not agree.
    """
    stacked = _stacked(sweeps)
    found = _read([s.mean(axis=(2, 3))[None] for s in stacked], shares)
    drawn = [_read(points, shares) for points in _resampled(stacked, resamples, seed)]
    if not (bool(found.overlap[0]) and all(d.overlap.mean() > 1 - LOST for d in drawn)):
        return tuple(Contrast(name, s, None, None, NO_OVERLAP) for name in combinations for s in shares)
    seeds, prompts = stacked[0].shape[2:]
    note = NO_CLAIM if seeds < SEEDS_FOR_A_CLAIM else ""
    contrasts = []
    for name, weights in combinations.items():
        c = np.array([weights.get(sweep.name, 0.0) for sweep in sweeps])
        point = c @ found.outcomes[0]
        moved = [np.einsum("i,bis->bs", c, d.outcomes[d.overlap]) for d in drawn]
        for s, share in enumerate(shares):
            difference, parts = _with_error(float(point[s]), [m[:, s] for m in moved], seeds, prompts)
            interval = difference.interval(level, seeds)
            at = float(found.levels[0, s])
            contrasts.append(Contrast(name, share, at, interval, note, parts))
    return tuple(contrasts)


def _with_error(
    value: float, drawn: Sequence[FloatArray], seeds: int, prompts: int
) -> tuple[Difference, Components | None]:
    """The error from resamples of seeds, of prompts, and of both; of prompts alone with one seed."""
    by_seed, by_prompt, by_both = (float(d.var(ddof=1)) for d in drawn)
    if seeds == 1:
        return Difference(value, math.sqrt(by_prompt), prompts - 1.0), None
    rest = max(by_both - by_seed - by_prompt, 0.0)
    by_seed *= seeds / (seeds - 1)
    terms = ((by_seed, seeds - 1), (by_prompt, prompts - 1), (rest, (seeds - 1) * (prompts - 1)))
    variance = max(by_seed + by_prompt - rest, by_seed, by_prompt)
    # The means of seeds and of prompts each hold the rest as well.
    parts = Components(
        seeds * max(by_seed - rest, 0.0), prompts * max(by_prompt - rest, 0.0), seeds * prompts * rest
    )
    return satterthwaite(value, variance, terms), parts


@dataclass(frozen=True, eq=False)
class _Reading:
    """All curves at equal levels: overlap (B,), levels (B, shares), outcomes (B, sweeps, shares)."""

    overlap: BoolArray
    levels: FloatArray
    outcomes: FloatArray


def _read(points: Sequence[FloatArray], shares: Sequence[float]) -> _Reading:
    """Points of each sweep, shape (resamples, 2, points), to readings in their common range."""
    curves: list[Curves] = [sweep_curves(p[:, 0], p[:, 1]) for p in points]
    low = np.max([curve.lowest for curve in curves], axis=0)
    high = np.min([curve.highest for curve in curves], axis=0)
    overlap = high > low
    # Rounding must not leave the range at its end.
    levels = np.minimum(low[:, None] + (high - low)[:, None] * np.asarray(shares), high[:, None])
    read = [np.stack([c.at(levels[:, s]) for s in range(len(shares))], axis=1) for c in curves]
    return _Reading(overlap, levels, np.stack(read, axis=1))


def _resampled(stacked: Sequence[FloatArray], resamples: int, seed: int) -> list[list[FloatArray]]:
    """Means over drawn seeds, drawn prompts, and both: for each sweep (resamples, 2, points)."""
    seeds, prompts = stacked[0].shape[2:]
    # Two streams of draws: one seed would make the two factors dance together where S = P.
    of_seeds = np.concatenate(list(resample_counts(seeds, resamples, seed + 1))) / seeds
    of_prompts = np.concatenate(list(resample_counts(prompts, resamples, seed))) / prompts
    drawn: list[list[FloatArray]] = [[], [], []]
    for sweep in stacked:
        by_prompt = (of_prompts @ sweep.reshape(-1, prompts).T).reshape(-1, *sweep.shape[:3])
        drawn[0].append(np.einsum("vks,bs->bvk", sweep.mean(axis=3), of_seeds))
        drawn[1].append(by_prompt.mean(axis=3))
        drawn[2].append(np.einsum("bvks,bs->bvk", by_prompt, of_seeds))
    return drawn


def numbered_prompts(sweeps: Sequence[Sweep]) -> BoolArray:
    """Which prompts some run has a number for, shape (prompts,)."""
    known = [~np.isnan(array).all(axis=(0, 1)) for s in sweeps for array in (s.level, s.outcome)]
    there: BoolArray = np.any(known, axis=0)
    return there


def without_gaps(values: FloatArray) -> FloatArray:
    """Values of a sweep as if every run had every prompt, with the means and errors of its own.

    Args:
        values: Shape (..., prompts), ``NaN`` where there is no number.
    """
    filled: FloatArray = np.moveaxis(over_own_prompts(np.moveaxis(values, -1, 0)), 0, -1)
    return filled


def _stacked(sweeps: Sequence[Sweep]) -> list[FloatArray]:
    """Level and outcome of each sweep together, shape (2, points, seeds, prompts), without gaps."""
    pairs = [(sweep.level, sweep.outcome) for sweep in sweeps]
    shapes = {array.shape[1:] for pair in pairs for array in pair}
    if len(shapes) != 1 or any(a.shape != b.shape for a, b in pairs):
        raise ValueError(f"sweeps need the same training seeds and prompts, not {sorted(shapes)}")
    there = numbered_prompts(sweeps)
    return [without_gaps(np.stack(pair)[..., there]) for pair in pairs]

"""Contrasts between sweeps at equal reward, or at equal distance from the reference."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from benchmark.stats.arrays import LEVEL, RESAMPLES, BoolArray, FloatArray
from benchmark.stats.curve import Curves, sweep_curves
from benchmark.stats.intervals import Interval
from benchmark.stats.resampling import resample_counts

SHARES = (0.25, 0.5, 0.75)
"""Where in the common range sweeps are compared."""

NO_OVERLAP = "no overlap"

_LOST = 0.05
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
    """

    name: str
    level: FloatArray
    outcome: FloatArray


@dataclass(frozen=True)
class Contrast:
    """One method against the reference method at equal level.

    Attributes:
        name: Of the method.
        share: Where in the common range.
        level: The level there; None without overlap.
        interval: Of the outcome's difference, method minus reference; None without overlap. Its `n` is
            the number of training seeds.
        note: `NO_OVERLAP`, or empty.
    """

    name: str
    share: float
    level: float | None
    interval: Interval | None
    note: str = ""


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

    For every sweep the curve of :func:`benchmark.stats.curve.sweep_curves`; the common range is from the
    highest beginning to the lowest end of all curves; outside it nothing is said. Training seeds and
    prompts, both shared by all sweeps, are drawn with replacement, independently of each other, and
    everything (means, envelope, pooling, range, reading) is done again in each resample. The interval is
    $\hat\theta \pm t_{S-1} \sqrt{S/(S-1)} \, \mathrm{sd}(\theta^*)$ for $S$ seeds: the root undoes what a
    bootstrap of few seeds leaves out, Student's quantile pays for their number. With one seed it is over
    prompts alone, $t_{P-1}$: of checkpoints, not of methods.

    Args:
        sweeps: At least two, on the same seeds and prompts; prompts with a gap anywhere are left out.
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
        Owen, The pigeonhole bootstrap, Ann. Appl. Stat. 1 (2007), 386-411: resampling both factors is
        mildly conservative.
    """
    at = [sweep.name for sweep in sweeps].index(reference)
    stacked = [_complete(pair) for pair in _shared_prompts(sweeps)]
    seeds, prompts = stacked[0].shape[2:]
    found = _read([s.mean(axis=(2, 3))[None] for s in stacked], shares)
    drawn = _read(_resampled(stacked, resamples, seed), shares)
    df = (seeds if seeds > 1 else prompts) - 1
    q = float(stdtrit(df, (1 + level) / 2)) * np.sqrt((df + 1) / df) if df else float("nan")
    contrasts = []
    for i, sweep in enumerate(sweeps):
        if i == at:
            continue
        moved = drawn.outcomes[:, i] - drawn.outcomes[:, at]
        point = found.outcomes[0, i] - found.outcomes[0, at]
        for s, share in enumerate(shares):
            kept = moved[:, s][drawn.overlap]
            if not found.overlap[0] or kept.size < (1 - _LOST) * resamples:
                contrasts.append(Contrast(sweep.name, share, None, None, NO_OVERLAP))
                continue
            se = float(kept.std(ddof=1))
            value, half = float(point[s]), q * se
            interval = Interval(value, value - half, value + half, se, seeds)
            contrasts.append(Contrast(sweep.name, share, float(found.levels[0, s]), interval))
    return tuple(contrasts)


@dataclass(frozen=True, eq=False)
class _Reading:
    """What all curves say at equal levels: overlap (B,), levels (B, shares), outcomes (B, sweeps, shares)."""

    overlap: BoolArray
    levels: FloatArray
    outcomes: FloatArray


def _read(points: Sequence[FloatArray], shares: Sequence[float]) -> _Reading:
    """Points of each sweep, shape (resamples, 2, points), to readings in their common range."""
    curves: list[Curves] = [sweep_curves(p[:, 0], p[:, 1]) for p in points]
    low = np.max([curve.lowest for curve in curves], axis=0)
    high = np.min([curve.highest for curve in curves], axis=0)
    overlap = high > low
    levels = low[:, None] + (high - low)[:, None] * np.asarray(shares)
    read = [np.stack([c.at(levels[:, s]) for s in range(len(shares))], axis=1) for c in curves]
    return _Reading(overlap, levels, np.stack(read, axis=1))


def _resampled(stacked: Sequence[FloatArray], resamples: int, seed: int) -> list[FloatArray]:
    """Means over drawn seeds and prompts: for each sweep (resamples, 2, points)."""
    seeds, prompts = stacked[0].shape[2:]
    # Two streams of draws: one seed would make the two factors dance together where S = P.
    by_seed = np.concatenate(list(resample_counts(seeds, resamples, seed + 1))) / seeds
    means: list[list[FloatArray]] = [[] for _ in stacked]
    done = 0
    for counts in resample_counts(prompts, resamples, seed):
        weights = by_seed[done : done + counts.shape[0]]
        done += counts.shape[0]
        for sweep, parts in zip(stacked, means, strict=True):
            by_prompt = sweep.reshape(-1, prompts).T
            over_prompts = (counts @ by_prompt / prompts).reshape(-1, *sweep.shape[:3])
            parts.append(np.einsum("bvks,bs->bvk", over_prompts, weights))
    return [np.concatenate(parts) for parts in means]


def _shared_prompts(sweeps: Sequence[Sweep]) -> list[tuple[FloatArray, FloatArray]]:
    pairs = [(sweep.level, sweep.outcome) for sweep in sweeps]
    shapes = {array.shape[1:] for pair in pairs for array in pair}
    if len(shapes) != 1 or any(a.shape != b.shape for a, b in pairs):
        raise ValueError(f"sweeps need the same training seeds and prompts, not {sorted(shapes)}")
    gaps = np.any([np.isnan(array).any(axis=(0, 1)) for pair in pairs for array in pair], axis=0)
    return [(a[..., ~gaps], b[..., ~gaps]) for a, b in pairs]


def _complete(pair: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Level and outcome together, shape (2, points, seeds, prompts)."""
    return np.stack(pair)

"""The joint confidence region of two means, an ellipse."""

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtri

from benchmark.stats.arrays import LEVEL, RESAMPLES, FloatArray
from benchmark.stats.cells import over_own_prompts
from benchmark.stats.resampling import resample_counts, upper_quantile

_SINGULAR = 1e-10
"""Share of the larger variance below which the smaller one is none."""


@dataclass(frozen=True, eq=False)
class Region:
    r"""Where two means lie together: $\{\mu : (\bar x - \mu)^\top V^{-1} (\bar x - \mu) \le q\}$.

    Attributes:
        centre: $\bar x$, shape (2,).
        covariance: $V$, of the two means, shape (2, 2).
        q: Squared radius in units of $V$.
        n: Number of prompts behind it, with a number on either axis.
    """

    centre: FloatArray
    covariance: FloatArray
    q: float
    n: int

    @property
    def angle(self) -> float:
        """Degrees from the first axis to the major one, counter-clockwise, in (-90, 90]."""
        (xx, xy), (_, yy) = self.covariance
        return float(np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)))

    @property
    def upper_triangle(self) -> tuple[float, float, float]:
        """$(V_{xx}, V_{xy}, V_{yy})$, as records hold it."""
        (xx, xy), (_, yy) = self.covariance.tolist()
        return xx, xy, yy

    def outline(self, points: int = 120) -> FloatArray:
        """Points on the edge, shape (points, 2), the last one the first: for a figure."""
        turn = np.linspace(0.0, 2 * np.pi, points)
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(self.q * np.maximum(values, 0.0))
        edge: FloatArray = self.centre + np.column_stack([np.cos(turn), np.sin(turn)]) @ root.T
        return edge

    def contains(self, point: FloatArray) -> bool:
        """Whether a point of the plane lies in the region; ``False`` where it has no area."""
        if _is_singular(self.covariance):
            return bool(np.array_equal(point, self.centre))
        away = point - self.centre
        return bool(away @ np.linalg.solve(self.covariance, away) <= self.q)


def joint_region(
    x: FloatArray, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Region | None:
    r"""Region of two means that move together, such as preference and diversity of one checkpoint.

    $V = S / n$ with $S$ the covariance of the prompts' values, and $q$ the `level` quantile of
    $T^{2*} = n (\bar x^* - \bar x)^\top S^{*-1} (\bar x^* - \bar x)$ over resamples of prompts. Where
    $q$ is infinite or $S$ has no area, Hotelling's $q = \frac{2(n-1)}{n-2} F_{2,n-2}$ takes its place.
    Given paired differences, it is the region of two differences. Where an axis has gaps, its mean is over
    the prompts that it has, and both move under one resampling: see
    :func:`benchmark.stats.cells.over_own_prompts`.

    Args:
        x: One row a prompt, shape (prompts, 2), ``NaN`` where there is no number.
        level: Confidence level.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        The region; None with fewer than three prompts on an axis.

    Source:
        Hall, On the bootstrap and likelihood-based confidence regions, Biometrika 74 (1987), 481-493;
        Hotelling, The generalization of Student's ratio, Ann. Math. Stat. 2 (1931), 360-378.
    """
    x = x[~np.isnan(x).all(axis=1)]
    n = x.shape[0]
    if (~np.isnan(x)).sum(axis=0).min() < 3:
        return None
    x = over_own_prompts(x)
    centre, covariance = x.mean(axis=0), np.cov(x, rowvar=False)
    q = float("inf")
    if not _is_singular(covariance):
        q = float(upper_quantile(_bootstrap_t2(x - centre, resamples, seed)[:, None], level)[0])
    if not np.isfinite(q):
        q = float(2 * (n - 1) / (n - 2) * fdtri(2, n - 2, level))
    return Region(centre, covariance / n, q, n)


def _bootstrap_t2(centred: FloatArray, resamples: int, seed: int) -> FloatArray:
    n = centred.shape[0]
    a, b = centred.T
    moments = np.column_stack([a, b, a * a, b * b, a * b])
    blocks = []
    for counts in resample_counts(n, resamples, seed):
        ma, mb, aa, bb, ab = (counts @ moments / n).T
        va, vb, vab = aa - ma * ma, bb - mb * mb, ab - ma * mb
        area = va * vb - vab * vab
        distance = ma * ma * vb - 2 * ma * mb * vab + mb * mb * va
        flat = area <= _SINGULAR**2 * (aa * bb)
        # n over S* = V* n / (n - 1): the factors leave n - 1.
        t2 = np.divide((n - 1) * distance, area, out=np.full(area.shape, np.inf), where=~flat)
        blocks.append(t2)
    return np.concatenate(blocks)


def _is_singular(covariance: FloatArray) -> bool:
    minor, major = np.linalg.eigvalsh(_scaled(covariance))
    return bool(minor <= _SINGULAR * major)


def _scaled(covariance: FloatArray) -> FloatArray:
    """With variances of 1, so that the units of the two axes do not matter."""
    sd = np.sqrt(np.diag(covariance))
    if not (sd > 0).all():
        return np.zeros((2, 2))
    scaled: FloatArray = covariance / np.outer(sd, sd)
    return scaled

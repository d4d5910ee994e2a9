"""The curve of a sweep: what is read off where it has reached a level."""

from dataclasses import dataclass

import numpy as np

from benchmark.stats.arrays import BoolArray, FloatArray


@dataclass(frozen=True, eq=False)
class Curves:
    """One curve, or one a resample.

    Attributes:
        level: Levels reached, non-decreasing along the last axis, shape (..., points); infinite past
            the highest one.
        outcome: What is read off, shape (..., points); points that were pooled share both numbers.
    """

    level: FloatArray
    outcome: FloatArray

    @property
    def lowest(self) -> FloatArray:
        """Where the curves begin, shape (...)."""
        lowest: FloatArray = self.level[..., 0]
        return lowest

    @property
    def highest(self) -> FloatArray:
        """Where the curves end, shape (...)."""
        highest: FloatArray = np.where(np.isfinite(self.level), self.level, -np.inf).max(axis=-1)
        return highest

    def at(self, level: FloatArray) -> FloatArray:
        """The outcome at a level, linear between the points; ``NaN`` outside the curve.

        Args:
            level: Shape (...).
        """
        wanted = level[..., None]
        left = np.maximum((self.level <= wanted).sum(axis=-1) - 1, 0)
        right = np.minimum(left + 1, self.level.shape[-1] - 1)
        a, b = _take(self.level, left), _take(self.level, right)
        u, v = _take(self.outcome, left), _take(self.outcome, right)
        inside = (level >= self.lowest) & (level <= self.highest)
        share = np.zeros(a.shape)
        np.divide(level - a, b - a, out=share, where=np.isfinite(b) & (b > a) & inside)
        read: FloatArray = np.where(inside, u + share * np.where(share > 0, v - u, 0.0), np.nan)
        return read


def used_points(level: FloatArray) -> BoolArray:
    """Which points a curve uses: up to the first with the highest level; the others are drawn hollow.

    Args:
        level: In the order of the sweep, shape (..., points).

    Returns:
        Same shape.
    """
    used: BoolArray = np.arange(level.shape[-1]) <= level.argmax(axis=-1)[..., None]
    return used


def sweep_curves(level: FloatArray, outcome: FloatArray) -> Curves:
    r"""Curves of the outcome over the level that a sweep reaches.

    Points past the highest level are not used. The rest is made non-decreasing in the sweep parameter by
    least squares, $\hat r_k = \max_{i \le k} \min_{j \ge k} \mathrm{mean}(r_i \dots r_j)$; points pooled
    by that are one point, with the mean of their outcomes, so that the outcome is a function of the level.
    The outcome itself is not made monotone: that it falls is a finding, not an assumption.

    Args:
        level: Such as mean reward, in the order of the sweep parameter, weak to strong, shape
            (..., points).
        outcome: Such as mean diversity, same shape.

    Returns:
        The curves.

    Source:
        Robertson, Wright & Dykstra, Order Restricted Statistical Inference (1988), section 1.4.
    """
    points = level.shape[-1]
    used = used_points(level)
    cut = np.where(used, level, 0.0)
    sums = np.concatenate([np.zeros((*cut.shape[:-1], 1)), cut.cumsum(axis=-1)], axis=-1)
    first, last = np.arange(points)[:, None], np.arange(points)[None, :]
    # means[..., i, j] of r_i .. r_j; blocks that reach past the end never are a minimum.
    means = (sums[..., None, 1:] - sums[..., :-1, None]) / np.maximum(last - first + 1, 1)
    allowed = used[..., None, :] & (first <= last)
    means = np.where(allowed, means, np.inf)
    behind = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
    smallest = np.where(first <= last, behind, -np.inf)
    fitted = np.where(used, smallest.max(axis=-2), np.inf)
    pooled = (fitted[..., :, None] == fitted[..., None, :]) & used[..., None, :]
    weights = pooled / np.maximum(pooled.sum(axis=-1, keepdims=True), 1)
    joined = np.where(used, (weights * outcome[..., None, :]).sum(axis=-1), np.nan)
    return Curves(fitted, joined)


def _take(x: FloatArray, index: np.ndarray) -> FloatArray:
    taken: FloatArray = np.take_along_axis(x, index[..., None], axis=-1)[..., 0]
    return taken

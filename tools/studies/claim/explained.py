"""Is a divergence more than another beta? What of its difference an effective beta explains."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from benchmark.stats.arrays import FloatArray
from benchmark.stats.curves import sweep_curves
from benchmark.stats.resampling import resample_counts
from benchmark.stats.sweeps import Sweep, without_gaps
from tools.studies.claim.records import Explained

_RESAMPLES: Final = 1000
_LEVEL: Final = (2.5, 97.5)


def explained(sweeps: Sequence[Sweep], reference: str, *, resamples: int = _RESAMPLES) -> Iterator[Explained]:
    r"""For each sweep but the reference, how much of its difference at equal beta is left at equal level.

    At a beta that both sweeps have passed, the outcome differs from the reference's by $\Delta_\beta$ where
    the reference has the same beta, and by $\Delta_r$ where it has the same level; the reference is read
    between its points, over beta on a logarithmic scale. $1 - \bar\Delta_r / \bar\Delta_\beta$ is the share
    that moving along the reference's own curve explains: 1 if all curves are one. Its interval is that of
    percentiles over resamples of seeds and prompts at once, which is on the safe side; there is none where
    the sign of $\bar\Delta_\beta$ is not sure.

    Args:
        sweeps: Over beta, from the base on.
        reference: Name of one of them.
        resamples: Of seeds and prompts.
    """
    own = next(sweep for sweep in sweeps if sweep.name == reference)
    for sweep in sweeps:
        if sweep.name != reference:
            found = _one(sweep, own, resamples)
            if found is not None:
                yield found


def _one(sweep: Sweep, own: Sweep, resamples: int) -> Explained | None:
    mine, theirs = _betas(sweep), _betas(own)
    shared = [i for i, beta in enumerate(mine) if min(theirs) <= beta <= max(theirs)]
    if not shared:
        return None
    S, P = sweep.level.shape[1:]
    points = [np.stack([without_gaps(s.level), without_gaps(s.outcome)]) for s in (sweep, own)]
    seeds = np.concatenate(list(resample_counts(S, resamples, 1))) / S
    prompts = np.concatenate(list(resample_counts(P, resamples, 0))) / P
    drawn = [np.einsum("vksp,bs,bp->bvk", of, seeds, prompts, optimize=True) for of in points]
    seen = [of.mean(axis=(2, 3))[None] for of in points]
    at_beta, at_level = _differences(seen[0], seen[1], mine, theirs, shared)
    by_beta, by_level = _differences(drawn[0], drawn[1], mine, theirs, shared)
    share: float | None = None
    ends: tuple[float | None, float | None] = (None, None)
    sure = np.percentile(by_beta, _LEVEL)
    if sure[0] * sure[1] > 0:
        share = float(1 - at_level[0] / at_beta[0])
        lo, hi = np.nanpercentile(1 - by_level / by_beta, _LEVEL)
        ends = (float(lo), float(hi))
    return Explained(
        sweep.name, tuple(mine[i] for i in shared), float(at_beta[0]), float(at_level[0]), share, *ends,
        _effective(seen[0][0], seen[1][0], theirs, shared),
    )  # fmt: skip


def _differences(
    mine: FloatArray,
    theirs: FloatArray,
    betas: Sequence[float],
    known: Sequence[float],
    shared: Sequence[int],
) -> tuple[FloatArray, FloatArray]:
    """Mean differences at equal beta and at equal level, of resamples (B, 2, points), the base first."""
    curve = sweep_curves(theirs[:, 0], theirs[:, 1])
    by_beta, by_level = [], []
    for i in shared:
        level, outcome = mine[:, 0, i + 1], mine[:, 1, i + 1]
        by_beta.append(outcome - _at_beta(theirs[:, 1, 1:], betas[i], known))
        # Past the reference's end or before its beginning it is read at that end.
        by_level.append(outcome - curve.at(np.clip(level, curve.lowest, curve.highest)))
    return np.mean(by_beta, axis=0), np.mean(by_level, axis=0)


def _at_beta(values: FloatArray, beta: float, known: Sequence[float]) -> FloatArray:
    """Values (B, points) at betas from weak to strong, read between two of them."""
    x = -np.log(np.asarray(known))
    at = -np.log(beta)
    right = min(max(int(np.searchsorted(x, at)), 1), x.size - 1)
    part = (at - x[right - 1]) / (x[right] - x[right - 1])
    read: FloatArray = values[:, right - 1] + part * (values[:, right] - values[:, right - 1])
    return read


def _effective(
    mine: FloatArray, theirs: FloatArray, known: Sequence[float], shared: Sequence[int]
) -> tuple[float | None, ...]:
    """Betas of the reference at which it has the same level."""
    curve = sweep_curves(theirs[0, 1:][None], np.log(np.asarray(known))[None])
    read = [float(curve.at(mine[0, i + 1][None])[0]) for i in shared]
    return tuple(None if np.isnan(value) else float(np.exp(value)) for value in read)


def _betas(sweep: Sweep) -> list[float]:
    return [float(point.removeprefix("beta ")) for point in sweep.points[1:]]

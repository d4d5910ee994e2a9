"""Scores of image sets as arrays, and what is computed from them: agreement in rank, and who is fooled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from scipy.stats import rankdata

from benchmark.core.records import ImageSet, ScoreRow
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.generate import console_progress
from benchmark.scorers import make_scorers
from benchmark.stats.arrays import LEVEL, RESAMPLES, FloatArray
from benchmark.stats.intervals import Interval, mean_intervals
from benchmark.stats.jackknife import jackknife_interval
from benchmark.stats.resampling import resample_counts

TRUTH: Final = "true_diversity"
LEARNED: Final = ("attribute_diversity", "clip_diversity", "vendi", "lpips")
"""One number a prompt each."""
SET: Final = "vendi_set"
TEXTURE: Final = "entropy"
SCORERS: Final = (TRUTH, *LEARNED, SET, TEXTURE)


@dataclass(frozen=True, eq=False)
class Measured:
    """One image set's scores.

    Attributes:
        per_prompt: By scorer a number for each prompt, NaN where there is none: (prompts,).
        whole: Of the set-level scorer.
        leave_out: The same without each of the jackknife's groups.
    """

    per_prompt: Mapping[str, FloatArray]
    whole: float
    leave_out: FloatArray


def measure(sets: Mapping[str, ImageSet], out: Path, device: str = "cpu") -> dict[str, Measured]:
    """Scores all sets; what was scored before is not scored again.

    Args:
        sets: By name; all of one prompt set.
        out: Scores are kept below it.
        device: Where.
    """
    scorers, loaded, cache = make_scorers(SCORERS, "embedded"), Loaded(device), ScoreCache(out)
    found = {}
    for name, images in sets.items():
        with console_progress(f"scoring {name}") as tell:
            found[name] = _arranged(score_all(images, scorers, loaded, cache, tell), images)
    return found


def _arranged(rows: Sequence[ScoreRow], images: ImageSet) -> Measured:
    values: dict[tuple[str, str], list[float]] = {}
    whole, groups = float("nan"), []
    for row in rows:
        value = float("nan") if row.value is None else row.value
        if row.scorer != SET:
            values.setdefault((row.scorer, row.prompt_id or ""), []).append(value)
        elif row.prompt_id is None:
            whole = value
        else:
            groups.append(value)
    per_prompt = {
        name: np.array([np.mean(values[name, prompt.id]) for prompt in images.prompt_set])
        for name in SCORERS
        if name != SET
    }
    return Measured(per_prompt, whole, np.array(groups))


def rank_agreement(
    truth: FloatArray, scores: FloatArray, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Spearman's rank correlation of two scorers over image sets, with an interval over prompts.

    A set's number is the mean over the prompts for which it has both. The interval is the percentile one of a
    bootstrap that draws prompts with replacement, the same ones for all sets: the sets are given, the prompts
    a sample. All is NaN if some set has no such prompt.

    Args:
        truth: (sets, prompts), NaN where there is none.
        scores: Likewise.
        resamples: Bootstrap resamples.
        seed: Of the draws.
    """
    both = ~np.isnan(truth) & ~np.isnan(scores)
    if not both.any(axis=1).all():
        nan = float("nan")
        return Interval(nan, nan, nan, nan, 0)
    x, y = (np.where(both, values, 0.0).T for values in (truth, scores))

    def correlation(counts: FloatArray) -> FloatArray:
        n = counts @ both.T.astype(np.float64)
        ranks = [rankdata(np.divide(counts @ v, n), axis=1) for v in (x, y)]
        a, b = (r - r.mean(axis=1, keepdims=True) for r in ranks)
        length = np.sqrt((a**2).sum(1) * (b**2).sum(1))
        out: FloatArray = np.divide((a * b).sum(1), length, out=np.zeros(len(a)), where=length > 0)
        return out

    prompts = truth.shape[1]
    value = float(correlation(np.ones((1, prompts)))[0])
    drawn = np.concatenate([correlation(c) for c in resample_counts(prompts, resamples, seed)])
    lo, hi = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(lo), float(hi), float(drawn.std()), prompts)


def difference(changed: Measured, base: Measured, scorer: str) -> Interval:
    """The paired difference of a set to the base's, with its interval over prompts (or jackknife groups)."""
    if scorer == SET:
        return jackknife_interval(changed.whole - base.whole, changed.leave_out - base.leave_out)
    pairs = (changed.per_prompt[scorer] - base.per_prompt[scorer])[:, None]
    return mean_intervals(pairs)[0]

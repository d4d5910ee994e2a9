"""How far training runs of the gate's budget differ, measured in the committed baselines.

`python -m tools.simulations.spreads` prints what `SPREADS` must say; a test holds it to that. Whoever makes
the baselines anew copies it here and runs the cases `methods`, `gate`, `drops` and `checkpoints` again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import Any, Final

import numpy as np

from benchmark.core.console import finish
from benchmark.leaderboard import ScoreTable, read_score_table
from benchmark.leaderboard.score_arrays import cells_of
from benchmark.stats.arrays import FloatArray
from benchmark.stats.cells import paired_differences, prompt_means, within_prompt_sd
from benchmark.stats.training_runs import paired_runs
from benchmark.workflows.regress.baselines import SCORERS, SEEDS, find_baseline

BASELINES: Final = ("reverse_kl", "jensen_shannon")
_DIGITS: Final = 3


@dataclass(frozen=True)
class Spread:
    """Of one scorer; all but shares and correlations in the standard deviation that the margin is made of.

    Attributes:
        unit: That standard deviation, in the scorer's units.
        missing: Share of a run's cells without a number: no failures, but images or prompts of which the
            question cannot be asked.
        complete: Share of prompts with a number in all runs of a gate: four of the one baseline and eight of
            the other, mean over all choices of four.
        common: Share of prompts with a number in two single runs.
        images: Correlation of two images of one prompt, base model; None for a scorer of unit prompt.
        run_sd: What a run departs by on a prompt, beyond what its seed and the prompt explain: quadratic mean
            of the baselines.
        pair_sd: The same of two single runs of one seed: standard deviation over prompts of their difference.
        seed_sd: Between training seeds, beyond what chance on the prompts explains; the largest.
        response: Between prompts, of the effect of another method, beyond chance: the largest of the one
            baseline against the other and of both against the base model.
        agreement: Correlation of the means of the baselines' runs that share a training seed.
        gains: Mean gain of each baseline over the base model, on the prompts that all its runs have.
    """

    unit: float
    missing: float
    complete: float
    common: float
    images: float | None
    run_sd: float
    pair_sd: float
    seed_sd: float
    response: float
    agreement: float
    gains: tuple[float, float]


SPREADS: Final[Mapping[str, Spread]] = {
    "true_taste": Spread(
        unit=0.292,
        missing=0.567,
        complete=0.536,
        common=0.66,
        images=0.155,
        run_sd=0.441,
        pair_sd=0.505,
        seed_sd=0.053,
        response=0.171,
        agreement=0.555,
        gains=(0.253, 0.218),
    ),
    "oracle": Spread(
        unit=0.201,
        missing=0.0,
        complete=1.0,
        common=1.0,
        images=0.088,
        run_sd=0.31,
        pair_sd=0.341,
        seed_sd=0.026,
        response=0.159,
        agreement=0.374,
        gains=(0.009, 0.037),
    ),
    "true_diversity": Spread(
        unit=0.302,
        missing=0.427,
        complete=0.367,
        common=0.52,
        images=None,
        run_sd=0.539,
        pair_sd=0.579,
        seed_sd=0.0,
        response=0.273,
        agreement=0.063,
        gains=(-0.099, -0.044),
    ),
    "scene_rate": Spread(
        unit=0.375,
        missing=0.0,
        complete=1.0,
        common=1.0,
        images=0.166,
        run_sd=0.384,
        pair_sd=0.473,
        seed_sd=0.082,
        response=0.099,
        agreement=0.879,
        gains=(-0.026, 0.03),
    ),
}


CORRELATIONS_SEEN: Final = (
    ", ".join(f"{s.images:.2f} `{name}`" for name, s in SPREADS.items() if s.images is not None)
    + "; under the first taste 0.5 `clip`, 0.9 `pickscore`"
)
"""Of two images of one prompt, of the base model."""


def measured() -> dict[str, Spread]:
    """The spreads of the gated scorers, from the committed baselines."""
    tables = [read_score_table(find_baseline(name)) for name in BASELINES]
    return {scorer: _spread([_cells(table, scorer) for table in tables]) for scorer in SCORERS}


def _cells(table: ScoreTable, scorer: str) -> FloatArray:
    """Of the base model and then of each run, shape (1 + runs, prompts, images)."""
    ids = [checkpoint.id for checkpoint in table.checkpoints]
    return cells_of(table.rows[table.rows["scorer"] == scorer], ids)


def _spread(cells: list[FloatArray]) -> Spread:
    base, unit = cells[0][0], within_prompt_sd(cells[0][0])
    runs = [prompt_means(one[1:]) / unit for one in cells]
    before = prompt_means(base) / unit
    parts = [variances_of(one) for one in runs]
    pairs = [paired_differences(a, b) / unit for a, b in zip(cells[0][1:], cells[1][1:], strict=True)]
    means = [one.mean(axis=1) for one in _complete(*runs)]
    gains = [paired_runs(one, np.broadcast_to(before, one.shape)).value for one in runs]
    spread = Spread(
        unit=unit,
        missing=float(np.mean([np.isnan(one[1:]).mean() for one in cells])),
        complete=_complete_share(*runs),
        common=float(np.mean([(~np.isnan(pair)).mean() for pair in pairs])),
        images=_image_correlation(base),
        run_sd=math.sqrt(np.mean([rest for rest, _ in parts])),
        pair_sd=math.sqrt(np.mean([np.nanvar(pair, ddof=1) for pair in pairs])),
        seed_sd=math.sqrt(max(0.0, *(seeds for _, seeds in parts))),
        response=math.sqrt(max(0.0, response_of(*runs), *(_from_base(one, before) for one in runs))),
        agreement=float(np.corrcoef(*means)[0, 1]),
        gains=(gains[0], gains[1]),
    )
    return _rounded(spread)


def _complete(*runs: FloatArray) -> list[FloatArray]:
    """On the prompts that all of them have."""
    kept = ~np.isnan(np.concatenate(runs)).any(axis=0)
    return [one[:, kept] for one in runs]


def variances_of(runs: FloatArray) -> tuple[float, float]:
    """Variances of a run on a prompt beyond seed and prompt, and of seeds beyond that; complete prompts."""
    (x,) = _complete(runs)
    rest = x - x.mean(axis=0) - x.mean(axis=1, keepdims=True) + x.mean()
    run = float((rest**2).sum() / ((x.shape[0] - 1) * (x.shape[1] - 1)))
    return run, float(x.mean(axis=1).var(ddof=1)) - run / x.shape[1]


def response_of(one: FloatArray, other: FloatArray) -> float:
    """Variance over prompts of the difference of two methods, less what runs explain; paired by seed."""
    a, b = _complete(one, other)
    return float((a - b).mean(axis=0).var(ddof=1)) - variances_of(a - b)[0] / len(a)


def _from_base(runs: FloatArray, base: FloatArray) -> float:
    """The same of a method against the base model, whose one set of images departs as that of a run does."""
    a, b = _complete(runs, base[None])
    return float((a.mean(axis=0) - b[0]).var(ddof=1)) - variances_of(a)[0] * (1 + 1 / len(a))


def _complete_share(one: FloatArray, other: FloatArray) -> float:
    """Of prompts, where some runs of one method are held against all of the other."""
    shares = [
        (~np.isnan(np.concatenate([few[list(chosen)], many])).any(axis=0)).mean()
        for few, many in ((one, other), (other, one))
        for chosen in combinations(range(len(few)), len(SEEDS))
    ]
    return float(np.mean(shares))


def _image_correlation(base: FloatArray) -> float | None:
    """Share of the variance between prompts; of prompts with any image."""
    if base.shape[1] == 1:
        return None
    images = (~np.isnan(base)).sum(axis=1)
    within = within_prompt_sd(base) ** 2
    between = float(np.nanvar(prompt_means(base), ddof=1)) - within * float((1 / images[images > 0]).mean())
    return max(0.0, between / (between + within))


def _rounded(spread: Spread) -> Spread:
    numbers: dict[str, Any] = {
        field.name: None if value is None else round(float(value), _DIGITS)
        for field in fields(spread)
        if not isinstance(value := getattr(spread, field.name), tuple)
    }
    return replace(
        spread, **numbers, gains=(round(spread.gains[0], _DIGITS), round(spread.gains[1], _DIGITS))
    )


def main() -> None:
    """Prints the spreads as they stand in the code."""
    for scorer, spread in measured().items():
        print(f"    {scorer!r}: {spread!r},")


if __name__ == "__main__":
    finish(main)

"""What ten times as many resamples change."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from benchmark.stats.arrays import RESAMPLES as IN_USE
from benchmark.stats.best import not_worse_than_best
from benchmark.stats.intervals import mean_intervals
from benchmark.stats.one_sided import prompt_bounds
from tools.simulations.cases import Case, Draw, Outcome, clustered, noise, outcome


def _run(draw: Draw) -> Iterator[Outcome]:
    cells = clustered(draw.generator, "gamma", (draw.tables, 50, 4))
    means = cells.mean(axis=2)
    three = noise(draw.generator, "gamma", (draw.tables, 50, 1)) + noise(
        draw.generator, "gamma", (draw.tables, 50, 3)
    )
    for resamples in (draw.resamples, IN_USE):
        column = f"{resamples:,} resamples"
        held = [i.lo <= 0 <= i.hi for i in mean_intervals(means.T, resamples=resamples, seed=draw.seed)]
        yield outcome("mean, gamma, 50 x 4: covered", column, held)
        stays = [not_worse_than_best(x, resamples=resamples, seed=draw.seed)[0] for x in three]
        yield outcome("3 equal checkpoints, 50 prompts: the first is in", column, np.array(stays))
        lower = [prompt_bounds(d, resamples=resamples, seed=draw.seed).lower for d in means]
        yield outcome("lower bound of the gate, gamma, 50 x 4: held", column, [bound <= 0 for bound in lower])


RESAMPLES: Final = Case(
    "resamples",
    f"The same tables with the {IN_USE:,} resamples that are in use outside of the simulations.",
    _run,
)

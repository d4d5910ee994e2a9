"""The gate between two checkpoints: a drop is one of these weights, whatever trained them."""

from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np

from benchmark.gate import checkpoint_bounds
from benchmark.gate.margins import MARGIN_SDS
from tools.simulations.cases import Case, Draw, Outcome, Shape, noise
from tools.simulations.gating import NAMES, PROMPTS, TRUE_DROPS, Judge, outcomes_of, said, verdict_of
from tools.simulations.spreads import SPREADS, Spread

_SHAPES: Final[tuple[Shape, ...]] = ("normal", "gamma", "log-normal")
_CHECKPOINT_PROMPTS: Final = (96, 384)
_CHECKPOINT_MARGINS: Final = (MARGIN_SDS,) * len(NAMES)


def _checkpoints(draw: Draw) -> Iterator[Outcome]:
    for prompts in _CHECKPOINT_PROMPTS:
        for shape in _SHAPES:
            verdicts: dict[str, list[str]] = {}
            for table in range(draw.tables):
                judges = [
                    _of_checkpoints(draw, shape, s, prompts, draw.seed + table) for s in SPREADS.values()
                ]
                at = table % len(NAMES)
                for drop, words in TRUE_DROPS.items():
                    drops = {at: MARGIN_SDS * drop}
                    verdicts.setdefault(words, []).append(verdict_of(judges, _CHECKPOINT_MARGINS, drops))
            powerful = "no drop" if prompts > PROMPTS else ""
            yield from outcomes_of(f"{shape}, {prompts} prompts", verdicts, powerful)


def _of_checkpoints(draw: Draw, shape: Shape, spread: Spread, prompts: int, seed: int) -> Judge:
    away = spread.pair_sd * noise(draw.generator, shape, (round(spread.common * prompts), 1))
    return cache(
        lambda less: checkpoint_bounds(
            away - less, np.zeros(away.shape), higher_is_better=True, resamples=draw.resamples, seed=seed
        )
    )


CHECKPOINTS: Final = Case(
    "checkpoints",
    f"`gate`: two checkpoints, four scorers, M = {MARGIN_SDS}; differences of the named shape, standard "
    f"deviation a prompt {said(s.pair_sd for s in SPREADS.values())}, on the prompts that both have, "
    f"{said(s.common for s in SPREADS.values())} of all; the drop as named on one scorer, each in its turn.",
    _checkpoints,
)

"""Contrasts of sweeps at equal reward."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmark.stats.arrays import FloatArray
from benchmark.stats.sweeps import SHARES, Contrast, Sweep, contrasts_at_equal_level
from tools.simulations.cases import Case, Draw, Outcome, outcome

_PROMPTS: Final = 64
_SEED_SD, _RUN_SD, _PROMPT_SD = 0.04, 0.3, 0.5
_PRESSURE: Final = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
_CLEAR: Final = np.array([0.0, 0.3, 0.55, 0.75, 0.9, 0.7])
_FLAT: Final = np.array([0.0, 0.3, 0.5, 0.6, 0.62, 0.61])


@dataclass(frozen=True, eq=False)
class _Setting:
    """Reward of both methods along the sweep, diversity lost at its end, and training seeds."""

    rewards: tuple[FloatArray, FloatArray]
    losses: tuple[float, float]
    seeds: int = 8


_SETTINGS: Final = {
    "a clear maximum, equal curves": _Setting((_CLEAR, _CLEAR), (0.5, 0.5)),
    "a clear maximum, different curves": _Setting((_CLEAR, _CLEAR), (0.5, 0.25)),
    "a flat top, different curves": _Setting((_FLAT, _FLAT), (0.5, 0.25)),
    "one reaches less, different curves": _Setting((_CLEAR, 0.7 * _CLEAR), (0.5, 0.25)),
    "a flat top, equal curves, 5 seeds": _Setting((_FLAT, _FLAT), (0.5, 0.5), 5),
}


def _run(draw: Draw) -> Iterator[Outcome]:
    for name, setting in _SETTINGS.items():
        curves = [(r, 1 - loss * _PRESSURE) for r, loss in zip(setting.rewards, setting.losses, strict=True)]
        truth = [_value(c) for c in _contrasts([_exact(*curve) for curve in curves], 2, 0)]
        held: list[list[bool]] = [[] for _ in SHARES]
        apart: list[bool] = []
        for table in range(draw.tables):
            sweeps = [_sweep(draw.generator, *curve, setting.seeds) for curve in curves]
            found = _contrasts(sweeps, draw.resamples, draw.seed + table)
            for s, contrast in enumerate(found):
                i = contrast.interval
                held[s].append(i is not None and i.lo <= truth[s] <= i.hi)
            middle = found[len(SHARES) // 2].interval
            apart.append(middle is not None and not middle.lo <= 0 <= middle.hi)
        for share, hits in zip(SHARES, held, strict=True):
            yield outcome(name, f"at {share:.0%}", hits, 0.93, 0.99)
        yield outcome(name, "told apart at 50%", apart)


def _value(contrast: Contrast) -> float:
    assert contrast.interval is not None, "curves without noise overlap"
    return contrast.interval.value


def _contrasts(
    arrays: list[tuple[FloatArray, FloatArray]], resamples: int, seed: int
) -> tuple[Contrast, ...]:
    sweeps = [Sweep(str(i), level, outcome) for i, (level, outcome) in enumerate(arrays)]
    return contrasts_at_equal_level(sweeps, "0", resamples=resamples, seed=seed)


def _exact(reward: FloatArray, diversity: FloatArray) -> tuple[FloatArray, FloatArray]:
    shape = (reward.size, 2, 2)
    return np.broadcast_to(reward[:, None, None], shape), np.broadcast_to(diversity[:, None, None], shape)


def _sweep(
    generator: np.random.Generator, reward: FloatArray, diversity: FloatArray, seeds: int
) -> tuple[FloatArray, FloatArray]:
    """A training seed moves a whole curve; a run differs by prompt; prompts respond each in their own way."""
    noisy = []
    for curve in (reward, diversity):
        by_seed = _SEED_SD * generator.normal(size=(1, seeds, 1))
        by_prompt = _PROMPT_SD * generator.normal(size=(1, 1, _PROMPTS)) * _PRESSURE[:, None, None]
        by_run = _RUN_SD * generator.normal(size=(curve.size, seeds, _PROMPTS))
        noisy.append(curve[:, None, None] + by_seed + by_prompt + by_run)
    return noisy[0], noisy[1]


ISO: Final = Case(
    "iso",
    f"95 % intervals of the difference of diversity at equal reward: two sweeps of {_PRESSURE.size} points, "
    f"the last past the maximum; 8 training seeds x {_PROMPTS} prompts unless said otherwise; training seeds "
    f"move a whole curve by {_SEED_SD:g}, a run differs by {_RUN_SD:g} a prompt.",
    _run,
)

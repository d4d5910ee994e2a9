"""Claims about methods, and the gate, with training-seed variance."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmark.gate import checkpoint_bounds, decide, run_bounds
from benchmark.gate.margins import MARGIN_SDS
from benchmark.stats.arrays import FloatArray
from benchmark.stats.one_sided import Bounds
from benchmark.stats.training_runs import Difference, independent_runs, paired_runs
from tools.simulations.cases import Case, Draw, Outcome, Shape, noise, outcome

PROMPTS: Final = 96
CANDIDATES, BASELINES = 4, 8
"""The budget of `fbench regress`."""

_TAILS: Final = 5
_RESPONSE: Final = 0.2
"""How differently prompts respond to a candidate that is another method."""


@dataclass(frozen=True)
class _Scorer:
    """Share of prompts with a number in every run, and what a run departs by on a prompt of 4 images.

    All in the standard deviation that the margin is made of; seen over the two committed baselines of 8 runs:
    departures of 0.23 to 0.31 (`true_diversity` 0.41 to 0.42) with a kurtosis of 5 to 10, `true_diversity` on
    42 and 44 of 96 prompts.
    """

    share: float
    run_sd: float


_IMAGE: Final = _Scorer(1.0, 0.3)
_SCORERS: Final = (_IMAGE, _IMAGE, _IMAGE, _Scorer(40 / 96, 0.43))
"""`true_reward`, `oracle`, `scene_rate`; `true_diversity`."""

_SEEN: Final = (0.025, 0.017, 0.024, 0.046)
"""Standard deviation of training seeds: the larger of the two baselines, `true_diversity` last."""

_GAINED: Final = 0.087
"""What both baselines gained in `true_reward`; a method's margin of a reward is no wider."""

_METHOD_MARGINS: Final = (_GAINED, MARGIN_SDS, MARGIN_SDS, MARGIN_SDS)
_CHECKPOINT_MARGINS: Final = (MARGIN_SDS,) * len(_SCORERS)


@dataclass(frozen=True)
class _World:
    """Standard deviation of training seeds for each scorer, how far shared seeds agree, and the budget."""

    name: str
    seed_sds: tuple[float, ...]
    asked: bool = True
    agreement: float = 0.0
    candidates: int = CANDIDATES
    baselines: int = BASELINES
    prompts: int = PROMPTS


def _alike(seed_sd: float, words: str = "", **changes: Any) -> _World:
    """All scorers with the same; power is asked for up to 0.02, as beyond it 0.087 is out of reach."""
    sds = (seed_sd,) * len(_SCORERS)
    return _World(f"seeds {seed_sd:g}{words}", sds, asked=seed_sd <= 0.02 and not words, **changes)


_WORLDS: Final = (
    _World("seeds as seen", _SEEN),
    *(_alike(sd) for sd in (0.02, 0.04, 0.06, 0.08)),
    _alike(0.04, ", 3 candidate runs", candidates=3),
    _alike(0.04, ", 64 prompts", prompts=64),
)
_CHECKPOINT_PROMPTS: Final = 96
_SHAPES: Final[tuple[Shape, ...]] = ("normal", "gamma", "log-normal")
_DROPS: Final = {0.0: "no drop", 0.5: "M/2", 1.0: "M", 2.0: "2 M"}
"""True drops on one scorer, in margins."""

_Judge = Callable[[float], Bounds]
"""Evidence of one scorer with a drop taken from it: the same noise for every drop."""


def _runs(
    generator: np.random.Generator, world: _World, at: int, drop: float, response: float
) -> tuple[FloatArray, FloatArray]:
    """Prompt means of candidate and baseline runs on one scorer, shape (runs, prompts)."""
    scorer, seed_sd = _SCORERS[at], world.seed_sds[at]
    prompts = round(scorer.share * world.prompts)
    common = generator.normal(size=(max(world.candidates, world.baselines), 1))
    own = generator.normal(size=(world.candidates, 1))
    a, b = world.agreement, np.sqrt(1 - world.agreement**2)
    candidate = seed_sd * (a * common[: world.candidates] + b * own) - drop
    candidate = candidate + response * generator.normal(size=(1, prompts))
    baseline = seed_sd * common[: world.baselines]
    noisy = [
        means + scorer.run_sd * _heavy(generator, (means.shape[0], prompts))
        for means in (candidate, baseline)
    ]
    return noisy[0], noisy[1]


def _heavy(generator: np.random.Generator, size: tuple[int, ...]) -> FloatArray:
    """Student's t with 5 degrees of freedom, of variance 1: kurtosis 9."""
    drawn: FloatArray = generator.standard_t(_TAILS, size=size) / np.sqrt(_TAILS / (_TAILS - 2))
    return drawn


def _methods(draw: Draw) -> Iterator[Outcome]:
    for sd in (0.02, 0.04, 0.08):
        row = f"seeds {sd:g}"
        for seeds in (5, 8):
            world = _alike(sd, agreement=0.5, candidates=seeds, baselines=seeds)
            held = _held(draw, world, paired_runs)
            yield outcome(row, f"{seeds} shared seeds", held, 0.93, 0.99)
        yield outcome(row, "4 against 8 runs", _held(draw, _alike(sd), independent_runs), 0.93, 0.99)


def _held(
    draw: Draw, world: _World, difference: Callable[[FloatArray, FloatArray], Difference]
) -> list[bool]:
    pairs = [_runs(draw.generator, world, 0, 0.1, _RESPONSE) for _ in range(draw.tables)]
    return [i.lo <= -0.1 <= i.hi for i in (difference(*pair).interval() for pair in pairs)]


def _gate(draw: Draw) -> Iterator[Outcome]:
    for world in _WORLDS:
        verdicts: dict[str, list[str]] = {}
        for table in range(draw.tables):
            same, other = (
                [_of_runs(draw.generator, world, at, response) for at in range(len(_SCORERS))]
                for response in (0.0, _RESPONSE)
            )
            verdicts.setdefault("identical", []).append(next(_verdicts(same, table, (0.0,), _METHOD_MARGINS)))
            for drop, verdict in zip(_DROPS, _verdicts(other, table, _DROPS, _METHOD_MARGINS), strict=True):
                verdicts.setdefault(_DROPS[drop], []).append(verdict)
        yield from _outcomes(world.name, verdicts, "identical" if world.asked else "")


def _of_runs(generator: np.random.Generator, world: _World, at: int, response: float) -> _Judge:
    ours, theirs = _runs(generator, world, at, 0.0, response)
    seeds = range(max(world.candidates, world.baselines))
    runs = seeds[: world.candidates], seeds[: world.baselines]
    return lambda less: run_bounds(ours[..., None] - less, theirs[..., None], *runs, higher_is_better=True)


def _checkpoints(draw: Draw) -> Iterator[Outcome]:
    """Two checkpoints: a drop is one of these weights, whatever trained them."""
    for shape in _SHAPES:
        verdicts: dict[str, list[str]] = {}
        for table in range(draw.tables):
            scorers = [_of_checkpoints(draw, shape, draw.seed + table) for _ in _SCORERS]
            for drop, verdict in zip(
                _DROPS, _verdicts(scorers, table, _DROPS, _CHECKPOINT_MARGINS), strict=True
            ):
                verdicts.setdefault(_DROPS[drop], []).append(verdict)
        yield from _outcomes(shape, verdicts, "no drop")


def _of_checkpoints(draw: Draw, shape: Shape, seed: int) -> _Judge:
    away = _IMAGE.run_sd * np.sqrt(2) * noise(draw.generator, shape, (_CHECKPOINT_PROMPTS, 1))
    return lambda less: checkpoint_bounds(
        away - less, np.zeros(away.shape), higher_is_better=True, resamples=draw.resamples, seed=seed
    )


def _verdicts(
    judges: Sequence[_Judge], table: int, drops: Iterable[float], margins: Sequence[float]
) -> Iterator[str]:
    """A verdict for each drop, which is on one scorer: each in its turn."""
    bounds = {str(k): judge(0.0) for k, judge in enumerate(judges)}
    at = table % len(judges)
    known = {str(k): margin for k, margin in enumerate(margins)}
    for drop in drops:
        here = bounds | {str(at): judges[at](margins[at] * drop)} if drop else bounds
        yield decide(here, known).outcome


def _outcomes(row: str, verdicts: Mapping[str, Sequence[str]], powerful: str) -> Iterator[Outcome]:
    """What is asked: no false alarm, no wrong pass, and power where `powerful` names who must pass."""
    for words, found in verdicts.items():
        passed = [v == "pass" for v in found]
        failed = [v == "regression" for v in found]
        if words in ("identical", "no drop"):
            yield outcome(row, f"{words}: passes", passed, 0.8 if words == powerful else 0.0)
            yield outcome(row, f"{words}: regression", failed, 0.0, 0.05)
            continue
        if words == "M":
            yield outcome(row, "M: passes", passed, 0.0, 0.05)
        yield outcome(row, f"{words}: regression", failed, 0.8 if powerful and words == "2 M" else 0.0)


METHODS: Final = Case(
    "methods",
    f"95 % intervals of a method's difference over training seeds and {PROMPTS} prompts, in within-prompt "
    "standard deviations of the base; `seeds` is the standard deviation of training seeds.",
    _methods,
)

GATE: Final = Case(
    "gate",
    f"`regress`: {CANDIDATES} candidate runs against {BASELINES} baseline runs on {PROMPTS} prompts x 4 "
    "images, unless said otherwise; four scorers, the last with a number for 40 prompts in 96, as "
    "`true_diversity`; "
    f"M = {MARGIN_SDS}, of `true_reward` {_GAINED}, what the baselines gained. `seeds` is the standard "
    "deviation of training seeds; as seen in the baselines it is "
    f"{', '.join(map(str, _SEEN[:3]))}, and {_SEEN[3]} for `true_diversity`. `identical` is the same method "
    f"again; the others are methods to which prompts respond differently (standard deviation {_RESPONSE}), "
    "with the drop as named on one scorer, each in its turn.",
    _gate,
)

CHECKPOINTS: Final = Case(
    "checkpoints",
    f"`gate`: two checkpoints, four scorers, M = {MARGIN_SDS}, {_CHECKPOINT_PROMPTS} prompts; differences of "
    f"the named shape, standard deviation {_IMAGE.run_sd * np.sqrt(2):.2f} a prompt; the drop as named on "
    "one scorer, each in its turn.",
    _checkpoints,
)

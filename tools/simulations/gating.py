"""Claims about methods, and the gate, with training-seed variance."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np

from benchmark.gate import decide, run_bounds
from benchmark.gate.margins import MARGIN_SDS
from benchmark.stats.arrays import FloatArray
from benchmark.stats.one_sided import Bounds
from benchmark.stats.training_runs import Difference, independent_runs, paired_runs
from tools.simulations.cases import Case, Draw, Outcome, outcome
from tools.simulations.spreads import BASELINES as METHODS_SEEN
from tools.simulations.spreads import SPREADS, Spread

PROMPTS: Final = 96
CANDIDATES, BASELINES = 4, 8
IMAGES: Final = 4
"""The budget of `fbench regress`."""

_TAILS: Final = 5
NAMES: Final = tuple(SPREADS)
_TRAINED_FOR: Final = "true_taste"
"""The scorer whose margin is no wider than what the baseline gained."""


@dataclass(frozen=True)
class _World:
    """What training runs of each scorer are like, and the budget."""

    name: str
    spreads: tuple[Spread, ...] = tuple(SPREADS.values())
    asked: bool = False
    shared: bool = False
    candidates: int = CANDIDATES
    baselines: int = BASELINES
    prompts: int = PROMPTS
    images: int = IMAGES

    def run_sd(self, at: int) -> float:
        """Of one run on a prompt; that of a scorer of unit prompt is taken as it is with 4 images."""
        spread = self.spreads[at]
        return spread.run_sd * (1.0 if spread.images is None else float(np.sqrt(IMAGES / self.images)))


def _alike(seed_sd: float) -> tuple[Spread, ...]:
    return tuple(replace(spread, seed_sd=seed_sd) for spread in SPREADS.values())


_WORLDS: Final = (
    _World("seeds as seen", asked=True),
    _World("as seen, and shared seeds agree", shared=True),
    *(_World(f"seeds {sd:g}", _alike(sd)) for sd in (0.04, 0.08, 0.12)),
    _World("as seen, 3 candidate runs", candidates=3),
    _World("as seen, 6 candidate runs", candidates=6),
    _World("as seen, 8 candidate runs, paired", shared=True, candidates=8),
    _World("as seen, 64 prompts", prompts=64),
    _World("as seen, 144 prompts", prompts=144),
    _World("as seen, 192 prompts", prompts=192),
    _World("as seen, 8 images", images=8),
)
TRUE_DROPS: Final = {0.0: "no drop", 0.5: "M/2", 1.0: "M", 2.0: "2 M"}
"""True drops on one scorer, in margins."""


def _method_margins(baseline: int) -> tuple[float, ...]:
    """M of each scorer against one of the baselines, as `benchmark.gate.margins` sets it."""
    gains = (SPREADS[name].gains[baseline] if name == _TRAINED_FOR else MARGIN_SDS for name in NAMES)
    return tuple(min(MARGIN_SDS, gain) for gain in gains)


Judge = Callable[[float], Bounds]
"""Evidence of one scorer with a drop taken from it: the same noise for every drop."""


def _runs(
    generator: np.random.Generator, world: _World, at: int, drop: float, response: float
) -> tuple[FloatArray, FloatArray]:
    """Prompt means of candidate and baseline runs on one scorer, shape (runs, prompts)."""
    spread = world.spreads[at]
    prompts = round(spread.complete * world.prompts)
    common = generator.normal(size=(max(world.candidates, world.baselines), 1))
    own = generator.normal(size=(world.candidates, 1))
    a = spread.agreement if world.shared else 0.0
    seeds = a * common[: world.candidates] + np.sqrt(1 - a**2) * own
    candidate = spread.seed_sd * seeds - drop + response * generator.normal(size=(1, prompts))
    baseline = spread.seed_sd * common[: world.baselines]
    noisy = [
        means + world.run_sd(at) * _heavy(generator, (means.shape[0], prompts))
        for means in (np.broadcast_to(candidate, (world.candidates, prompts)), baseline)
    ]
    return noisy[0], noisy[1]


def _heavy(generator: np.random.Generator, size: tuple[int, ...]) -> FloatArray:
    """Student's t with 5 degrees of freedom, of variance 1: kurtosis 9; seen 4.5 to 10."""
    drawn: FloatArray = generator.standard_t(_TAILS, size=size) / np.sqrt(_TAILS / (_TAILS - 2))
    return drawn


def _methods(draw: Draw) -> Iterator[Outcome]:
    for sd in (0.02, 0.04, 0.08):
        row = f"seeds {sd:g}"
        for seeds in (5, 8):
            world = _World(row, _alike(sd), shared=True, candidates=seeds, baselines=seeds)
            held = _held(draw, world, paired_runs)
            yield outcome(row, f"{seeds} shared seeds", held, 0.93, 0.99)
        held = _held(draw, _World(row, _alike(sd)), independent_runs)
        yield outcome(row, "4 against 8 runs", held, 0.93, 0.99)


def _held(
    draw: Draw, world: _World, difference: Callable[[FloatArray, FloatArray], Difference]
) -> list[bool]:
    at = NAMES.index(_TRAINED_FOR)
    response = world.spreads[at].response
    pairs = [_runs(draw.generator, world, at, 0.1, response) for _ in range(draw.tables)]
    return [i.lo <= -0.1 <= i.hi for i in (difference(*pair).interval() for pair in pairs)]


def _gate(draw: Draw) -> Iterator[Outcome]:
    margins = _method_margins(0)
    for world in _WORLDS:
        verdicts: dict[str, list[str]] = {}
        for table in range(draw.tables):
            same, other = _same(draw, world), _other(draw, world)
            verdicts.setdefault("identical", []).append(verdict_of(same, margins))
            at = table % len(NAMES)
            for drop, words in TRUE_DROPS.items():
                verdicts.setdefault(words, []).append(verdict_of(other, margins, {at: margins[at] * drop}))
            for which, method in enumerate(METHODS_SEEN):
                words = f"learns nothing, {method}"
                verdicts.setdefault(words, []).append(_of_nothing(draw, world, which))
        yield from outcomes_of(world.name, verdicts, "identical" if world.asked else "")


def _same(draw: Draw, world: _World) -> list[Judge]:
    return [_of_runs(_runs(draw.generator, world, at, 0.0, 0.0), world) for at in range(len(NAMES))]


def _other(draw: Draw, world: _World) -> list[Judge]:
    return [
        _of_runs(_runs(draw.generator, world, at, 0.0, spread.response), world)
        for at, spread in enumerate(world.spreads)
    ]


def _of_nothing(draw: Draw, world: _World, baseline: int) -> str:
    """A candidate all of whose runs give the base model's images: the gain is lost, on every scorer."""
    judges = []
    for at in range(len(NAMES)):
        _, theirs = _runs(draw.generator, world, at, 0.0, 0.0)
        images = world.run_sd(at) * _heavy(draw.generator, (1, theirs.shape[1]))
        judges.append(_of_runs((np.repeat(images, world.candidates, axis=0), theirs), world))
    gains = {at: SPREADS[name].gains[baseline] for at, name in enumerate(NAMES)}
    return verdict_of(judges, _method_margins(baseline), gains)


def _of_runs(runs: tuple[FloatArray, FloatArray], world: _World) -> Judge:
    ours, theirs = runs
    seeds = range(max(world.candidates, world.baselines))
    who = seeds[: world.candidates], seeds[: world.baselines]
    return cache(
        lambda less: run_bounds(ours[..., None] - less, theirs[..., None], *who, higher_is_better=True)
    )


def _nothing(draw: Draw) -> Iterator[Outcome]:
    for which, method in enumerate(METHODS_SEEN):
        found = [_of_nothing(draw, _WORLDS[0], which) for _ in range(draw.tables)]
        yield outcome(method, "passes", [v == "pass" for v in found], 0.0, 0.05)
        yield outcome(method, "inconclusive", [v == "inconclusive" for v in found])
        yield outcome(method, "regression", [v == "regression" for v in found], 0.8)


def verdict_of(
    judges: Sequence[Judge], margins: Sequence[float], drops: Mapping[int, float] | None = None
) -> str:
    """What the gate says with a drop on some of the scorers, by their place."""
    drops = drops or {}
    bounds = {
        name: judge(drops.get(at, 0.0)) for at, (name, judge) in enumerate(zip(NAMES, judges, strict=True))
    }
    return decide(bounds, dict(zip(NAMES, margins, strict=True))).outcome


def _drops(draw: Draw) -> Iterator[Outcome]:
    """The budget as it is, and each scorer for itself."""
    world, margins = _WORLDS[0], _method_margins(0)
    found: dict[str, dict[str, list[str]]] = {name: {} for name in NAMES}
    for _ in range(draw.tables):
        same, other = _same(draw, world), _other(draw, world)
        for at, name in enumerate(NAMES):
            alone = decide({name: same[at](0.0)}, {name: margins[at]}).outcome
            found[name].setdefault("identical", []).append(alone)
            for drop, words in TRUE_DROPS.items():
                if drop:
                    found[name].setdefault(words, []).append(
                        verdict_of(other, margins, {at: margins[at] * drop})
                    )
    for name, verdicts in found.items():
        yield from outcomes_of(name, verdicts, "")


def outcomes_of(row: str, verdicts: Mapping[str, Sequence[str]], powerful: str) -> Iterator[Outcome]:
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


def said(values: Iterable[float]) -> str:
    """A number for each scorer, in words."""
    return ", ".join(f"{value:.3g} `{name}`" for name, value in zip(NAMES, values, strict=True))


_SEEN: Final = SPREADS.values()
_BUDGET: Final = (
    f"`regress`: {CANDIDATES} candidate runs against {BASELINES} baseline runs on {PROMPTS} prompts x "
    f"{IMAGES} images, unless said otherwise; M = {MARGIN_SDS} within-prompt standard deviations, the unit "
    "of all that follows. `identical` is the same method again; the others are methods to which prompts "
    f"respond differently (standard deviation {said(s.response for s in _SEEN)})"
)

METHODS: Final = Case(
    "methods",
    f"95 % intervals of a method's difference in `{_TRAINED_FOR}` over training seeds and {PROMPTS} prompts, "
    f"of which {SPREADS[_TRAINED_FOR].complete:.0%} have a number in all runs, in within-prompt standard "
    "deviations of the base; `seeds` is the standard deviation of training seeds.",
    _methods,
)

GATE: Final = Case(
    "gate",
    f"{_BUDGET}, with the drop as named on one scorer, each in its turn. A prompt counts where all runs have "
    f"a number: {said(s.complete for s in _SEEN)}. `seeds` is the standard deviation of training seeds; as "
    f"seen in the baselines it is {said(s.seed_sd for s in _SEEN)}. Beyond it a run departs on a prompt by "
    f"{said(s.run_sd for s in _SEEN)}. `shared seeds agree`: with the correlation seen, "
    f"{said(s.agreement for s in _SEEN)}; else not at all. `learns nothing`: all candidate runs give the "
    "base model's images, so that what the named baseline gained is lost, in "
    f"`{_TRAINED_FOR}` {' and '.join(f'{gain:.3g}' for gain in SPREADS[_TRAINED_FOR].gains)}. `8 images`: "
    "`true_diversity` as with 4, which errs on the safe side.",
    _gate,
)

DROPS: Final = Case(
    "drops",
    f"{_BUDGET}. Seeds as seen, and each scorer for itself: whether the same method passes on it, and what "
    "the gate says of a drop on it and on none of the others.",
    _drops,
)

NOTHING: Final = Case(
    "nothing",
    "The whole verdict on a candidate that `learns nothing`, on the budget as it is and with seeds as seen, "
    "against each of the baselines.",
    _nothing,
)

"""Contrasts of the claim study before it is run: what it finds, and whether its intervals hold.

How runs differ was measured in the committed evaluation, reverse KL and Jensen-Shannon at two betas with five
training seeds: `python -m tools.simulations.claim` prints what `SEEN` must say, and a test holds it to that.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmark.core.console import finish
from benchmark.leaderboard import read_score_table
from benchmark.leaderboard.equal_level import sweeps_of
from benchmark.stats.arrays import LEVEL, FloatArray
from benchmark.stats.sweeps import SHARES, Components, Contrast, Sweep, contrasts_at_equal_level
from tools.simulations.cases import Case, Draw, Outcome, average, outcome
from tools.simulations.spreads import response_of, variances_of

EVALUATION: Final = Path(__file__).resolve().parents[2] / "results" / "evaluation"
SCORERS: Final = ("true_taste", "true_diversity")
_DIGITS: Final = 3


@dataclass(frozen=True)
class Seen:
    """How runs of 8 images a prompt differ on one scorer, in its own units.

    Attributes:
        run_sd: What a run departs by on a prompt, beyond what its seed and the prompt explain.
        seed_sd: Between training seeds, beyond what chance on the prompts explains.
        response: Between prompts, of the difference of two divergences at one beta, beyond chance.
        complete: Share of prompts that all runs have a number for.
        absent: Share that none has.
        missing: Of the other prompts, the share that a run lacks.
    """

    run_sd: float
    seed_sd: float
    response: float
    complete: float
    absent: float
    missing: float


SEEN: Final[Mapping[str, Seen]] = {
    "true_taste": Seen(
        run_sd=0.095, seed_sd=0.035, response=0.063, complete=0.453, absent=0.094, missing=0.309
    ),
    "true_diversity": Seen(
        run_sd=0.118, seed_sd=0.012, response=0.096, complete=0.391, absent=0.099, missing=0.435
    ),
}
LINK: Final = -0.241
"""Correlation of what a run departs by on a prompt in taste and in diversity."""


def measured() -> tuple[dict[str, Seen], float]:
    """What `SEEN` and `LINK` say, from the committed evaluation."""
    sweeps = sweeps_of(read_score_table(EVALUATION), *SCORERS, "beta")
    values = {
        name: [np.concatenate([getattr(sweep, part)[1:]]) for sweep in sweeps]
        for name, part in zip(SCORERS, ("level", "outcome"), strict=True)
    }
    return {name: _seen(own) for name, own in values.items()}, round(_link(values), _DIGITS)


def _seen(methods: list[FloatArray]) -> Seen:
    """Of arrays (betas, seeds, prompts), one a divergence."""
    arms = [runs for betas in methods for runs in betas]
    parts = [variances_of(runs) for runs in arms]
    pairs = [response_of(a, b) for a, b in zip(*methods, strict=True)]
    gone = np.isnan(np.concatenate(arms))
    never, always = gone.all(axis=0), ~gone.any(axis=0)
    between = gone[:, ~never & ~always]
    numbers = (
        np.mean([rest for rest, _ in parts]) ** 0.5,
        max(0.0, *(seeds for _, seeds in parts)) ** 0.5,
        max(0.0, *pairs) ** 0.5,
        always.mean(),
        never.mean(),
        between.mean(),
    )
    return Seen(*(round(float(number), _DIGITS) for number in numbers))


def _link(values: Mapping[str, list[FloatArray]]) -> float:
    """Of what is left of both scorers once each run's and each prompt's mean is gone."""
    left = []
    for name in SCORERS:
        arms = np.concatenate(values[name])
        rest = arms - np.nanmean(arms, axis=1, keepdims=True)
        left.append((rest - np.nanmean(rest, axis=2, keepdims=True)).ravel())
    both = ~np.isnan(left[0]) & ~np.isnan(left[1])
    return float(np.corrcoef(left[0][both], left[1][both])[0, 1])


GAINS: Final = np.array([0.0, 0.05, 0.1, 0.15, 0.2])
"""In taste, of the base and of four betas: what the study's betas are chosen for."""
_COST: Final = 0.75
"""Diversity for taste: 0.15 for 0.2, as seen."""
SIZE: Final = (8, 96)
"""Training seeds and prompts of the study."""
_TRUE: Final = (0.0, 0.02, 0.03, 0.04)
"""Differences at half of the common range."""
FAMILY_LEVEL: Final = 1 - (1 - LEVEL) / 4
"""Of each contrast of four divergences with a fifth, so that all hold together (Bonferroni)."""
_SIZES: Final = ((5, 96), (16, 96), (8, 192), (16, 192))


def _run(draw: Draw) -> Iterator[Outcome]:
    middle = SHARES.index(0.5)
    for true in _TRUE:
        row = f"{SIZE[0]} seeds x {SIZE[1]} prompts, " + (f"{true:g} at half" if true else "no difference")
        tables = list(_tables(draw, true, SIZE, LEVEL))
        for s, share in enumerate(SHARES):
            # One is steeper than the other by so much that they differ by this at half.
            held = [_holds(found[s], 2 * share * true) for found in tables]
            yield outcome(row, f"at {share:.0%}", held, 0.93, 0.99)
        yield outcome(row, "found at half", [not _holds(found[middle], 0.0) for found in tables])
        family = _tables(draw, true, SIZE, FAMILY_LEVEL)
        yield outcome(row, "... of four at once", [not _holds(found[middle], 0.0) for found in family])
        yield from _power(row, [found[middle] for found in tables], SIZE)
    for size in _SIZES:
        found = [table[middle] for table in _tables(draw, 0.0, size, LEVEL)]
        yield from _power(f"{size[0]} seeds x {size[1]} prompts", found, size)


def _power(row: str, contrasts: list[Contrast], size: tuple[int, int]) -> Iterator[Outcome]:
    """The smallest differences found with 80 % probability, by the components of each table."""
    known: list[Components] = [c.components for c in contrasts if c.components is not None]
    for column, level in (("found with 80 %", LEVEL), ("... of four with 80 %", FAMILY_LEVEL)):
        yield average(row, column, np.array([parts.detectable(*size, level) for parts in known]))


def _tables(draw: Draw, true: float, size: tuple[int, int], level: float) -> Iterator[tuple[Contrast, ...]]:
    """Contrasts of two methods; the same data for every level of confidence."""
    generator = np.random.default_rng(draw.seed)
    for table in range(draw.tables):
        sweeps = simulated_sweeps(generator, (0.0, true), size)
        yield contrasts_at_equal_level(
            sweeps, "0", level=level, resamples=draw.resamples, seed=draw.seed + table
        )


def simulated_sweeps(
    generator: np.random.Generator, true: tuple[float, ...], size: tuple[int, int] = SIZE
) -> list[Sweep]:
    """Sweeps of taste and diversity as the study has them, without what all runs of a prompt share.

    Args:
        generator: Of the data.
        true: For each method, what it keeps more of diversity than the first one at half of the range.
        size: Training seeds and prompts.

    Returns:
        One a method, called 0, 1 and so on, from the base on.
    """
    seeds, prompts = size
    # Some prompts have always a number, some never; the others have it by chance in each run.
    chance = {name: np.repeat([0.0, 1.0, seen.missing], _dealt(seen, prompts)) for name, seen in SEEN.items()}
    chance = {name: generator.permutation(own) for name, own in chance.items()}
    base = _departures(generator, (1, 1, prompts))
    sweeps = []
    for i, more in enumerate(true):
        means = (GAINS, -(_COST - 2 * more / GAINS[-1]) * GAINS)
        runs = _departures(generator, (GAINS.size - 1, seeds, prompts))
        values = []
        for name, mean, of_base, of_runs in zip(SCORERS, means, base, runs, strict=True):
            seen = SEEN[name]
            pressure = (GAINS / GAINS[-1])[:, None, None]
            moved = seen.seed_sd * generator.normal(size=(1, seeds, 1))
            moved = moved + seen.response * generator.normal(size=(1, 1, prompts))
            whole = np.concatenate([np.broadcast_to(of_base, (1, seeds, prompts)), of_runs])
            gone = generator.random(whole.shape) < chance[name]
            gone[0] = gone[0, :1]
            values.append(np.where(gone, np.nan, mean[:, None, None] + pressure * moved + whole))
        sweeps.append(Sweep(str(i), values[0], values[1], _POINTS))
    return sweeps


_POINTS: Final = ("base", *(f"beta {0.8 / 2**k:g}" for k in range(GAINS.size - 1)))


def _dealt(seen: Seen, prompts: int) -> list[int]:
    complete, absent = round(seen.complete * prompts), round(seen.absent * prompts)
    return [complete, absent, prompts - complete - absent]


def _departures(generator: np.random.Generator, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Of runs on prompts, in taste and in diversity: the same pictures show both."""
    x, y = generator.normal(size=(2, *shape))
    taste, diversity = (SEEN[name].run_sd for name in SCORERS)
    return taste * x, diversity * (LINK * x + np.sqrt(1 - LINK**2) * y)


def _holds(contrast: Contrast, value: float) -> bool:
    i = contrast.interval
    return i is not None and i.lo <= value <= i.hi


CLAIM: Final = Case(
    "claim",
    "The claim study: diversity at equal taste of two divergences, over the base and four betas that gain "
    f"{', '.join(f'{gain:g}' for gain in GAINS[1:])}; runs, seeds, prompts and gaps as seen in the committed "
    "evaluation. The last columns are the smallest true differences found with 80 % probability.",
    _run,
)


def main() -> None:
    """Prints the numbers as they stand in the code."""
    seen, link = measured()
    for name, one in seen.items():
        print(f"    {name!r}: {one!r},")
    print(f"LINK: Final = {link}")


if __name__ == "__main__":
    finish(main)

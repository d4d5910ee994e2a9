"""What the study finds, as records."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tools.studies.diversity.measure import (
    LEARNED,
    SCORERS,
    SET,
    TRUTH,
    Measured,
    difference,
    rank_agreement,
)


@dataclass(frozen=True)
class SetFinding:
    """One image set's means.

    Attributes:
        name: Of the set.
        prompts: Those with a true diversity.
        means: By scorer, over the prompts that have a number; None where none has.
    """

    name: str
    prompts: int
    means: dict[str, float | None]


@dataclass(frozen=True)
class Agreement:
    """A learned scorer's rank correlation with the truth over some image sets.

    Attributes:
        scorer: Its name.
        among: Which sets.
        sets: How many.
        rho: Spearman's; None where it cannot be had, as the ends of its 95 % interval.
        lo: Lower end.
        hi: Upper end.
    """

    scorer: str
    among: str
    sets: int
    rho: float | None
    lo: float | None
    hi: float | None


@dataclass(frozen=True)
class Control:
    """What a change that adds no diversity does to a scorer.

    Attributes:
        control: The change.
        scorer: The scorer.
        base: Its value of the base's images.
        difference: Paired; None where it cannot be had, as the ends of its 95 % interval.
        lo: Lower end.
        hi: Upper end.
        fooled: Whether it rises, its interval above 0; None for the truth and where nothing can be said.
    """

    control: str
    scorer: str
    base: float | None
    difference: float | None
    lo: float | None
    hi: float | None
    fooled: bool | None


@dataclass(frozen=True)
class Findings:
    """All of it, as written to the JSON file.

    Attributes:
        command: As typed.
        suite: Prompts, images and sampling, in words.
        sets: Those of the rank correlation, then the controls.
        agreement: Of each learned scorer.
        controls: Each control with each scorer.
    """

    command: str
    suite: str
    sets: tuple[SetFinding, ...]
    agreement: tuple[Agreement, ...]
    controls: tuple[Control, ...]


def findings(
    command: str,
    suite: str,
    measured: Mapping[str, Measured],
    among: Mapping[str, Sequence[str]],
    controls: Sequence[str],
    base: str,
) -> Findings:
    """Computes everything.

    Args:
        command: As typed.
        suite: In words.
        measured: All sets by name.
        among: For each agreement asked for, the names of its sets.
        controls: Names of the controls' sets.
        base: Name of the base's.
    """
    truth = {name: found.per_prompt[TRUTH] for name, found in measured.items()}
    agreement = []
    for what, names in among.items():
        for scorer in LEARNED:
            scores = np.stack([measured[name].per_prompt[scorer] for name in names])
            found = rank_agreement(np.stack([truth[name] for name in names]), scores)
            numbers = (_number(x) for x in (found.value, found.lo, found.hi))
            agreement.append(Agreement(scorer, what, len(names), *numbers))
    return Findings(
        command,
        suite,
        tuple(SetFinding(n, int(np.isfinite(truth[n]).sum()), _means(m)) for n, m in measured.items()),
        tuple(agreement),
        tuple(_control(name, scorer, measured, base) for name in controls for scorer in SCORERS),
    )


def _means(measured: Measured) -> dict[str, float | None]:
    means = {
        scorer: _number(float(np.nanmean(values))) if np.isfinite(values).any() else None
        for scorer, values in measured.per_prompt.items()
    }
    return means | {SET: _number(measured.whole)}


def _control(name: str, scorer: str, measured: Mapping[str, Measured], base: str) -> Control:
    found = difference(measured[name], measured[base], scorer)
    value, lo, hi = (_number(x) for x in (found.value, found.lo, found.hi))
    fooled = None if scorer == TRUTH or lo is None else lo > 0
    return Control(name, scorer, _means(measured[base])[scorer], value, lo, hi, fooled)


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None

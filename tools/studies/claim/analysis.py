"""From the members to what the study finds."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from benchmark.leaderboard.names import objective_and_divergence
from benchmark.leaderboard.score_arrays import cells_of
from benchmark.stats.cells import prompt_means
from benchmark.stats.sweeps import Components, without_gaps
from benchmark.stats.training_runs import mean_over_runs
from tools.studies.claim.design import CLAIMED, REFERENCE
from tools.studies.claim.explained import explained
from tools.studies.claim.questions import (
    DIVERSITY,
    HALF,
    ORDER,
    RESAMPLES,
    TASTE,
    TREND,
    all_answers,
)
from tools.studies.claim.records import Answer, Findings, Gain, Needed, Verdict, Word
from tools.studies.claim.sweeps import Evidence, method

MARGIN: Final = 0.05
"""In `true_diversity` at equal taste, a difference that matters: a third of what a gain of 0.2 in taste was
seen to cost."""
SIZES: Final = tuple((seeds, prompts) for seeds in (3, 5, 8, 16) for prompts in (48, 96, 192, 384))


def findings(found: Evidence, command: str, device: str, *, resamples: int = RESAMPLES) -> Findings:
    """Computes everything.

    Args:
        found: Members and frontiers.
        command: As typed.
        device: Where all members were made.
        resamples: Of the bootstrap.
    """
    answers = tuple(all_answers(found, resamples))
    sweeps = found.over_beta(TASTE, DIVERSITY)
    trained = [c for c in found.table.checkpoints if not c.is_base]
    return Findings(
        command=command,
        suite=found.table.suite,
        signature=found.table.signature,
        device=device,
        seeds=found.seeds,
        betas={s.name: tuple(float(p.removeprefix("beta ")) for p in s.points[1:]) for s in sweeps},
        diverged=tuple(c.id for c in trained if c.hyperparameters.get("diverged")),
        verdicts=verdicts(answers),
        answers=answers,
        gains=tuple(gains_of(found)),
        explained=tuple(explained(sweeps, method(REFERENCE))),
        needed=tuple(needed(answers)),
    )


def verdicts(answers: Sequence[Answer]) -> tuple[Verdict, ...]:
    """What is said of each hypothesis, by the rules of the protocol."""
    best = [_turned(a) for a in answers if a.question == f"decided against {CLAIMED}"]
    same = [a for a in answers if a.question == f"decided against {REFERENCE}"]
    trend = next((a for a in answers if a.question == TREND and a.share == HALF), None)
    return (
        Verdict("Jensen-Shannon keeps most diversity at equal taste", _best_word(best), _in_numbers(best)),
        Verdict(
            f"diversity falls in theory's order, {' > '.join(ORDER)}",
            "undecided" if trend is None else _word(trend.sign > 0, trend.sign < 0),
            "" if trend is None else f"{_numbers(trend)} a rank",
        ),
        Verdict("all curves are that of reverse KL over beta", _same_word(same), _in_numbers(same)),
    )


def _turned(answer: Answer) -> Answer:
    """Jensen-Shannon less the other one."""
    if answer.difference is None or answer.lo is None or answer.hi is None:
        return replace(answer, name=answer.against, against=answer.name)
    return replace(
        answer, name=answer.against, against=answer.name, difference=-answer.difference, lo=-answer.hi,
        hi=-answer.lo,
    )  # fmt: skip


def _best_word(leads: Sequence[Answer]) -> Word:
    return _word(all(a.sign > 0 for a in leads) and bool(leads), any(a.sign < 0 for a in leads))


def _same_word(differences: Sequence[Answer]) -> Word:
    alike = bool(differences) and all(_within(a) for a in differences)
    return _word(alike, any(a.sign for a in differences if not _within(a)))


def _within(answer: Answer) -> bool:
    """Whether a difference is surely smaller than one that matters."""
    return answer.lo is not None and answer.hi is not None and answer.lo > -MARGIN and answer.hi < MARGIN


def _word(supported: bool, refuted: bool) -> Word:
    return "supported" if supported else "refuted" if refuted else "undecided"


def _in_numbers(answers: Sequence[Answer]) -> str:
    return "; ".join(f"{a.name} less {a.against} {_numbers(a)}" for a in answers)


def _numbers(answer: Answer) -> str:
    if answer.difference is None:
        return answer.note
    return f"{answer.difference:+.3f} [{answer.lo:+.3f}, {answer.hi:+.3f}]"


def gains_of(found: Evidence) -> Iterator[Gain]:
    """Every method and beta against the base, on every scorer, over training seeds and prompts."""
    table = found.table
    arms: dict[tuple[str, float | None], dict[int, list[int]]] = {}
    for i, c in enumerate(table.checkpoints):
        beta = c.hyperparameters.get("beta")
        if not c.is_base:
            arm = objective_and_divergence(c), float(beta) if isinstance(beta, int | float) else None
            arms.setdefault(arm, {}).setdefault(c.step, []).append(i)
    base = next(i for i, c in enumerate(table.checkpoints) if c.is_base)
    ids = [c.id for c in table.checkpoints]
    for column in table.columns:
        means = prompt_means(cells_of(table.rows[table.rows["scorer"] == column.name], ids))
        for (name, beta), steps in arms.items():
            values = without_gaps(means[[base, *steps[max(steps)]]])
            one = mean_over_runs(values[1:] - values[:1]).interval()
            yield Gain(name, beta, column.name, float(values[0].mean()), one.value, one.lo, one.hi)


def needed(answers: Sequence[Answer]) -> Iterator[Needed]:
    """The smallest difference that studies of some sizes find, by the median components of this one."""
    known = [a.components for a in answers if a.question == "taste" and a.share == HALF and a.components]
    if not known:
        return
    parts = Components(
        *(float(np.median([getattr(c, n) for c in known])) for n in ("seeds", "prompts", "rest"))
    )
    for seeds, prompts in SIZES:
        yield Needed(seeds, prompts, parts.detectable(seeds, prompts))

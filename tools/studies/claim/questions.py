"""The comparisons of the study: what is held equal, what is compared, between whom."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmark.stats.arrays import LEVEL
from benchmark.stats.sweeps import SHARES, Sweep, Weights, combinations_at_equal_level
from tools.studies.claim.design import CLAIMED, REFERENCE
from tools.studies.claim.records import Answer
from tools.studies.claim.sweeps import Evidence, gains, method, on_prompts

RESAMPLES: Final = 4000
"""Of seeds and prompts; intervals need their spread and no quantile of them."""
HALF: Final = 0.5
"""Of the common range, where hypotheses are decided."""
TREND: Final = "theory's order"
ORDER: Final = ("forward_kl", "alpha(a=0.5)", CLAIMED, REFERENCE, "pearson_chi2")
"""In which theory has them keep diversity on the embedded base model, most first (docs/theory.md; Jeffreys,
between the first two, is not trained)."""
TASTE: Final = "true_taste"
DIVERSITY: Final = "true_diversity"


@dataclass(frozen=True)
class Question:
    """A comparison of all divergences with reverse KL.

    Attributes:
        level: Scorer that is held equal.
        outcome: Scorer that is compared.
        words: What is asked.
    """

    level: str
    outcome: str
    words: str


QUESTIONS: Final[Mapping[str, Question]] = {
    "taste": Question(TASTE, DIVERSITY, "diversity at equal taste"),
    "path": Question("path_kl", DIVERSITY, "diversity at equal path KL"),
    "path taste": Question("path_kl", TASTE, "taste at equal path KL"),
    "held-out taste": Question("true_taste_heldout", DIVERSITY, "diversity at equal held-out taste"),
    "taste transferred": Question(TASTE, "true_taste_heldout", "held-out taste at equal taste"),
    "content": Question(TASTE, "oracle", "stated facts shown at equal taste"),
    "scenes": Question(TASTE, "scene_rate", "share of scenes at equal taste"),
    "pickscore, clip": Question("pickscore", "clip_diversity", "CLIP diversity at equal PickScore"),
    "pickscore, lpips": Question("pickscore", "lpips", "LPIPS at equal PickScore"),
    "hps, clip": Question("hps", "clip_diversity", "CLIP diversity at equal HPS"),
    "hps, lpips": Question("hps", "lpips", "LPIPS at equal HPS"),
}
LEARNED_ALONE: Final = ("pickscore, clip", "pickscore, lpips", "hps, clip", "hps, lpips")
OPEN: Final[Mapping[str, tuple[int, int]]] = {
    "0 to 2 open facts": (0, 2),
    "3 open facts": (3, 3),
    "4 or more open facts": (4, 99),
}


def all_answers(found: Evidence, resamples: int = RESAMPLES) -> Iterator[Answer]:
    """Every comparison that the members allow.

    Args:
        found: Members and frontiers.
        resamples: Of the bootstrap.
    """
    scorers = {column.name for column in found.table.columns}
    for name, question in QUESTIONS.items():
        if not {question.level, question.outcome} <= scorers:
            continue
        sweeps = found.over_beta(question.level, question.outcome)
        yield from against(name, sweeps, method(REFERENCE), resamples=resamples)
    sweeps = found.over_beta(TASTE, DIVERSITY)
    # Of each contrast, so that all hold together at 95 % (Bonferroni).
    adjusted = 1 - (1 - LEVEL) / (len(sweeps) - 1)
    for reference in (REFERENCE, CLAIMED):
        yield from against(
            f"decided against {reference}", sweeps, method(reference), (HALF,), adjusted, resamples
        )
    if {sweep.name for sweep in sweeps} >= {method(name) for name in ORDER}:
        yield from combined(TREND, sweeps, {TREND: _trend()}, "", resamples=resamples)
    for name, (least, most) in OPEN.items():
        part = on_prompts(found, range(least, most + 1))
        if not part.table.rows.empty:
            yield from against(name, part.over_beta(TASTE, DIVERSITY), method(REFERENCE), resamples=resamples)
    yield from against(
        "along training", found.over_steps(TASTE, DIVERSITY), method(REFERENCE), resamples=resamples
    )
    yield from _from_lines(found, sweeps, resamples)
    yield from _beside(found, sweeps, resamples)


def against(
    question: str,
    sweeps: Sequence[Sweep],
    reference: str,
    shares: Sequence[float] = SHARES,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Iterator[Answer]:
    """All sweeps against one of them."""
    asked = {s.name: {s.name: 1.0, reference: -1.0} for s in sweeps if s.name != reference}
    yield from combined(question, sweeps, asked, reference, shares, level, resamples)


def combined(
    question: str,
    sweeps: Sequence[Sweep],
    asked: Mapping[str, Weights],
    reference: str,
    shares: Sequence[float] = SHARES,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Iterator[Answer]:
    """Weighted sums of sweeps at equal level, as answers."""
    if not asked:
        return
    for c in combinations_at_equal_level(sweeps, asked, shares=shares, level=level, resamples=resamples):
        i = c.interval
        value, lo, hi = (None, None, None) if i is None else (i.value, i.lo, i.hi)
        yield Answer(question, c.name, reference, c.share, c.level, value, lo, hi, c.components, c.note)


def _trend() -> dict[str, float]:
    """Slope of diversity over theory's ranks: what a method keeps more than the next one."""
    middle = (len(ORDER) - 1) / 2
    ranks = {method(name): middle - i for i, name in enumerate(ORDER)}
    squares = sum(rank**2 for rank in ranks.values())
    return {name: rank / squares for name, rank in ranks.items()}


def _from_lines(found: Evidence, sweeps: Sequence[Sweep], resamples: int) -> Iterator[Answer]:
    """Each method against the optimum under its own divergence, in gains over the base."""
    lines = found.lines(TASTE, DIVERSITY)
    for sweep in sweeps:
        line = lines.get(sweep.name)
        if line is not None:
            pair = [Sweep("optimum", line.level, line.outcome), gains(sweep)]
            yield from against("closed form", pair, "optimum", resamples=resamples)


def _beside(found: Evidence, sweeps: Sequence[Sweep], resamples: int) -> Iterator[Answer]:
    """Other objectives, and what needs no training, against reverse KL's curve: as far as each one went."""
    own = next(sweep for sweep in sweeps if sweep.name == method(REFERENCE))
    others = [gains(sweep) for sweep in found.others(TASTE, DIVERSITY)]
    for sweep in (*others, *found.untrained(TASTE, DIVERSITY)):
        pair = [gains(own), sweep]
        yield from against("beside", pair, own.name, (1.0,), resamples=resamples)

"""What is printed under every table."""

from collections import Counter
from collections.abc import Sequence

from benchmark.core.records import Checkpoint
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.stats.methods import NO_CLAIM, SEEDS_FOR_A_CLAIM

_INTERVALS = (
    "Intervals are 95 %: studentised bootstrap over prompts; for set metrics a jackknife over 20 groups of "
    "prompts. Bold is the group that may be the best (Hsu), not the maximum."
)
_TESTS = "p by sign flips of prompts (set metrics: t), Holm-adjusted over the checkpoints within each scorer."


def notes_of(table: ScoreTable, detectable: Sequence[float | None], reference: str) -> tuple[str, ...]:
    """The notes of a leaderboard: how to read it, what it can see, what it cannot claim.

    Args:
        table: What it was built from.
        detectable: Minimum detectable effect of each scorer.
        reference: Id of the reference checkpoint.

    Returns:
        One sentence a note.
    """
    notes = [
        _INTERVALS,
        f"Differences are paired with {reference}; {_TESTS}",
    ]
    effects = [
        f"{column.name} {effect:.2g}"
        for column, effect in zip(table.columns, detectable, strict=True)
        if effect is not None
    ]
    if effects:
        notes.append(f"Minimum detectable difference (80 % power, 5 %): {', '.join(effects)}.")
    exploratory = [column.name for column in table.columns if not column.primary]
    if exploratory and len(exploratory) < len(table.columns):
        notes.append(f"Exploratory (not declared by the suite): {', '.join(exploratory)}.")
    notes += _claims(table.checkpoints)
    return tuple(notes)


def _claims(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """A claim about a method needs training seeds; without them the table says so."""
    seeds = Counter(_method(c) for c in checkpoints if not c.is_base)
    if not seeds or min(seeds.values()) >= SEEDS_FOR_A_CLAIM:
        return []
    if max(seeds.values()) == 1:
        return [NO_CLAIM]
    return [f"Fewer than {SEEDS_FOR_A_CLAIM} training seeds a method: no claim about methods."]


def _method(checkpoint: Checkpoint) -> tuple[object, ...]:
    settings = {k: v for k, v in checkpoint.hyperparameters.items() if k != "seed"}
    return (checkpoint.objective, checkpoint.divergence, checkpoint.step, *sorted(settings.items()))

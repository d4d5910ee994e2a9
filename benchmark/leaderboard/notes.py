"""What is printed under every table."""

from collections.abc import Sequence

from benchmark.core.records import Checkpoint, LeaderboardRow, ScorerColumn
from benchmark.leaderboard.same_method import method_facts, seeds_for_a_claim, training_seed
from benchmark.stats.methods import NO_CLAIM

_INTERVALS = (
    "Intervals are 95 %: studentised bootstrap over prompts; for set metrics a jackknife over 20 groups of "
    "prompts. Bold is the group that may be the best (Hsu), not the maximum."
)
_TESTS = "p by sign flips of prompts (set metrics: t), Holm-adjusted over the checkpoints within each scorer."


def notes_of(
    columns: Sequence[ScorerColumn], rows: Sequence[LeaderboardRow], reference: str
) -> tuple[str, ...]:
    """The notes of a leaderboard: how to read it, what it can see, what it cannot claim.

    Args:
        columns: The scorers that are shown.
        rows: All checkpoints that were tested.
        reference: Id of the reference checkpoint.

    Returns:
        One sentence a note.
    """
    return (
        _INTERVALS,
        f"Differences are paired with {reference}; {_TESTS}",
        *reach_and_scope(columns, rows),
        *_claims([row.checkpoint for row in rows]),
    )


def reach_and_scope(columns: Sequence[ScorerColumn], rows: Sequence[LeaderboardRow]) -> list[str]:
    """What the table can see, and which of its scorers the suite has not declared; as of :func:`notes_of`."""
    effects = [
        f"{column.name} {effect:.2g}"
        for column in columns
        if (effect := _detectable(column.name, rows)) is not None
    ]
    notes = []
    if effects:
        notes.append(f"Minimum detectable difference (80 % power, 5 %): {', '.join(effects)}.")
    exploratory = [column.name for column in columns if not column.primary]
    if exploratory and len(exploratory) < len(columns):
        notes.append(f"Exploratory (not declared by the suite): {', '.join(exploratory)}.")
    return notes


def _detectable(scorer: str, rows: Sequence[LeaderboardRow]) -> float | None:
    """The largest over the checkpoints: what is found wherever it may occur."""
    cells = (cell for row in rows for cell in row.cells if cell.scorer == scorer)
    return max((cell.detectable for cell in cells if cell.detectable is not None), default=None)


def _claims(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """A claim about a method needs training seeds; without them the table says so."""
    seeds: dict[object, set[object]] = {}
    for run, facts in zip(checkpoints, method_facts(checkpoints), strict=True):
        if not run.is_base:
            seeds.setdefault(tuple(facts.items()), set()).add(training_seed(run))
    least = max((seeds_for_a_claim(run.base_model) for run in checkpoints), default=0)
    if not seeds or min(map(len, seeds.values())) >= least:
        return []
    if max(map(len, seeds.values())) == 1:
        return [NO_CLAIM]
    return [f"Fewer than {least} training seeds a method: no claim about methods."]

"""The notes under every table."""

from collections.abc import Sequence

from benchmark.core.records import Checkpoint, LeaderboardRow, ScorerColumn
from benchmark.leaderboard.same_method import method_facts, seeds_for_a_claim, training_seed
from benchmark.stats.training_runs import NO_CLAIM

_INTERVALS = (
    "Intervals are 95 %: studentised bootstrap over prompts; for set metrics a jackknife over 20 groups of "
    "prompts. Bold is the group that may be the best (Hsu), not the maximum."
)
_TESTS = "p by sign flips of prompts (set metrics: t), Holm-adjusted over the checkpoints within each scorer."


SEEDS = "seeds"
"""The setting under which a method's row holds the training seeds of its runs."""

_METHOD_INTERVALS = (
    "A row is a method: training runs that are alike but for their seed. Intervals are 95 %, Student's t, of "
    "means over training seeds and prompts, with both in the error (set metrics: prompts by a jackknife over "
    "20 groups of them); a base model has no training seed, and its interval is over prompts."
)
_METHOD_TESTS = (
    "on the prompts that every run of both has a number for; p by t, Holm-adjusted over the methods within "
    "each scorer."
)
_METHOD_GROUPS = (
    "Bold is the group that may be the best: t on shared seeds, Bonferroni over pairs, among methods with "
    "seeds enough for a claim."
)

_NO_GROUPS = "No tie groups and no bold: fewer than two methods have seeds enough for a claim."


_PAIRED, _FROM = "Differences are paired with ", "Differences are from "
_EFFECTS = "Minimum detectable difference (80 % power, 5 %): "
_EXPLORATORY = "Exploratory (not declared by the suite): "


def says_how_to_read(note: str) -> bool:
    """Whether a note explains the table, and says nothing of what is in it or of what it cannot claim."""
    return note.startswith(
        (_INTERVALS, _METHOD_INTERVALS, _METHOD_GROUPS, _PAIRED, _FROM, _EFFECTS, _EXPLORATORY)
    )


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
        f"{_PAIRED}{reference}; {_TESTS}",
        *_reach_and_scope(columns, rows),
        *_claims([row.checkpoint for row in rows]),
    )


def method_notes(
    columns: Sequence[ScorerColumn], rows: Sequence[LeaderboardRow], reference: str
) -> tuple[str, ...]:
    """As :func:`notes_of`, of a leaderboard of methods.

    Args:
        columns: The scorers that are shown.
        rows: All methods that were tested.
        reference: Id of the reference method.

    Returns:
        One sentence a note.
    """
    grouped = any(cell.group for row in rows for cell in row.cells)
    return (
        _METHOD_INTERVALS,
        f"{_FROM}{reference}, paired by training seed and prompt, {_METHOD_TESTS}",
        _METHOD_GROUPS if grouped else _NO_GROUPS,
        *_reach_and_scope(columns, rows),
        *_method_claims(rows, reference),
    )


def _reach_and_scope(columns: Sequence[ScorerColumn], rows: Sequence[LeaderboardRow]) -> list[str]:
    """The effects that a table can see, and the scorers that its suite has not declared."""
    effects = [
        f"{column.label} {effect:.2g}"
        for column in columns
        if (effect := _largest_detectable(column.name, rows)) is not None
    ]
    notes = []
    if effects:
        notes.append(f"{_EFFECTS}{', '.join(effects)}.")
    exploratory = [column.label for column in columns if not column.primary]
    if exploratory and len(exploratory) < len(columns):
        notes.append(f"{_EXPLORATORY}{', '.join(exploratory)}.")
    return notes


def _largest_detectable(scorer: str, rows: Sequence[LeaderboardRow]) -> float | None:
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


def _method_claims(rows: Sequence[LeaderboardRow], reference: str) -> list[str]:
    """Which differences are no claim about methods, and why."""
    origin = next(row.checkpoint for row in rows if row.checkpoint.id == reference)
    trained = [row.checkpoint for row in rows if not row.checkpoint.is_base]
    if trained and max(len(_seeds(method)) for method in trained) <= 1:
        return [NO_CLAIM]
    least = seeds_for_a_claim(origin.base_model)
    compared = (
        trained if origin.is_base else [row.checkpoint for row in rows if row.checkpoint.id != reference]
    )
    few = "; ".join(method.id for method in compared if _shared(method, origin) < least)
    if not few:
        return []
    of = "" if origin.is_base else f" shared with {reference}"
    return [f"Fewer than {least} training seeds{of}, so no claim about methods: {few}."]


def _shared(one: Checkpoint, other: Checkpoint) -> int:
    """Training seeds of both; a base model shares any."""
    return len(set.intersection(*(_seeds(method) for method in (one, other) if not method.is_base)))


def _seeds(method: Checkpoint) -> set[str]:
    return set(str(method.hyperparameters.get(SEEDS, "unknown")).split())

"""The gate on finished evaluations: from what a user names to a verdict on it."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.console import doing
from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Checkpoint
from benchmark.gate.decision import GateReport, Verdict
from benchmark.gate.differences import BASELINE_RUNS, CANDIDATE_RUNS, gate_checkpoints, gate_methods
from benchmark.gate.margins import NO_MARGINS
from benchmark.leaderboard import ScoreTable, join_tables, read_score_table
from benchmark.leaderboard.join import comparable
from benchmark.leaderboard.names import display_names
from benchmark.leaderboard.same_method import Method, find_method, method_facts, methods_of
from benchmark.models import draws_embedded_world
from benchmark.stats.one_sided import ALPHA

SHAPES_GATED = ("true_taste", "oracle", "true_diversity", "scene_rate")
"""Gated by default in the embedded world."""

_NAMED = 4
"""Ids that a message names."""

FEW_PROMPTS = 50
"""Below so many the bounds of two checkpoints are not known to hold: the fewest that were simulated."""


@dataclass(frozen=True, eq=False)
class ComparedCheckpoints:
    """Two groups of checkpoints in one table.

    Attributes:
        table: Scores of both, and of whatever else was in their evaluations.
        baseline: One checkpoint, or the runs of a method.
        candidate: The same.
    """

    table: ScoreTable
    baseline: tuple[Checkpoint, ...]
    candidate: tuple[Checkpoint, ...]


@doing("comparing")
def gate_evaluations(
    baseline: Sequence[str],
    candidate: Sequence[str],
    places: Sequence[Path] = (),
    *,
    scorers: Sequence[str] = (),
    margins: Mapping[str, float] = NO_MARGINS,
) -> GateReport:
    """Holds one checkpoint against another, or the training runs of one method against those of another.

    One on each side are checkpoints; at least 8 against 3 are methods; anything between is refused.

    Args:
        baseline: Evaluation folders, or ids of checkpoints.
        candidate: The same.
        places: Evaluations in which ids are looked for.
        scorers: Gated ones; by default `SHAPES_GATED` in the embedded world, else the primary ones.
        margins: M of some of them, in their units.

    Returns:
        The verdict with what it is about.

    Raises:
        UserError: for anything that cannot be gated.
        NotComparableError: if two signatures differ.
    """
    compared = find_checkpoints(baseline, candidate, places, scorers)
    ours, theirs = [c.id for c in compared.candidate], [c.id for c in compared.baseline]
    gated = tuple(dict.fromkeys(scorers)) or _default_scorers(compared)
    notes = _notes(compared, gated)
    table = compared.table
    if len(ours) == len(theirs) == 1:
        verdict = gate_checkpoints(table, theirs[0], ours[0], gated, margins=margins)
        return GateReport(
            verdict, "checkpoint", theirs[0], ours[0], table.suite, table.signature, table.n_prompts,
            table.images_per_prompt, notes=(*_few_prompts(verdict, table), *notes),
            remedy="Evaluate both on more prompts, or with a larger --images-per-prompt.",
        )  # fmt: skip
    if len(theirs) < BASELINE_RUNS or len(ours) < CANDIDATE_RUNS:
        raise UserError(
            f"{len(theirs)} baseline and {len(ours)} candidate checkpoints",
            allowed=f"one against one, or the runs of two methods: at least {BASELINE_RUNS} against "
            f"{CANDIDATE_RUNS}",
            do="name one of each by its id, or evaluate more training runs",
        )
    names = display_names([compared.baseline[0], compared.candidate[0]])
    return GateReport(
        gate_methods(table, theirs, ours, gated, margins=margins), "method",
        names[theirs[0]], names[ours[0]], table.suite, table.signature, table.n_prompts,
        table.images_per_prompt, len(theirs), len(ours),
        notes=notes, remedy="Train and evaluate the candidate with more --seed values.",
    )  # fmt: skip


def _few_prompts(verdict: Verdict, table: ScoreTable) -> tuple[str, ...]:
    r"""A warning where bounds rest on few prompts, on which a fault need not show at all.

    Of a fault on a share $q$ of all prompts, $n$ prompts hold none with probability $(1 - q)^n$.
    """
    sets = {column.name for column in table.columns if column.unit == "set"}
    few = {
        found.scorer: n
        for found in verdict.findings
        if not math.isnan(found.bounds.df)
        and (n := table.n_prompts if found.scorer in sets else round(found.bounds.df) + 1) < FEW_PROMPTS
    }
    if not few:
        return ()
    least = min(few.values())
    hidden = 100 * (1 - ALPHA ** (1 / least))
    named = ", ".join(f"{scorer} {n}" for scorer, n in few.items())
    text = (
        f"Warning, few prompts: {named}. Below {FEW_PROMPTS} the bounds may be wrong more often than in 5 % "
        f"of the cases: a fault on {hidden:.0f} % of all prompts shows on none of {least} in one case in "
        "twenty."
    )
    return (text,)


def _default_scorers(compared: ComparedCheckpoints) -> tuple[str, ...]:
    known = [column.name for column in compared.table.columns]
    if draws_embedded_world(compared.candidate[0].base_model):
        lacking = [name for name in SHAPES_GATED if name not in known]
        if lacking:
            # Gating on the rest would look like the same verdict and be a weaker one.
            raise UserError(
                f"the evaluations lack {', '.join(lacking)}, gated by default",
                do="evaluate with them, or say with --scorers which to gate",
            )
        return SHAPES_GATED
    primary = tuple(column.name for column in compared.table.columns if column.primary)
    if not primary:
        raise UserError(
            "no scorer of these evaluations is primary",
            allowed=", ".join(known),
            do="say with --scorers which to gate",
        )
    return primary


def _notes(compared: ComparedCheckpoints, gated: Sequence[str]) -> tuple[str, ...]:
    known = {column.name: column for column in compared.table.columns}
    ours = {checkpoint.id for checkpoint in compared.candidate}
    partial = [name for name in gated if name in known and ours & set(known[name].in_domain)]
    notes = [
        f"{name} is in-domain for the candidate: trained on, or selected by, the same data."
        for name in partial
    ]
    if not any(checkpoint.is_base for checkpoint in compared.table.checkpoints):
        notes.append(
            "No base model in these evaluations: default margins are in units of the baseline's spread."
        )
    return (*notes, *compared.table.remarks)


def find_checkpoints(
    baseline: Sequence[str], candidate: Sequence[str], places: Sequence[Path], scorers: Sequence[str] = ()
) -> ComparedCheckpoints:
    """Reads the evaluations and finds the checkpoints that are meant.

    A text is the id of a checkpoint, the beginning of one id alone, the name of a method as the leaderboard
    of methods takes it, or an evaluation: its folder or its ``scores.parquet``. An evaluation stands for all
    its trained checkpoints, or for its base model if there is no other.

    Args:
        baseline: Texts of the one side.
        candidate: Texts of the other.
        places: Evaluations in which ids are looked for, beside those that are named as a side.
        scorers: Those that must agree; empty for all that every evaluation has.

    Returns:
        Both groups, each at least one checkpoint, none in both.

    Raises:
        UserError: for an unknown id, a checkpoint in both groups, or runs of several methods in one.
        NotComparableError: if two signatures differ; the first difference is named.
    """
    tables = {path.resolve(): read_score_table(path) for path in places}
    ids = {checkpoint.id for table in tables.values() for checkpoint in table.checkpoints}
    named = {text: Path(text) for text in (*baseline, *candidate) if text not in ids and _is_table(text)}
    for path in named.values():
        if path.resolve() not in tables:
            tables[path.resolve()] = read_score_table(path)
    if not tables:
        # The id of the base model needs no evaluation of its own.
        sides = [text for text in (*baseline, *candidate) if text != "base"] or ["base"]
        raise UserError(
            f"there is no evaluation at {sides[0]}",
            allowed="folders of `fbench eval`, or ids of checkpoints with the folders after them",
            do="run `fbench eval` first, or name a folder that holds scores.parquet",
        )
    # Under the names that they have side by side: models whose folders are called alike are told apart.
    tables = dict(zip(tables, comparable([*tables.values()], scorers), strict=True))
    joined = join_tables([*tables.values()], scorers)

    def meant(texts: Sequence[str]) -> tuple[Checkpoint, ...]:
        found = [
            checkpoint
            for text in texts
            for checkpoint in (
                _trained(tables[named[text].resolve()]) if text in named else _by_name(text, joined)
            )
        ]
        return tuple({checkpoint.id: checkpoint for checkpoint in found}.values())

    compared = ComparedCheckpoints(joined, meant(baseline), meant(candidate))
    _check(compared)
    return compared


def _is_table(text: str) -> bool:
    path = Path(text)
    return path.is_file() or (path / "scores.parquet").is_file()


def _trained(table: ScoreTable) -> Sequence[Checkpoint]:
    return [c for c in table.checkpoints if not c.is_base] or table.checkpoints


def _by_name(text: str, table: ScoreTable) -> Sequence[Checkpoint]:
    """The checkpoint of this id, or of an id that alone begins so, or the runs of the method of this name."""
    known = {checkpoint.id: checkpoint for checkpoint in table.checkpoints}
    begin = [id_ for id_ in known if id_.startswith(text)]
    if text in known or len(begin) == 1:
        return [known[text if text in known else begin[0]]]
    shown = [id_ for id_, name in display_names(table.checkpoints).items() if name == text]
    if shown:
        return [known[shown[0]]]
    methods = tuple[Method, ...]()
    # Two runs of one seed make it unclear what a method is, and no id unclear.
    with suppress(UserError):
        methods = methods_of(table.checkpoints)
    if any(method.is_called(text) for method in methods):
        return find_method(text, methods).runs
    if "/" in text:
        read_score_table(Path(text))  # says what stands beside a path that is mistyped
    if begin:
        names = [f"'{method.name}'" for method in methods if {run.id for run in method.runs} & {*begin}]
        raise UserError(
            f"{text} is the beginning of {len(begin)} ids",
            allowed=", ".join(begin[:_NAMED]) + f" and {len(begin) - _NAMED} more" * (len(begin) > _NAMED),
            do=f"name one of them, or a method: {', '.join(names)}",
        )
    raise UnknownNameError(
        "checkpoint or method",
        text,
        [*known, *(f"'{method.name}'" for method in methods if len(method.runs) > 1)],
        do="name an id, a method, or a folder that holds scores.parquet",
    )


def _check(compared: ComparedCheckpoints) -> None:
    twice = {c.id for c in compared.baseline} & {c.id for c in compared.candidate}
    if twice:
        raise UserError(
            f"{min(twice)} is both baseline and candidate",
            do="name two, by their ids where a folder holds both",
        )
    for which, runs in (("baseline", compared.baseline), ("candidate", compared.candidate)):
        first, *others = method_facts(runs)
        for run, other in zip(runs[1:], others, strict=True):
            for fact, value in first.items():
                if value != other[fact]:
                    raise UserError(
                        f"the {which} is not one method: {fact} is {value} in {runs[0].id} and {other[fact]} "
                        f"in {run.id}",
                        do="name the checkpoints that are meant by their ids",
                    )

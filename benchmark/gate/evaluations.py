"""The gate on finished evaluations: from what a user names to a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.gate.evidence import BASELINE_RUNS, CANDIDATE_RUNS
from benchmark.gate.sides import Sides, find_sides
from benchmark.gate.tables import NO_MARGINS, gate_checkpoints, gate_methods
from benchmark.report.names import display_names
from benchmark.report.verdict import GateReport

SHAPES_GATED = ("true_reward", "oracle", "true_diversity", "scene_rate")
"""Gated by default in the embedded world."""


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
    sides = find_sides(baseline, candidate, places, scorers)
    ours, theirs = [c.id for c in sides.candidate], [c.id for c in sides.baseline]
    gated = tuple(dict.fromkeys(scorers)) or _default_scorers(sides)
    notes = _notes(sides, gated)
    table = sides.table
    if len(ours) == len(theirs) == 1:
        return GateReport(
            gate_checkpoints(table, theirs[0], ours[0], gated, margins=margins), "checkpoint",
            theirs[0], ours[0], table.suite, table.signature, table.n_prompts, table.images_per_prompt,
            notes=notes, remedy="Evaluate both on more prompts, or with a larger --images-per-prompt.",
        )  # fmt: skip
    if len(theirs) < BASELINE_RUNS or len(ours) < CANDIDATE_RUNS:
        raise UserError(
            f"{len(theirs)} baseline and {len(ours)} candidate checkpoints",
            allowed=f"one against one, or the runs of two methods: at least {BASELINE_RUNS} against "
            f"{CANDIDATE_RUNS}",
            do="name one of each by its id, or evaluate more training runs",
        )
    names = display_names([sides.baseline[0], sides.candidate[0]])
    return GateReport(
        gate_methods(table, theirs, ours, gated, margins=margins), "method",
        names[theirs[0]], names[ours[0]], table.suite, table.signature, table.n_prompts,
        table.images_per_prompt, len(theirs), len(ours),
        notes=notes, remedy="Train and evaluate the candidate with more --seed values.",
    )  # fmt: skip


def _default_scorers(sides: Sides) -> tuple[str, ...]:
    known = [column.name for column in sides.table.columns]
    if sides.candidate[0].base_model == "shapes":
        lacking = [name for name in SHAPES_GATED if name not in known]
        if lacking:
            # Gating on the rest would look like the same verdict and be a weaker one.
            raise UserError(
                f"the evaluations lack {', '.join(lacking)}, gated by default",
                do="evaluate with them, or say with --scorers which to gate",
            )
        return SHAPES_GATED
    primary = tuple(column.name for column in sides.table.columns if column.primary)
    if not primary:
        raise UserError(
            "no scorer of these evaluations is primary",
            allowed=", ".join(known),
            do="say with --scorers which to gate",
        )
    return primary


def _notes(sides: Sides, gated: Sequence[str]) -> tuple[str, ...]:
    known = {column.name: column for column in sides.table.columns}
    ours = {checkpoint.id for checkpoint in sides.candidate}
    partial = [name for name in gated if name in known and ours & set(known[name].in_domain)]
    notes = [
        f"{name} is in-domain for the candidate: trained on, or selected by, the same data."
        for name in partial
    ]
    if not any(checkpoint.is_base for checkpoint in sides.table.checkpoints):
        notes.append(
            "No base model in these evaluations: default margins are in units of the baseline's spread."
        )
    return (*notes, *sides.table.remarks)

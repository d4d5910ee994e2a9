"""The findings as files: JSON, figures, and the tables of docs/claim.md."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from benchmark.core import store
from benchmark.leaderboard.equal_level import equal_level
from benchmark.leaderboard.frontiers import with_lines
from benchmark.report.figures import iso_reward
from tools.docs.marks import write_texts
from tools.studies.claim.analysis import findings
from tools.studies.claim.design import BASE, REFERENCE, Design
from tools.studies.claim.frontiers import read_frontiers
from tools.studies.claim.members import is_finished, read_members
from tools.studies.claim.questions import DIVERSITY, RESAMPLES, TASTE
from tools.studies.claim.sweeps import Evidence, evidence, method
from tools.studies.claim.tables import block_elsewhere, whole_block

FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "claim-equal-taste": (TASTE, DIVERSITY),
    "claim-equal-distance": ("path_kl", DIVERSITY),
    "claim-learned": ("pickscore", "clip_diversity"),
}
"""Beside the page, what is held equal and what is compared."""


def write_findings(design: Design, command: str, page: Path, *, resamples: int = RESAMPLES) -> Iterator[Path]:
    """Computes all answers from the members and writes what is committed.

    Args:
        design: The study's.
        command: As typed.
        page: Gets the tables, between two marks.
        resamples: Of the bootstrap.

    Raises:
        UserError: if no training seed is complete, or the page has no place for the tables.
    """
    block = whole_block if design.base == BASE else block_elsewhere
    own = read_evidence(design)
    found = findings(own, command, design.device, resamples=resamples)
    results = design.results.parent
    store.write_json(results / "findings.json", found)
    yield results / "findings.json"
    yield from _figures(own, page.parent / "pictures", design.base, resamples)
    write_texts(page, {mark(design.base): f"\n{block(found)}\n"})
    yield page


def mark(base: str) -> str:
    """The name of the place on the page that a base model's tables have."""
    return "claim" if base == BASE else f"claim {base}"


def read_evidence(design: Design) -> Evidence:
    """The members of the seeds that are complete, and the frontiers that are there."""
    seeds = {member.seed for member in design.members if member.objective}
    open_ = {m.seed for m in design.members if m.objective and not is_finished(design, m)}
    return evidence(read_members(design), read_frontiers(design), sorted(seeds - open_))


def _figures(own: Evidence, folder: Path, base: str, resamples: int) -> Iterator[Path]:
    ending = ".png" if base == BASE else f"-{base.replace('_', '-')}.png"
    scorers = {column.name for column in own.table.columns}
    lines = own.frontiers.get("closed-form")
    for name, (level, outcome) in FIGURES.items():
        if not {level, outcome} <= scorers:
            continue
        found = equal_level(
            own.sweep_table, level=level, outcome=outcome, along="beta", reference=method(REFERENCE),
            resamples=resamples,
        )  # fmt: skip
        if lines is not None and {level, outcome} <= {column.name for column in lines.columns}:
            found = with_lines(found, own.sweep_table, [lines], resamples=resamples)
        yield iso_reward(folder / f"{name}{ending}", found)

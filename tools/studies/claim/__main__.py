"""`python -m tools.studies.claim STAGE`: which divergence keeps more diversity at equal taste?

`choose` picks betas on validation prompts, `members` trains and scores the study's models, `frontiers` makes
what needs no training, `analyse` computes every answer from what these left under --results. Each goes on
where it was stopped. docs/claim.md is the protocol.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmark.core.config import parse_settings
from benchmark.core.console import finish, typed
from benchmark.models import draws_embedded_world
from benchmark.workflows.regress.study import parse_seeds
from benchmark.workflows.workers import WORKERS
from tools.studies.claim.design import (
    BASE,
    CLAIMED,
    DIVERGENCES,
    REFERENCE,
    SEEDS,
    TEST,
    VALIDATION,
    Design,
    Member,
    Sample,
    Unit,
    study_units,
    sweep_units,
)
from tools.studies.claim.grid import choose, read_grid, validation_units, write_grid
from tools.studies.claim.members import read_members
from tools.studies.claim.work import Job, deadline_of, left, status, work

NAME: Final = "tools.studies.claim"
STAGES: Final = ("choose", "members", "frontiers", "status", "analyse")
SEEDS_ELSEWHERE: Final = (0, 1, 2)
"""Of another base model, on which the two divergences that the paper compares are repeated."""


def validation_design(args: argparse.Namespace) -> Design:
    """The runs that betas are chosen by."""
    divergences = DIVERGENCES if args.base == BASE else (REFERENCE, CLAIMED)
    return _design(args, "validation", VALIDATION, validation_units(divergences))


def study_design(args: argparse.Namespace) -> Design:
    """The study itself.

    Raises:
        MissingFileError: if no betas are chosen yet.
    """
    betas = read_grid(_places(args)[1]).betas
    seeds = parse_seeds(args.seeds) if args.seeds else SEEDS if args.base == BASE else SEEDS_ELSEWHERE
    if args.base == BASE:
        return _design(args, "members", TEST, study_units(betas, seeds))
    units = (Unit("base", (Member(),)), *sweep_units(betas, seeds, halfway=False))
    # The paths of samplers without noise have no divergence.
    return _design(args, "members", replace(TEST, halfway=0, paths=(0, 0)), units)


def main() -> None:
    """Parses the command line and does one stage."""
    args = _parser().parse_args()
    command = typed(NAME)
    if args.stage == "choose":
        design = validation_design(args)
        work(Job(design, command, deadline_of(args.minutes, args.until), args.workers))
        if left(design):
            print(status(design, args.workers))
        else:
            grid = choose(read_members(design))
            print(f"wrote {write_grid(grid, _places(args)[1])}: {dict(grid.betas)}")
        return
    design = study_design(args)
    if args.stage == "members":
        work(Job(design, command, deadline_of(args.minutes, args.until), args.workers))
    elif args.stage == "frontiers":
        from tools.studies.claim.frontiers import make_frontiers

        make_frontiers(design, command, args.workers)
    elif args.stage == "analyse":
        from tools.studies.claim.page import write_findings

        for path in write_findings(design, command, args.page):
            print(f"wrote {path}")
        return
    print(status(design, args.workers))


def _design(args: argparse.Namespace, name: str, sample: Sample, units: tuple[Unit, ...]) -> Design:
    out, results = _places(args)
    sizes = {"limit": args.limit, "images_per_prompt": args.images_per_prompt}
    return Design(
        sample, units, out / name, results / name, args.base, args.device, parse_settings(args.set),
        {key: value for key, value in sizes.items() if value is not None},
    )  # fmt: skip


def _places(args: argparse.Namespace) -> tuple[Path, Path]:
    """Folders of the runs and of the results; another base model has its own in them."""
    return (args.out, args.results) if args.base == BASE else (args.out / args.base, args.results / args.base)


def _base(text: str) -> str:
    """The name of a base model as the registry has it, so that its folders have one name."""
    name = text.replace("-", "_")
    return name if draws_embedded_world(name) else text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    add = parser.add_argument
    add("stage", choices=STAGES, help="what is done")
    add("--minutes", type=float, help="choose, members: begin nothing that would not end within so many")
    add("--until", metavar="HH:MM", help="... or by this time of the clock")
    add("--workers", type=int, default=WORKERS, help=f"processes of one thread ({WORKERS})")
    add(
        "--base",
        type=_base,
        default=BASE,
        help=f"base model; of another one two divergences, three seeds ({BASE})",
    )
    add("--seeds", help="training seeds, such as 0-7 or 0,2 (default those of the protocol)")
    add("--device", default="cpu", help="cpu, or cuda; a study is made on one")
    add("--out", type=Path, default=Path("runs/claim"), help="runs, images and scores")
    add("--results", type=Path, default=Path("results/claim"), help="the small files to commit")
    add("--page", type=Path, default=Path("docs/claim.md"), help="analyse: gets the tables")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a trial: a setting of training")
    add("--limit", type=int, help="a trial: only the first so many prompts")
    add("--images-per-prompt", type=int, help="a trial: K")
    return parser


if __name__ == "__main__":
    finish(main)

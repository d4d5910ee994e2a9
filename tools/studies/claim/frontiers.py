"""What needs no training, on the study's own prompts: guidance, best of n, the optimum of each divergence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmark.core.hashing import plain
from benchmark.leaderboard import ScoreTable, read_score_table
from benchmark.workflows.frontier.config import FrontierConfig
from benchmark.workflows.workers import run_workers
from tools.studies.claim.design import DIVERGENCES, LEARNED, TRUTHS, Design, Member
from tools.studies.claim.members import compact, is_kept, keep

FOLDER: Final = "frontiers"
POOL: Final = 64
"""Images of the base a prompt behind the optima; as many as the best of eight is chosen from."""

FRONTIERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "guidance": {"scales": (2.5, 3, 4, 6), "best_of": (), "scorers": TRUTHS + LEARNED},
    "closed-form": {
        "closed_form": True, "by": "true_taste", "pool": POOL, "divergence": DIVERGENCES, "scorers": TRUTHS,
    },
    "best-of": {"scales": (), "best_of": (2, 4, 8), "by": "pickscore", "scorers": TRUTHS + LEARNED},
}  # fmt: skip
SHARES: Final = (("guidance",), ("closed-form", "best-of"))
"""Whose images each process makes: the optima and the best of n weigh and choose from one pool."""


@dataclass(frozen=True)
class Task:
    """What one process makes.

    Attributes:
        design: The study's.
        names: Of its frontiers.
        command: As typed.
    """

    design: Design
    names: tuple[str, ...]
    command: str


def make_frontiers(design: Design, command: str, workers: int) -> None:
    """Makes what is not kept yet; images that are there are not made again.

    Raises:
        UserError: for anything a user can put right.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    due = [tuple(name for name in share if not _is_kept(design, name)) for share in SHARES]
    tasks = [Task(design, names, command) for names in due if names]
    if workers > 1 and len(tasks) > 1:
        run_workers(make_share, tasks)
    else:
        for task in tasks:
            make_share(task)


def make_share(task: Task) -> None:
    """Makes some frontiers of one evaluation of the base model, in a folder of its own."""
    import torch

    torch.set_num_threads(1)
    from benchmark.evaluate.run import evaluate
    from benchmark.workflows.frontier.run import make_frontier

    design = task.design
    place = design.out / FOLDER / task.names[-1]
    evaluation = design.eval_config(Member()).model_copy(update={"checkpoint": ("base",), "out": place})
    evaluate(evaluation, command=task.command)
    for name in task.names:
        config = _config(design, name, place)
        table = compact(make_frontier(config, command=task.command).table)
        keep(
            design.results.parent / FOLDER / name, _settings(design, name), table, design.device, task.command
        )


def read_frontiers(design: Design) -> dict[str, ScoreTable]:
    """Those that are there, by name."""
    return {
        name: read_score_table(design.results.parent / FOLDER / name)
        for name in FRONTIERS
        if _is_kept(design, name)
    }


def _config(design: Design, name: str, evaluation: Path) -> FrontierConfig:
    own = {"evaluation": evaluation, "device": design.device, "out": evaluation / name}
    return FrontierConfig.parse({**FRONTIERS[name], **own})


def _settings(design: Design, name: str) -> dict[str, Any]:
    config = _config(design, name, Path()).model_dump(mode="json", exclude={"evaluation", "out", "offline"})
    settings: dict[str, Any] = plain({"frontier": config, "base": design.settings(Member())["evaluation"]})
    return settings


def _is_kept(design: Design, name: str) -> bool:
    return is_kept(design.results.parent / FOLDER / name, _settings(design, name))

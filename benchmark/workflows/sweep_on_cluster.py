"""`fbench sweep --ray`: groups of members on the workers of a Ray cluster.

Members that share a reference pass stay together, as many as a worker's share of the sweep. A member whose
worker died goes on from its last checkpoint, on whichever worker takes its group.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benchmark.cluster.connection import connected, gpus_of_workers
from benchmark.cluster.jobs import run_jobs
from benchmark.cluster.needs import Needs, workers_that_fit
from benchmark.cluster.settings import Cluster
from benchmark.workflows.sweep import Groups, Sweep, SweepResult, sweep, train_groups
from trainers.config import TrainConfig

if TYPE_CHECKING:
    from trainers.checkpoints import RunFailure, RunResult


def sweep_on_cluster(what: Sweep, cluster: Cluster) -> SweepResult:
    """Trains every member that is not finished; see :func:`benchmark.workflows.sweep.sweep`.

    Args:
        what: The members; its workers are replaced by the cluster's.
        cluster: Which, and how its workers are used.

    Raises:
        UserError: as `sweep`, and for what is wrong with the cluster.
    """

    def train(jobs: Sequence[Groups]) -> "list[list[RunResult | RunFailure]]":
        units = [[group] for groups in jobs for group in groups]
        return [
            run_jobs(
                cluster,
                train_groups,
                units,
                _lost,
                parts=_parts,
                out=what.out,
                words=_words,
                contents=partial(inputs_of, tuple(what.members())),
            )
        ]

    from trainers.train import ask

    ask(what.members(), fetch=False, elsewhere=True)  # what is wrong is said before Ray begins
    with connected(cluster):
        workers = workers_that_fit(cluster, Needs(cluster.cpus, gpus_of_workers(cluster)))
        return sweep(replace(what, workers=workers), train)


def inputs_of(members: Sequence[TrainConfig]) -> dict[str, str]:
    """The hashes of what the members of a sweep learn from, as it lies on this machine.

    Args:
        members: Of one base model and data.

    Returns:
        By role and name; without a published base model that is not here yet.

    Raises:
        UserError: if something is not there or cannot be read.
    """
    from trainers.identity import identities
    from trainers.recipe import make_recipe

    found = identities(members, [make_recipe(one) for one in members], fetch=False)
    return {f"{i.role} {i.path}": i.sha256 for one in found for i in one.inputs if i.sha256}


def _parts(groups: Groups) -> list[Groups]:
    """Each member alone: one that kills its worker leaves the others alone."""
    return [[(run,)] for group in groups for run in group]


def _lost(groups: Groups, why: str) -> "list[RunResult | RunFailure]":
    from trainers.checkpoints import RunFailure

    return [RunFailure(run.out, why) for group in groups for run in group]


def _words(groups: Groups) -> str:
    names = [run.out.name for group in groups for run in group]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"

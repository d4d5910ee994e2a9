"""`fbench sweep`: policies over objectives, divergences, betas, rates and seeds, trained together.

Members of one process share the cache, the text embeddings, the batches of their seed and what the
reference says of them. Each has a folder and a manifest of its own, so the same command again goes on where
each one is, and one that fails leaves the others alone.
"""

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from benchmark.core import store
from benchmark.core.calls import parse_call
from benchmark.core.errors import ConfigError
from benchmark.core.locks import held
from benchmark.workflows.workers import run_workers
from trainers.config import TrainConfig
from trainers.presets import preset_values

if TYPE_CHECKING:
    from trainers.checkpoints import RunFailure, RunResult

Groups: TypeAlias = list[tuple[TrainConfig, ...]]
"""Members that one process trains: those of a group together, groups one after the other."""
Trainer: TypeAlias = Callable[[Sequence[Groups]], "list[list[RunResult | RunFailure]]"]

SUMMARY: Final = "sweep.json"
AT_ONCE: Final = 8
"""Policies that one process trains together, so that memory does not grow with the sweep."""


@dataclass(frozen=True)
class Axes:
    """What varies; an empty axis leaves the common settings' word.

    Attributes:
        objective: As in `--objective`.
        divergence: As in `--divergence`; only for objectives that take one.
        beta: Likewise.
        lr: Learning rates.
        seed: Seeds.
    """

    objective: tuple[str, ...] = ()
    divergence: tuple[str, ...] = ()
    beta: tuple[float, ...] = ()
    lr: tuple[float, ...] = ()
    seed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sweep:
    """What is trained.

    Attributes:
        settings: Of `TrainConfig`, common to all.
        axes: What varies.
        out: Each member gets a folder in it.
        workers: Processes.
        at_once: Policies that one process trains together.
    """

    settings: Mapping[str, Any]
    axes: Axes
    out: Path
    workers: int = 1
    at_once: int = AT_ONCE

    def members(self) -> list[TrainConfig]:
        """One run for each point, those of a seed beside each other; equal points once.

        Raises:
            UserError: for an unknown name or an impossible setting.
        """
        preset = self.settings.get("preset")
        common = {**(preset_values(str(preset)) if preset else {}), **self.settings}
        axes = self.axes
        points = itertools.product(
            axes.seed or (None,), axes.objective or (None,), axes.divergence or (None,), axes.beta or (None,),
            axes.lr or (None,),
        )  # fmt: skip
        found: dict[str, TrainConfig] = {}
        for seed, objective, divergence, beta, lr in points:
            values = {"seed": seed, "objective": objective, "divergence": divergence, "beta": beta, "lr": lr}
            own = {k: v for k, v in values.items() if v is not None}
            useless = _useless(str({"objective": "f_dpo", **common, **own}["objective"]))
            own = {k: v for k, v in own.items() if k not in useless}
            name = _label(own) or "run"
            if name not in found:
                settings = {k: v for k, v in {**common, **own}.items() if k not in useless}
                found[name] = TrainConfig.parse({**settings, "out": self.out / name})
        return list(found.values())


def _useless(objective: str) -> frozenset[str]:
    """The settings that do nothing for an objective, and that a run of it would refuse."""
    from trainers.objectives import objectives

    maker = objectives.get(parse_call(objective, "objective").name)
    takes = inspect.signature(maker).parameters
    none = {name for name in ("divergence", "beta") if name not in takes}
    if not getattr(maker, "uses_reference", True):
        none |= {"log_ratio_scale", "log_ratio_centre", "estimator"}
    return frozenset(none | ({"slope_matched"} if "divergence" in none else set()))


@dataclass(frozen=True)
class SweepResult:
    """How a sweep ended.

    Attributes:
        folder: Of the sweep.
        finished: Members that did all their steps.
        failed: Members that did not.
    """

    folder: Path
    finished: "tuple[RunResult, ...]"
    failed: "tuple[RunFailure, ...]" = field(default=())


def _groups(members: Sequence[TrainConfig], at_once: int) -> Groups:
    return [tuple(members[i : i + at_once]) for i in range(0, len(members), at_once)]


def train_groups(groups: Groups) -> "list[RunResult | RunFailure]":
    """Trains groups one after the other, each together."""
    from trainers.train import train_each

    return [one for group in groups for one in train_each(group)]


def _train_here(jobs: Sequence[Groups]) -> "list[list[RunResult | RunFailure]]":
    return run_workers(train_groups, jobs) if len(jobs) > 1 else [train_groups(jobs[0])]


def sweep(what: Sweep, train: Trainer = _train_here) -> SweepResult:
    """Trains every member that is not finished.

    Args:
        what: The members.
        train: Trains groups of members; in processes of this machine unless said otherwise.

    Raises:
        UserError: for settings that cannot work, before anything is trained; or if no member finished.
        InUseError: if another command is writing to the folder.
        KeyboardInterrupt: after Ctrl-C; the same command goes on.
    """
    members = what.members()
    if what.workers < 1 or what.at_once < 1:
        raise ConfigError(f"workers is {what.workers}, at_once {what.at_once}", allowed="at least 1")
    with held(what.out, [member.identity() for member in members]):
        return _sweep(what, members, train)


def _sweep(what: Sweep, members: Sequence[TrainConfig], train: Trainer) -> SweepResult:
    share = -(-len(members) // min(what.workers, len(members)))
    jobs = [tuple(members[i : i + share]) for i in range(0, len(members), share)]
    answers = train([_groups(job, what.at_once) for job in jobs])
    from trainers.checkpoints import RunResult

    ended = [one for answer in answers for one in answer]
    finished = tuple(one for one in ended if isinstance(one, RunResult))
    failed = tuple(one for one in ended if not isinstance(one, RunResult))
    result = SweepResult(what.out, finished, failed)
    store.write_json(what.out / SUMMARY, result)
    return result


def _label(own: Mapping[str, Any]) -> str:
    """A folder's name from what its member has of its own.

    Example:
        >>> _label({"divergence": "alpha(a=0.5)", "beta": 0.3, "seed": 1})
        'alpha_a0.5-beta0.3-seed1'
    """
    words = [
        own[key] if isinstance(own[key], str) else f"{key}{own[key]:g}"
        for key in ("objective", "divergence", "beta", "lr", "seed")
        if key in own
    ]
    text = "-".join(words).replace(", ", "_").replace("(", "_").replace("/", "_").replace(":", "_")
    return "".join(c for c in text if c.isalnum() or c in "._-+")

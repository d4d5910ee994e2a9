"""From the table of all members to the sweeps that are compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from benchmark.core.errors import UserError
from benchmark.core.records import Checkpoint
from benchmark.leaderboard import ScoreTable
from benchmark.leaderboard.equal_level import sweeps_of
from benchmark.leaderboard.line_contrasts import line_sweep
from benchmark.leaderboard.names import objective_and_divergence, without_knee
from benchmark.leaderboard.optimum_lines import optimum_lines
from benchmark.leaderboard.trade_off_plane import own_values, sampled_scorer
from benchmark.stats.sweeps import Sweep, without_gaps

F_DPO = "f_dpo"


def method(divergence: str) -> str:
    """What tables call f-DPO under a divergence."""
    return f"{F_DPO} {divergence}"


@dataclass(frozen=True, eq=False)
class Evidence:
    """The members that every method has, and what needs no training.

    Attributes:
        table: The base first; every method with the same training seeds.
        seeds: These.
        frontiers: By name, as far as they are there.
    """

    table: ScoreTable
    seeds: tuple[int, ...]
    frontiers: Mapping[str, ScoreTable]

    @cached_property
    def sweep_table(self) -> ScoreTable:
        """The base and the last checkpoints of f-DPO: the sweeps over beta."""
        last = self._last()
        own = [c for c in self.table.checkpoints if c.is_base or (c.objective == F_DPO and c.id in last)]
        return narrowed(self.table, own)

    def over_beta(self, level: str, outcome: str) -> tuple[Sweep, ...]:
        """One sweep a divergence, from the base to its strongest beta.

        Args:
            level: Scorer that is held equal.
            outcome: Scorer that is compared.
        """
        return sweeps_of(self.sweep_table, level, outcome, "beta")

    def over_steps(self, level: str, outcome: str) -> tuple[Sweep, ...]:
        """The same along training, of each divergence's strongest beta; none without half-way checkpoints."""
        strongest: dict[str, float] = {}
        for c in self.sweep_table.checkpoints:
            if not c.is_base:
                name = objective_and_divergence(c)
                strongest[name] = min(strongest.get(name, np.inf), _beta(c))
        mine = [
            c
            for c in self.table.checkpoints
            if c.is_base or (c.objective == F_DPO and _beta(c) == strongest[objective_and_divergence(c)])
        ]
        try:
            sweeps = sweeps_of(narrowed(self.table, mine), level, outcome, "step")
        except UserError:  # no seed has all the half-way checkpoints
            return ()
        return sweeps if all(len(sweep.points) > 2 for sweep in sweeps) else ()

    def others(self, level: str, outcome: str) -> tuple[Sweep, ...]:
        """One sweep for each other objective: the base, and its one setting."""
        last = self._last()
        base, *trained = self.table.checkpoints
        others = [c for c in trained if c.objective != F_DPO and c.id in last]
        found: list[Sweep] = []
        for name in dict.fromkeys(objective_and_divergence(c) for c in others):
            own = [base, *(c for c in others if objective_and_divergence(c) == name)]
            found += sweeps_of(narrowed(self.table, own), level, outcome, "step")
        return tuple(found)

    def lines(self, level: str, outcome: str) -> dict[str, Sweep]:
        """The optimum under each divergence, in gains over its pool; the same for every seed."""
        table = self.frontiers.get("closed-form")
        if table is None or not {level, outcome} <= {column.name for column in table.columns}:
            return {}
        return {
            method(line.divergence): self._spread(line_sweep(table, line, outcome, level))
            for line in optimum_lines(table)
            if not all(line.hollow)
        }

    def untrained(self, level: str, outcome: str) -> tuple[Sweep, ...]:
        """Guidance above the base model's own, and best of n, in gains over the base."""
        found = []
        for name in ("guidance", "best-of"):
            table = self.frontiers.get(name)
            if table is None:
                continue
            points = [table.checkpoints[0], *_stronger(table)]
            ids = [point.id for point in points]
            values = [
                own_values(table, sampled_scorer(table, scorer)).reindex(columns=ids).to_numpy().T[:, None]
                for scorer in (level, outcome)
            ]
            found.append(self._spread(Sweep(name, values[0], values[1], tuple(ids))))
        return tuple(found)

    def _last(self) -> set[str]:
        """Ids of the last checkpoints of all runs."""
        runs: dict[tuple[object, ...], Checkpoint] = {}
        for c in self.table.checkpoints:
            run = (objective_and_divergence(c), c.hyperparameters.get("beta"), c.hyperparameters.get("seed"))
            if run not in runs or c.step > runs[run].step:
                runs[run] = c
        return {c.id for c in runs.values()}

    def _spread(self, sweep: Sweep) -> Sweep:
        """A sweep that no training seed moves, as if each had made it."""
        S = len(self.seeds)
        level, outcome = (np.repeat(values, S, axis=1) for values in (sweep.level, sweep.outcome))
        return gains(replace(sweep, level=level, outcome=outcome))


def evidence(table: ScoreTable, frontiers: Mapping[str, ScoreTable], seeds: Sequence[int]) -> Evidence:
    """What the study can be answered from: the seeds that every method and beta has.

    Args:
        table: Of all members that are there.
        frontiers: By name.
        seeds: Those whose members are all there.

    Raises:
        UserError: if there is no such seed.
    """
    if not seeds:
        raise UserError(
            "no training seed has all its members yet", do="run `python -m tools.studies.claim members`"
        )
    checkpoints = tuple(
        replace(c, divergence=None if c.divergence is None else without_knee(c.divergence))
        for c in table.checkpoints
    )
    kept = [c for c in checkpoints if c.is_base or c.hyperparameters.get("seed") in seeds]
    whole = narrowed(replace(table, checkpoints=checkpoints), kept)
    return Evidence(whole, tuple(seeds), frontiers)


def narrowed(table: ScoreTable, checkpoints: Sequence[Checkpoint]) -> ScoreTable:
    """A table of some of its checkpoints."""
    rows = table.rows[table.rows["checkpoint"].isin([c.id for c in checkpoints])]
    return replace(table, rows=rows, checkpoints=tuple(checkpoints))


def on_prompts(found: Evidence, wanted: range) -> Evidence:
    """The same on the prompts that leave so many facts open."""
    ids = [id_ for id_, tags in found.table.tags.items() if open_facts(tags) in wanted]
    table = replace(found.table, rows=found.table.rows[found.table.rows["prompt_id"].isin(ids)])
    return Evidence(table, found.seeds, {})


def open_facts(tags: Sequence[str]) -> int:
    """How many facts a prompt leaves open, by its tags.

    Example:
        >>> open_facts(("count_1", "open_3"))
        3
    """
    return next((int(tag[5:]) for tag in tags if tag.startswith("open_")), 0)


def gains(sweep: Sweep) -> Sweep:
    """Level and outcome less the first point's, prompt by prompt, each run over its own prompts."""
    level, outcome = (without_gaps(values) for values in (sweep.level, sweep.outcome))
    return replace(sweep, level=level - level[:1], outcome=outcome - outcome[:1])


def _stronger(table: ScoreTable) -> list[Checkpoint]:
    """The points of a frontier past the base model itself, in the order of what is turned up."""
    facts = [
        (c, c.hyperparameters.get("guidance", c.hyperparameters.get("best_of"))) for c in table.checkpoints
    ]
    known = [(float(value), c) for c, value in facts if isinstance(value, int | float)]
    scales = {part.partition(":")[2] for part in table.signature.split("|") if part.startswith("cfg:")}
    own = float(next(iter(scales), 1)) if "guidance" in table.checkpoints[-1].hyperparameters else 1.0
    return [c for value, c in sorted(known, key=lambda one: one[0]) if value > own]


def _beta(checkpoint: Checkpoint) -> float:
    return float(checkpoint.hyperparameters["beta"] or 0)

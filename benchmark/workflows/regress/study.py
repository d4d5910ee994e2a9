"""A divergence trained on the gate's budget, and the verdict on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from benchmark.core.errors import ConfigError, NotComparableError
from benchmark.core.locks import held
from benchmark.core.records import Checkpoint
from benchmark.core.words import number_of
from benchmark.gate import GateReport, gate_methods
from benchmark.gate.differences import CANDIDATE_RUNS
from benchmark.leaderboard import (
    ScoreTable,
    build_leaderboard,
    first_difference,
    join_tables,
    read_score_table,
    signature_line,
)
from benchmark.leaderboard.by_method import build_method_leaderboard
from benchmark.workflows.regress.baselines import (
    MAKE_ANEW,
    SCORERS,
    SEEDS,
    eval_config,
    find_baseline,
    refuse_other_budget,
    run_config,
    trained,
)
from benchmark.workflows.workers import WORKERS, train_and_evaluate
from trainers.config import TrainConfig

DEFAULT_BASELINE: Final = "reverse_kl"
REPORT: Final = "report.html"
METHODS: Final = "methods"


@dataclass(frozen=True)
class Regress:
    """What is trained, and held against what.

    Attributes:
        divergence: As ``--divergence`` takes it.
        out: Runs, images, scores.
        baseline: Name of a committed baseline, or a folder.
        seeds: Training seeds, at least three.
        scorers: Gated ones.
        margins: M of some of them, in their units.
        unchecked: Take a divergence that breaks the laws.
        workers: Processes of one thread.
        offline: Forbid every network access; nothing here needs one.
    """

    divergence: str
    out: Path
    baseline: str = DEFAULT_BASELINE
    seeds: tuple[int, ...] = SEEDS
    scorers: tuple[str, ...] = SCORERS
    margins: Mapping[str, float] = field(default_factory=dict)
    unchecked: bool = False
    workers: int = WORKERS
    offline: bool = False

    def runs(self) -> list[TrainConfig]:
        """One run a seed.

        Raises:
            UserError: for too few seeds, one that is named twice, or a divergence that cannot be trained.
        """
        if len(set(self.seeds)) < max(len(self.seeds), CANDIDATE_RUNS):
            raise ConfigError(
                f"--seeds is {', '.join(map(str, self.seeds))}",
                allowed=f"at least {CANDIDATE_RUNS} different ones",
            )
        return [
            run_config(
                self.divergence, seed, self.out / "train" / f"seed{seed}", unchecked=self.unchecked,
                offline=self.offline,
            )
            for seed in self.seeds
        ]  # fmt: skip


def check(what: Regress) -> list[str]:
    """Sees that the comparison can be made, before anything is trained.

    Returns:
        The plan, a line each.

    Raises:
        UserError: for whatever a user can put right.
    """
    from benchmark.evaluate.plan import plan
    from benchmark.evaluate.results import columns_of
    from trainers.train import check as check_runs

    runs = what.runs()
    check_runs(runs)
    table = read_score_table(find_baseline(what.baseline))
    refuse_other_budget(table, runs[0])
    evaluation = eval_config(what.out / "eval", offline=what.offline)
    agenda = plan(evaluation)
    k = evaluation.images_per_prompt
    assert evaluation.precision != "auto", "the budget names it"
    sampler = replace(agenda.sampler, precision=evaluation.precision)
    ours = signature_line(agenda.prompt_set, k, sampler, columns_of(agenda.scorers, (), ()))
    difference = first_difference(table.signature, ours)
    if difference:
        raise NotComparableError(
            f"the baseline {what.baseline} is not comparable with this fbench: {difference}",
            do=MAKE_ANEW,
        )
    # What is wrong with scorers and margins shows here, and not after the training.
    theirs = [checkpoint.id for checkpoint in trained(table)]
    gate_methods(table, theirs, theirs, what.scorers, margins=what.margins)
    first, seeds = runs[0], ", ".join(map(str, what.seeds))
    budget = f"{number_of(first.steps, 'step')} of {number_of(first.batch_size, 'pair')}, slope-matched"
    return [
        f"training   {len(runs)} runs under {first.divergence}, seeds {seeds}: {budget}",
        f"images     {table.suite} for each run",
        f"gate       {', '.join(what.scorers)}, against {len(theirs)} runs of {what.baseline}",
        f"processes  {what.workers}",
        f"out        {what.out}",
    ]


def regress(what: Regress) -> GateReport:
    """Trains a candidate, evaluates it and holds it against a baseline; what is there is not done again.

    Raises:
        UserError: for whatever a user can put right, before anything is trained.
        InUseError: if another command is writing to the folder.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    check(what)
    runs = what.runs()
    with held(what.out, [run.identity() for run in runs]):
        return _regress(what, runs)


def _regress(what: Regress, runs: Sequence[TrainConfig]) -> GateReport:
    evaluation = eval_config(what.out / "eval", offline=what.offline)
    train_and_evaluate(runs, lambda run: [str(run.out)], evaluation, base=False, workers=what.workers)
    ours, theirs = read_score_table(what.out / "eval"), read_score_table(find_baseline(what.baseline))
    table = join_tables([theirs, ours])
    _write_board([theirs, ours], table, what.out)
    baseline, candidate = (tuple(c.id for c in trained(one)) for one in (theirs, ours))
    return GateReport(
        verdict=gate_methods(table, baseline, candidate, what.scorers, margins=what.margins),
        kind="method",
        baseline=trained(theirs)[0].divergence or what.baseline,
        candidate=trained(ours)[0].divergence or what.divergence,
        suite=table.suite,
        signature=table.signature,
        n_prompts=table.n_prompts,
        images_per_prompt=table.images_per_prompt,
        baseline_runs=len(baseline),
        candidate_runs=len(candidate),
        notes=_notes(what, trained(ours)),
        remedy="Add training seeds: --seeds 0-7.",
    )


def _write_board(tables: Sequence[ScoreTable], table: ScoreTable, out: Path) -> None:
    """Tables and page of candidate, baseline and base together; the pictures are the candidate's."""
    from benchmark.evaluate.finished import page_source
    from benchmark.report import write_exports
    from benchmark.report.page import write_page

    board = build_leaderboard(tables)
    write_exports(board, out)
    # A divergence held against itself is one method twice, which has no table.
    if len({run.divergence for run in trained(table)}) > 1:
        write_exports(build_method_leaderboard(tables), out / METHODS)
    write_page(page_source(board, table, [out / "eval"]), out / REPORT)


def _notes(what: Regress, runs: Sequence[Checkpoint]) -> tuple[str, ...]:
    """What a reader of the verdict must know about the candidate's training."""
    notes = ["The divergence breaks laws and was trained all the same."] if what.unchecked else []
    if "true_taste" in what.scorers and "true_taste" not in what.margins:
        notes.append("M of true_taste is no wider than what the baseline gained over the base model.")
    diverged = [str(run.hyperparameters["seed"]) for run in runs if run.hyperparameters.get("diverged")]
    if diverged:
        notes.append(f"Marked as diverged while training: seed {', '.join(diverged)} of {len(runs)} runs.")
    return tuple(notes)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds as on the command line.

    Example:
        >>> parse_seeds("0-2,7")
        (0, 1, 2, 7)

    Raises:
        ConfigError: if it is anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        known = first.isdecimal() and (not dash or last.isdecimal())
        if not known or int(last or first) < int(first):
            raise ConfigError(f"--seeds is {text!r}", allowed="numbers and ranges, such as 0-4 or 0,2,5")
        seeds += range(int(first), int(last or first) + 1)
    return tuple(seeds)

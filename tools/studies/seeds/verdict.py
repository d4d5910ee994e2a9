"""What does the truth say of a preset at a beta? For each training seed, by rules fixed before the data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from benchmark.core.errors import UnknownNameError
from benchmark.core.records import Checkpoint, Leaderboard, LeaderboardCell
from benchmark.leaderboard import ScoreTable
from benchmark.leaderboard.score_arrays import cells_of
from benchmark.stats.arrays import RESAMPLES
from benchmark.stats.cells import paired_differences
from benchmark.stats.intervals import mean_intervals
from tools.studies.seeds.directions import Agreement, agreements

ALPHA: Final = 0.01
CHANCE_LOSS: Final = math.log(2)
"""The preference loss of a policy that equals the reference."""
_ONE_SIDED = 0.90
"""A two-sided interval at this level has the one-sided 95 % bounds as its ends."""


@dataclass(frozen=True)
class Rule:
    """What is asked of one scorer's paired difference to the base.

    Attributes:
        scorer: Its name.
        kind: ``better``: above 0 with Holm-adjusted p below `ALPHA`. ``within``: the one-sided 95 % bound is
            above minus the margin. ``shown``: nothing is
            asked.
        margin: Of ``within``.
    """

    scorer: str
    kind: Literal["better", "within", "shown"]
    margin: float = 0.0

    def words(self) -> str:
        """The rule in words."""
        return {
            "better": f"higher, Holm-adjusted p < {ALPHA:g}",
            "within": f"not lower by {self.margin:g}: the one-sided 95 % bound is above -{self.margin:g}",
            "shown": "shown, not asked",
        }[self.kind]


RULES: Final = (
    Rule("true_taste", "better"),
    Rule("oracle", "within", 0.02),
    Rule("scene_rate", "within", 0.02),
    Rule("true_taste_heldout", "shown"),
    Rule("true_diversity", "shown"),
)
_KINDS: Final = {rule.scorer: rule.kind for rule in RULES}


@dataclass(frozen=True)
class Finding:
    """One scorer's paired difference of one checkpoint to the base.

    Attributes:
        scorer: Its name.
        mean: The checkpoint's mean.
        difference: Of the means over prompts.
        lo: Lower end of its 95 % interval.
        hi: Upper end.
        bound: One-sided 95 % lower bound.
        p: Holm-adjusted over the checkpoints.
        passed: None where nothing is asked.
    """

    scorer: str
    mean: float | None
    difference: float | None
    lo: float | None
    hi: float | None
    bound: float | None
    p: float | None
    passed: bool | None


@dataclass(frozen=True)
class SeedVerdict:
    """One training run.

    Attributes:
        checkpoint: Its id.
        seed: Of the training.
        findings: In the order of `RULES`.
        held_out_loss: Where it ended; None without held-out pairs.
        loss_passed: Whether that is below log 2.
        rises: Whether what is to be better is, and the held-out loss fell.
        keeps: Whether what is to be kept is.
    """

    checkpoint: str
    seed: int | None
    findings: tuple[Finding, ...]
    held_out_loss: float | None
    loss_passed: bool
    rises: bool
    keeps: bool


@dataclass(frozen=True)
class Verdict:
    """All seeds of an arm: a preset at one beta.

    Attributes:
        preset: Which.
        beta: As it was set; None where the objective has none.
        suite: On what.
        signature: Of the numbers.
        rules: In words, by scorer.
        base: The base model's means, by scorer.
        seeds: One a run.
        rises: Whether every seed does.
        keeps: How many seeds keep what is to be kept.
        learned: The learned scorers beside their truths.
    """

    preset: str
    beta: float | None
    suite: str
    signature: str
    rules: dict[str, str]
    base: dict[str, float | None]
    seeds: tuple[SeedVerdict, ...]
    rises: bool
    keeps: int
    learned: tuple[Agreement, ...] = ()


def judge(
    table: ScoreTable,
    leaderboard: Leaderboard,
    judged: Sequence[str],
    preset: str,
    beta: float | None = None,
    *,
    resamples: int = RESAMPLES,
) -> Verdict:
    """Applies `RULES` to some checkpoints of an evaluation.

    Args:
        table: Its scores.
        leaderboard: Built from them; the p values are adjusted over all its checkpoints.
        judged: Ids of the runs of the arm.
        preset: Its name.
        beta: Of the arm.
        resamples: Of the bootstrap behind the one-sided bounds.

    Raises:
        UnknownNameError: if a scorer that a rule names was not used.
    """
    names = [column.name for column in leaderboard.columns]
    for rule in RULES:
        if rule.scorer not in names:
            raise UnknownNameError("scorer of the verdict", rule.scorer, names)
    against = leaderboard.reference
    bounds = {r.scorer: _bounds(table, r.scorer, against, judged, resamples) for r in RULES}
    cells = {row.checkpoint.id: {cell.scorer: cell for cell in row.cells} for row in leaderboard.rows}
    checkpoints = {row.checkpoint.id: row.checkpoint for row in leaderboard.rows}
    seeds = []
    for i, id_ in enumerate(judged):
        findings = tuple(_finding(rule, cells[id_][rule.scorer], bounds[rule.scorer][i]) for rule in RULES)
        seeds.append(_seed_verdict(checkpoints[id_], findings))
    base = {rule.scorer: cells[against][rule.scorer].mean for rule in RULES}
    rules = {rule.scorer: rule.words() for rule in RULES}
    return Verdict(
        preset, beta, leaderboard.suite, leaderboard.signature, rules, base, tuple(seeds),
        rises=all(seed.rises for seed in seeds), keeps=sum(seed.keeps for seed in seeds),
        learned=agreements(leaderboard, judged),
    )  # fmt: skip


def _seed_verdict(checkpoint: Checkpoint, findings: tuple[Finding, ...]) -> SeedVerdict:
    seed, loss = (checkpoint.hyperparameters.get(key) for key in ("seed", "held_out_loss"))
    learnt = isinstance(loss, float) and loss < CHANCE_LOSS
    held = {
        kind: all(f.passed for f in findings if _KINDS[f.scorer] == kind) for kind in ("better", "within")
    }
    return SeedVerdict(
        checkpoint=checkpoint.id,
        seed=seed if isinstance(seed, int) else None,
        findings=findings,
        held_out_loss=loss if isinstance(loss, float) else None,
        loss_passed=learnt,
        rises=learnt and held["better"],
        keeps=held["within"],
    )


def _finding(rule: Rule, cell: LeaderboardCell, bound: float | None) -> Finding:
    difference, p = cell.difference, cell.p_value
    passed = None
    if rule.kind == "better":
        passed = difference is not None and p is not None and difference > 0 and p < ALPHA
    elif rule.kind == "within":
        passed = bound is not None and bound > -rule.margin
    return Finding(
        rule.scorer, cell.mean, difference, cell.difference_lo, cell.difference_hi, bound, p, passed
    )


def _bounds(
    table: ScoreTable, scorer: str, reference: str, ids: Sequence[str], resamples: int
) -> list[float | None]:
    """One-sided 95 % lower bounds of the paired differences to the reference."""
    everyone = [checkpoint.id for checkpoint in table.checkpoints]
    cells = cells_of(table.rows[table.rows["scorer"] == scorer], everyone)
    chosen = [everyone.index(id_) for id_ in ids]
    differences = paired_differences(cells[chosen], cells[everyone.index(reference)]).T
    intervals = mean_intervals(differences, level=_ONE_SIDED, resamples=resamples)
    return [None if math.isnan(interval.lo) else interval.lo for interval in intervals]

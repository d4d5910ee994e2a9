"""What a frontier would cost, and whether it can be drawn beside its evaluation: nothing is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmark.core.errors import NotComparableError, UserError
from benchmark.core.manifest import earlier_attempt, read_manifest_of
from benchmark.core.records import PromptSet, Sampler, ScorerColumn
from benchmark.evaluate.config import PATH_KL, EvalConfig
from benchmark.evaluate.finished import sampler_of
from benchmark.leaderboard import ScoreTable, read_score_table, signature_line
from benchmark.leaderboard.frontiers import difference_from, signature_of_frontier, signature_of_optima
from benchmark.prompt_sets import load_prompt_set
from benchmark.scorers import Scorer, make_scorers
from benchmark.scorers.base import OfPairs
from benchmark.scorers.requirements import require_weights
from benchmark.workflows.frontier.config import NONE, FrontierConfig

if TYPE_CHECKING:
    from benchmark.workflows.frontier.optimum import Optimum

SHARES: Final = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
"""Guidance scales tried, as shares of the evaluation's own."""


@dataclass(frozen=True)
class FrontierPlan:
    """A checked frontier.

    Attributes:
        config: The settings.
        evaluation: The evaluation's settings.
        table: Its scores.
        prompt_set: For what.
        sampler: How the base's images were made.
        scales: Guidance scales, the evaluation's own among them; empty: none are asked for.
        scorers: By what; not loaded.
        chooser: One of them, which chooses the best of n, or is the reward; None where no n is asked for.
        optima: Divergences whose optimum is asked for, in place of scales and n.
        left_out: The evaluation's scorers that weights on images say nothing of.
    """

    config: FrontierConfig
    evaluation: EvalConfig
    table: ScoreTable
    prompt_set: PromptSet
    sampler: Sampler
    scales: tuple[float, ...]
    scorers: tuple[Scorer, ...]
    chooser: Scorer | None
    optima: tuple["Optimum", ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def by(self) -> str:
        """Name of the chooser; empty where there is none."""
        return self.chooser.name if self.chooser else ""

    @property
    def images_per_prompt(self) -> int:
        """K."""
        return self.evaluation.images_per_prompt

    @property
    def pool_per_prompt(self) -> int:
        """Images of the base a prompt: K, with best of n as many as the largest n needs; or the pool."""
        if self.optima:
            return self.config.pool
        return self.images_per_prompt * max(self.config.best_of, default=1)

    @property
    def cost(self) -> str:
        """How many images it takes, in words."""
        own = len(self.prompt_set) * self.images_per_prompt
        there = min(own, len(list((self.config.evaluation / "images" / "base").glob("*.png"))))
        if self.optima:
            size = len(self.prompt_set) * self.config.pool
            known = min(there, size)
            return f"{size} of the base: {known}, which the evaluation has; {size - known} more"
        others = sum(scale != self.sampler.guidance for scale in self.scales)
        more = len(self.prompt_set) * self.pool_per_prompt - own
        has = (
            ", which the evaluation has"
            if there == own
            else f", of which {there} are in the evaluation's folder"
        )
        parts = [f"{own} of the base itself{has}"]
        parts += [f"{own * others} at {others} other guidance scales"] if others else []
        parts += [f"{more} more to choose the best of {max(self.config.best_of)} from"] if more else []
        return f"{own * (1 + others) + more}: {'; '.join(parts)}"

    def lines(self) -> list[str]:
        """The plan in words, for ``--dry-run``."""
        names = [f"{scorer.name} ({scorer.unit}, {scorer.scorer_version})" for scorer in self.scorers]
        if self.optima:
            return self._lines_of_optima(names)
        best = ", ".join(map(str, self.config.best_of))
        return [
            f"evaluation   {self.config.evaluation}, base {self.evaluation.base}",
            f"prompts      {self.prompt_set.suite(self.images_per_prompt)}",
            f"sampling     {self.sampler.signature}",
            f"guidance     {', '.join(f'{scale:g}' for scale in self.scales) or NONE}",
            f"best of n    {f'{best} by {self.by}' if self.chooser else NONE}",
            f"images       {self.cost}",
            f"scorers      {', '.join(names)}",
            f"out          {self.config.out}",
        ]

    def _lines_of_optima(self, names: Sequence[str]) -> list[str]:
        # What a scorer of one image or one pair says can be weighed.
        under = [o.name if o.line == o.name else f"{o.name} (the line of {o.line})" for o in self.optima]
        betas = self.config.betas
        grid = ", ".join(f"{beta:g}" for beta in betas) if betas else _DEFAULT_BETAS
        left_out = [f"left out     {', '.join(self.left_out)}"] if self.left_out else []
        return [
            f"evaluation   {self.config.evaluation}, base {self.evaluation.base}",
            f"prompts      {self.prompt_set.suite(self.config.pool)}",
            f"sampling     {self.sampler.signature}",
            f"reward       {self.by}",
            f"divergences  {', '.join(under)}",
            f"betas        {grid}",
            f"images       {self.cost}",
            f"scorers      {', '.join(names)}",
            *left_out,
            f"out          {self.config.out}",
        ]


_DEFAULT_BETAS: Final = (
    "40 from 30 to 0.03 times the standard deviation of the reward within a prompt, known once it is scored"
)


def default_scales(guidance: float) -> tuple[float, ...]:
    """Seven guidance scales from half to three times the evaluation's own, none below 1.

    Example:
        >>> default_scales(2.0)
        (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
    """
    return tuple(sorted({max(1.0, share * guidance) for share in SHARES}))


def plan_frontier(config: FrontierConfig) -> FrontierPlan:
    """Checks everything that can be wrong before anything is loaded.

    Args:
        config: The settings.

    Raises:
        UserError: if the folder holds no finished evaluation, a scorer or its weights are not there, nothing
            can choose the best of n, nothing is asked for, or another run lies where the result goes.
        NotComparableError: if the prompts or a scorer are not those of the evaluation any more.
    """
    evaluation, table = _evaluation(config)
    earlier_attempt(config.out, "frontier")
    prompt_set = load_prompt_set(
        evaluation.prompts, evaluation.limit, evaluation.prompt_column, offline=evaluation.offline
    )
    sampler = sampler_of(evaluation, table)
    scales = default_scales(sampler.guidance) if config.scales is None else config.scales
    scales = () if config.closed_form else scales
    if not scales and not config.best_of:
        raise UserError("neither guidance scales nor best of n are asked for", do="leave one `none` away")
    texts = config.scorers or tuple(text for text in evaluation.scorer_texts if text != PATH_KL)
    scorers = make_scorers(texts, evaluation.weights, evaluation.scorer_precision)
    chooser = _chooser(config, evaluation, scorers) if config.best_of else None
    left_out = [s.name for s in scorers if config.closed_form and not _can_be_weighed(s)]
    scorers = [s for s in scorers if s.name not in left_out]
    require_weights(scorers)
    plan = FrontierPlan(
        config=config,
        evaluation=evaluation,
        table=table,
        prompt_set=prompt_set,
        sampler=sampler,
        scales=tuple(sorted({*scales, sampler.guidance})) if scales else (),
        scorers=tuple(scorers),
        chooser=chooser,
        optima=_optima(config, table) if config.closed_form else (),
        left_out=tuple(left_out),
    )
    columns = [scorer.column() for scorer in scorers]
    difference = difference_from(table, signature_of(plan, sampler, columns), columns)
    if difference:
        raise NotComparableError(
            f"the frontier would not be comparable with {config.evaluation}: {difference}",
            do="evaluate again first: `fbench eval` into another --out",
        )
    return plan


def signature_of(plan: FrontierPlan, sampler: Sampler, columns: Sequence[ScorerColumn]) -> str:
    """The evaluation's signature, with what else the table holds as a part of its own."""
    own = signature_line(plan.prompt_set, plan.images_per_prompt, sampler, columns)
    if plan.optima:
        return signature_of_optima(own, [one.name for one in plan.optima], plan.by, plan.config.pool)
    return signature_of_frontier(own, plan.scales, plan.config.best_of, plan.by)


def _can_be_weighed(scorer: Scorer) -> bool:
    """Whether its mean is known where images weigh unlike: of single images, or over pairs of them."""
    return scorer.unit == "image" or isinstance(scorer, OfPairs)


def _optima(config: FrontierConfig, table: ScoreTable) -> "tuple[Optimum, ...]":
    from benchmark.workflows.frontier.optimum import optima_of

    return optima_of(config.divergence, table.checkpoints)


def _evaluation(config: FrontierConfig) -> tuple[EvalConfig, ScoreTable]:
    folder = config.evaluation
    manifest = read_manifest_of(folder, "eval")
    return EvalConfig.parse(manifest.config, source=str(folder)), read_score_table(folder)


def _chooser(config: FrontierConfig, evaluation: EvalConfig, scorers: list[Scorer]) -> Scorer:
    """The scorer of best of n, or the reward; one that is not among the evaluation's is added to them."""
    by_name = {scorer.name: scorer for scorer in scorers}
    if config.by is None:
        learned = [s for s in scorers if s.axis == "preference" and s.unit == "image" and s.published]
        primary = [s for s in learned if s.name in evaluation.primary_names]
        if not learned:
            what = "as the reward" if config.closed_form else "to choose the best of n by"
            instead = "" if config.closed_form else "; or --best-of none"
            raise UserError(
                f"no learned preference scorer is among {', '.join(by_name)} {what}",
                do=f"name a scorer: --by pickscore{instead}",
            )
        return (primary or learned)[0]
    found = by_name.get(config.by.replace("-", "_"))
    if found is None:
        (found,) = make_scorers((config.by,), evaluation.weights, evaluation.scorer_precision)
        known = by_name.get(found.name)
        if known is None:
            scorers.append(found)
        elif known.identity != found.identity:
            raise UserError(
                f"--by is {config.by}, and the evaluation's {found.name} is {known.scorer_version}",
                do=f"use --by {found.name}",
            )
        found = known or found
    if found.unit != "image":
        images = [s.name for s in scorers if s.unit == "image"]
        raise UserError(
            f"--by is {found.name}, a scorer of unit {found.unit}",
            allowed=", ".join(images) or "of unit image",
        )
    return found

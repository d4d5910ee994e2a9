"""What an evaluation would do: every input is looked at, nothing is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import PromptSet, Sampler
from benchmark.evaluate.config import PATH_KL, EvalConfig
from benchmark.evaluate.result import suite_of
from benchmark.generate import Shard
from benchmark.models import model_facts
from benchmark.prompt_sets import load_prompt_set
from benchmark.scorers import Scorer, make_scorers
from benchmark.scorers._ready import require_weights


@dataclass(frozen=True)
class EvalPlan:
    """A checked evaluation.

    Attributes:
        config: The settings.
        prompt_set: For what.
        sampler: How; the precision is settled when the model is loaded.
        scorers: By what; not loaded.
        shard: The part of the prompts whose images are made.
    """

    config: EvalConfig
    prompt_set: PromptSet
    sampler: Sampler
    scorers: tuple[Scorer, ...]
    shard: Shard

    @property
    def n_images(self) -> int:
        """Images of all checkpoints, those that are there already included."""
        return len(self.config.checkpoint) * len(self.prompt_set) * self.config.images_per_prompt

    def lines(self) -> list[str]:
        """The plan in words, for ``--dry-run``."""
        names = [f"{scorer.name} ({scorer.unit}, {scorer.scorer_version})" for scorer in self.scorers]
        prompts = self.prompt_set
        return [
            f"checkpoints  {', '.join(self.config.checkpoint)} of {self.config.base}",
            f"prompts      {suite_of(prompts, self.config.images_per_prompt)}",
            f"sampling     {self.sampler.signature}",
            f"images       {self.n_images}"
            + (f", shard {self.config.shard} only" if self.config.shard else ""),
            *([f"distance     of {self.sampler.steps} steps with noise"] if self.config.distance else []),
            f"scorers      {', '.join(names) if not self.config.shard else 'none for a shard'}",
            f"out          {self.config.out}",
        ]


def plan(config: EvalConfig) -> EvalPlan:
    """Checks everything that can be wrong before anything is loaded.

    Args:
        config: The settings.

    Raises:
        UserError: for an unknown base model, prompt set, scorer or sampler, a checkpoint or weights that are
            not there, or a shard that does not exist.
    """
    facts = model_facts(config.base)
    sampler = config.sampling(facts.sampler)
    if sampler.name != "ddim":
        raise UnknownNameError("sampler", sampler.name, ["ddim"])
    prompt_set = load_prompt_set(config.prompts, config.limit)
    shard = Shard.parse(config.shard) if config.shard else Shard()
    scorers = (
        ()
        if config.shard
        else tuple(make_scorers(config.scorer_texts, config.weights, config.scorer_precision))
    )
    require_weights(scorers)
    _check_names(scorers, config.primary)
    if not config.distance and any(scorer.name == PATH_KL for scorer in scorers):
        raise UserError(f"scorer {PATH_KL} reads what is measured while images are made", do="add --distance")
    for spec in dict.fromkeys(config.checkpoint):
        _check_checkpoint(spec, config)
    return EvalPlan(config, prompt_set, sampler, scorers, shard)


def _check_names(scorers: Sequence[Scorer], primary: Sequence[str]) -> None:
    names = [scorer.name for scorer in scorers]
    for name in primary if scorers else ():
        if name not in names:
            raise UnknownNameError("primary scorer", name, names)


def _check_checkpoint(spec: str, config: EvalConfig) -> None:
    if config.checkpoint.count(spec) > 1:
        raise UserError(f"checkpoint {spec} is named twice")
    # Only a path that is there needs no further question; names of the hub are the loader's business.
    if spec == "base" or Path(spec).expanduser().exists():
        return
    from benchmark.models.checkpoints import find_checkpoint

    find_checkpoint(spec, offline=config.offline)

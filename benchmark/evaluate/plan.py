"""The plan of an evaluation: every input is looked at, nothing is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.devices import choose_device, require_compiler
from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.manifest import earlier_attempt
from benchmark.core.records import PromptSet, Sampler
from benchmark.evaluate.config import PATH_KL, EvalConfig
from benchmark.generate import Shard
from benchmark.models import ModelFacts, default_sampling, model_facts, whereabouts
from benchmark.models.facts import looks_like_hub_id
from benchmark.prompt_sets import load_prompt_set
from benchmark.scorers import Scorer, make_scorers
from benchmark.scorers.requirements import require_weights


@dataclass(frozen=True)
class EvalPlan:
    """A checked evaluation.

    Attributes:
        config: The settings.
        prompt_set: For what.
        sampler: How; the precision is settled when the model is loaded.
        scorers: By what; not loaded.
        shard: The part of the prompts whose images are made.
        sources: Where the base model and published checkpoints lie, or what would be fetched.
    """

    config: EvalConfig
    prompt_set: PromptSet
    sampler: Sampler
    scorers: tuple[Scorer, ...]
    shard: Shard
    sources: tuple[str, ...] = ()

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
            *(f"weights      {source}" for source in self.sources),
            f"prompts      {prompts.suite(self.config.images_per_prompt)}",
            f"sampling     {self.sampler.signature}",
            f"images       {self.n_images}"
            + (f", shard {self.config.shard} only" if self.config.shard else ""),
            *([f"distance     of {self.sampler.steps} steps with noise"] if self.config.distance else []),
            f"scorers      {', '.join(names) if not self.config.shard else 'none for a shard'}",
            f"out          {self.config.out}",
        ]


def plan(config: EvalConfig, kind: str = "eval", *, elsewhere: bool = False) -> EvalPlan:
    """Checks everything that can be wrong before anything is loaded, what was typed before what is fetched.

    Args:
        config: The settings.
        kind: The program whose folder this is.
        elsewhere: Whether other processes compute, whose machines may have another device than this one.

    Raises:
        UserError: for an unknown base model, prompt set, scorer or sampler, a checkpoint or weights that are
            not there, a device that is not there, a shard that does not exist, or a folder that holds the run
            of another program.
    """
    earlier_attempt(config.out, kind)
    if config.device != "auto" and not elsewhere:
        choose_device(config.device)
    if config.compile and not elsewhere:
        require_compiler(choose_device(config.device))
    facts = model_facts(config.base)
    checkpoints = [
        source for spec in dict.fromkeys(config.checkpoint) for source in _checkpoint_source(spec, config)
    ]
    prompt_set = load_prompt_set(config.prompts, config.limit, config.prompt_column, offline=config.offline)
    shard = Shard.parse(config.shard) if config.shard else Shard()
    scorers = (
        ()
        if config.shard
        else tuple(make_scorers(config.scorer_texts, config.weights, config.scorer_precision))
    )
    check_names(scorers, config.primary)
    if not config.distance and any(scorer.name == PATH_KL for scorer in scorers):
        raise UserError(f"scorer {PATH_KL} reads what is measured while images are made", do="add --distance")
    sources = (whereabouts(facts, offline=config.offline), *checkpoints)
    sampler = config.sampling(default_sampling(facts))
    if sampler.name not in facts.samplers:
        raise UnknownNameError("sampler", sampler.name, facts.samplers)
    require_weights(scorers)
    return EvalPlan(config, prompt_set, sampler, scorers, shard, sources)


def check_names(scorers: Sequence[Scorer], primary: Sequence[str]) -> None:
    """Refuses primary scorers that are not among those asked for.

    Raises:
        UnknownNameError: for the first such name.
    """
    names = [scorer.name for scorer in scorers]
    for name in primary if scorers else ():
        if name not in names:
            raise UnknownNameError("primary scorer", name, names)


def _checkpoint_source(spec: str, config: EvalConfig) -> list[str]:
    """Where a published checkpoint lies or would be fetched from; nothing for others, once they are found."""
    if config.checkpoint.count(spec) > 1:
        raise UserError(f"checkpoint {spec} is named twice")
    path = Path(spec).expanduser()
    if spec == "base" or path.exists():
        return []
    if looks_like_hub_id(spec) and not path.parent.exists():
        return [whereabouts(ModelFacts(name=spec, hub_id=spec), offline=config.offline)]
    from benchmark.models.checkpoints import find_checkpoint

    find_checkpoint(spec, offline=config.offline)
    return []

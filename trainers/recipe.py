"""From settings to the objective they mean, with every choice resolved."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmark.core.calls import parse_call
from benchmark.core.errors import ConfigError
from benchmark.core.records import Hyperparameter
from benchmark.models import model_facts
from benchmark.models.facts import not_of_a_flow
from trainers.clip_source import clip_source, has_own_clip
from trainers.config import TRAIN_SETTINGS, TrainConfig
from trainers.divergences import Divergence, divergences
from trainers.log_ratio import log_ratio_scale
from trainers.objectives import Objective, objectives, slope_matched_beta

_STATED = ("method", "hyperparameter")
_INPUTS = ("clip", "trajectories", "objective", "divergence")
"""Roles of inputs that decide the weights and that no other field of a checkpoint's record tells apart."""


@dataclass(frozen=True)
class BatchPlan:
    """What determines the batches of a run; policies with equal plans share them.

    Attributes:
        seed: Of the run.
        batch_size: Pairs a step, over all processes.
        draws: Independent (t, noise) for each pair of a batch.
        share_t: One timestep for each `pair`, or for the whole `batch`.
        prompt_dropout: Share of captions replaced by the empty one.
        micro_batches: Parts that a process's share of a batch goes through the networks in.
        flip: Whether half of the pairs, both images of each, are seen in the mirror.
        t_density: From which density times are drawn, as set; None for that of the base model's family.
        error_of: Of what the log-ratio compares errors.
    """

    seed: int
    batch_size: int
    draws: int = 1
    share_t: Literal["batch", "pair"] = "pair"
    prompt_dropout: float = 0.0
    micro_batches: int = 1
    flip: bool = False
    t_density: str | None = None
    error_of: Literal["prediction", "noise", "image"] = "prediction"


@dataclass(frozen=True, eq=False)
class Recipe:
    """What a policy is trained with.

    Attributes:
        objective: What a step minimises.
        divergence: The divergence in it; None where it has none.
        beta: The weight in effect, after slope matching; None where the objective has none.
        scale_setting: As set; None where no reference is used.
        plan: What determines the batches.
        estimator: Of the log-ratio.
    """

    objective: Objective
    divergence: Divergence | None
    beta: float | None
    scale_setting: float | str | None
    plan: BatchPlan
    estimator: str = "denoising"

    def scale(self, latent_shape: tuple[int, int, int]) -> float | None:
        """kappa, from prediction errors to nats."""
        setting = self.scale_setting
        if setting is None:
            return None
        if isinstance(setting, str):
            # The ratio of a step's Gaussians is in nats already.
            return 1.0 if self.estimator == "transition" else log_ratio_scale("auto", latent_shape)
        return log_ratio_scale(setting, latent_shape)


def make_recipe(config: TrainConfig) -> Recipe:
    """Makes objective and divergence, and refuses settings that would do nothing.

    Raises:
        UserError: for unknown names, arguments that do not fit, a beta or scale that must be stated.
    """
    call = parse_call(config.objective, "objective")
    takes = inspect.signature(objectives.get(call.name)).parameters
    # The recipe says what a run was trained with, so it must be the one place where they stand.
    settings = [name for name in ("divergence", "beta") if name in takes]
    if settings and (call.positional or any(name in call.keywords for name in settings)):
        own = ", ".join(name for name in takes if name not in settings)
        raise ConfigError(
            f"cannot take objective {config.objective}: {' and '.join(settings)} are settings of their own",
            allowed=f"in the brackets, by name: {own or 'nothing'}",
        )
    divergence, beta, effective = None, None, None
    if "divergence" in takes or not config.divergence:
        make = divergences.make if config.unchecked else divergences.create
        divergence = make(config.divergence or "reverse_kl") if "divergence" in takes else None
    else:
        raise ConfigError(
            f"divergence is {config.divergence}, and {config.objective} has none", do="leave it out"
        )
    if "beta" in takes:
        beta = _stated(config, "beta", config.beta, _default_beta(takes["beta"]))
    elif config.beta is not None:
        raise ConfigError(f"beta is {config.beta:g}, and {config.objective} has none", do="leave it out")
    if config.slope_matched and divergence is None:
        raise ConfigError(
            f"slope_matched is set, and {config.objective} takes no divergence", do="leave it out"
        )
    arguments: dict[str, Any] = {}
    if divergence is not None:
        arguments["divergence"] = divergence
    if beta is not None:
        effective = slope_matched_beta(beta, divergence) if config.slope_matched and divergence else beta
        arguments["beta"] = effective
    objective = objectives.create(config.objective, **arguments)
    scale = None
    if objective.uses_reference:
        scale = _stated(config, "log_ratio_scale", config.log_ratio_scale, "auto")
    elif (
        config.log_ratio_scale is not None
        or config.log_ratio_centre != "none"
        or config.estimator != "denoising"
        or config.error_of != "prediction"
    ):
        raise ConfigError(
            f"a log-ratio is set up, and {config.objective} uses no reference",
            do="leave log_ratio_*, error_of and estimator out",
        )
    _refuse_changed_walks(config)
    _refuse_flow_settings(config)
    share_t = config.share_t or ("batch" if objective.couples_batch else "pair")
    plan = BatchPlan(
        config.seed,
        config.batch_size,
        config.draws,
        share_t,
        config.prompt_dropout,
        config.micro_batches,
        config.flip,
        config.t_density,
        config.error_of,
    )
    found = getattr(objective, "divergence", divergence)
    return Recipe(objective, found, effective, scale, plan, config.estimator)


def hyperparameters(
    config: TrainConfig, recipe: Recipe, latent_shape: tuple[int, int, int], inputs: Mapping[str, str]
) -> dict[str, Hyperparameter]:
    """The settings that a checkpoint states, as plain values and with every choice resolved.

    Args:
        config: Of the run.
        recipe: What its settings mean.
        latent_shape: Of the base model.
        inputs: The hashes of what the run reads, by role; see `trainers.identity`. One that decides the
            weights and is no field of the record is stated as well: `clip_sha256`.
    """
    resolved: dict[str, Hyperparameter] = {
        "beta": config.beta if config.beta is not None else recipe.beta,
        "effective_beta": recipe.beta,
        "log_ratio_scale": recipe.scale(latent_shape),
        "log_ratio_scale_setting": None if recipe.scale_setting is None else str(recipe.scale_setting),
        "share_t": recipe.plan.share_t,
    }
    stated = (name for name, setting in TRAIN_SETTINGS.items() if setting.record in _STATED)
    resolved |= {name: getattr(config, name) for name in stated if name not in resolved}
    if "clip" in inputs:
        resolved["clip"] = clip_source(config.base, config.clip).folder.name
    return resolved | {f"{role}_sha256": inputs[role] for role in _INPUTS if role in inputs}


def method_settings(base: str) -> dict[str, Hyperparameter]:
    """The hyperparameters in which runs of one method agree, with what a record without one stands for.

    Args:
        base: The base model as it is named, whose own CLIP is the usual one.
    """
    found: dict[str, Hyperparameter] = {
        name: TrainConfig.model_fields[name].default
        for name, setting in TRAIN_SETTINGS.items()
        if setting.record == "method"
    }
    usual = clip_source(base).sha256() if has_own_clip(base) else None
    return found | dict.fromkeys(f"{role}_sha256" for role in _INPUTS) | {"clip_sha256": usual}


def _refuse_changed_walks(config: TrainConfig) -> None:
    """Steps of a trajectory are what they are: their captions and latents cannot be varied."""
    varied = [name for name in ("prompt_dropout", "flip", "t_density") if getattr(config, name, None)]
    varied += ["error_of"] if config.error_of != "prediction" else []
    if config.estimator == "transition" and varied:
        raise ConfigError(
            f"{varied[0]} is set, and the estimator transition learns from steps as they were taken",
            do="leave it out",
        )


def _refuse_flow_settings(config: TrainConfig) -> None:
    """Where the family is known before anything is loaded; else its pipeline refuses them."""
    family = model_facts(config.base).family
    if family is None or family.flow:
        return
    if config.t_density is not None:
        raise not_of_a_flow(config.base, f"t_density is {config.t_density}")
    if config.error_of != "prediction":
        raise not_of_a_flow(config.base, f"error_of is {config.error_of}")


def _default_beta(parameter: inspect.Parameter) -> float:
    """What the objective's own paper uses, where it says so."""
    return 1.0 if parameter.default is inspect.Parameter.empty else float(parameter.default)


def _stated(config: TrainConfig, name: str, value: Any, default: Any) -> Any:
    if value is None and model_facts(config.base).embedded:
        raise ConfigError(
            f"{name} is not stated, and with --base {config.base} it always is",
            do=f"add {name}, or use a preset",
        )
    return default if value is None else value

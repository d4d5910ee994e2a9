"""What `fbench train --dry-run` says: a run checked as far as that needs no computing, and told in lines."""

from benchmark.core.devices import choose_device
from benchmark.core.words import number_of
from benchmark.models import model_facts, whereabouts
from trainers import refusals
from trainers.config import TrainConfig
from trainers.train import ask, read_data


def plan(config: TrainConfig) -> list[str]:
    """What `train` would do, in lines; everything is checked, nothing is written or computed."""
    (asked,) = ask([config], fetch=False)
    data, recipe = read_data([asked]), asked.recipe
    facts = model_facts(config.base)
    source = whereabouts(facts, offline=config.offline)
    scale = recipe.scale(facts.latent_shape) if facts.latent_size else None
    weights = (
        "all weights"
        if config.lora_rank == "full"
        else f"LoRA of rank {config.lora_rank} ({config.lora_targets})"
    )
    what = config.objective + (f" under {recipe.divergence!r}" if recipe.divergence else "")
    what += f", beta {recipe.beta:g}" if recipe.beta is not None else ""
    if config.slope_matched:
        what += f" ({config.beta:g} slope-matched)" if config.beta is not None else " (slope-matched)"
    if scale is not None:
        auto = f" ({recipe.scale_setting})" if isinstance(recipe.scale_setting, str) else ""
        what += f", log-ratio scale {scale:g}{auto}"
    epochs = config.steps * config.batch_size / len(data.train)
    watched, bad = len(data.held_out), len(data.bad)
    size = f"{number_of(len(data.train), 'pair')}, {watched} held out, {number_of(data.ties, 'tie')}"
    batch = f"{number_of(config.batch_size, 'pair')} x {number_of(config.draws, 'draw')}"
    draws = f"{watched} x {number_of(config.held_out_draws, 'held-out draw')}"
    return [
        f"train      {weights} of {facts.name} with {what}",
        f"weights    {source}",
        f"data       {data.name}: {size}, {bad} bad",
        *(f"           {remark}" for remark in refusals.toy_pairs(config)),
        f"steps      {config.steps} of {batch}: {_rounded(epochs)} epochs",
        f"timestep   one for each {recipe.plan.share_t}",
        f"rate       {config.lr:g}, {config.lr_schedule} after {config.rising} steps",
        f"checkpoint every {number_of(config.saves, 'step')}, loss on {draws}",
        f"device     {choose_device(config.device)}, precision {config.precision}, seed {config.seed}",
        f"folder     {config.out}" + (" (exists, goes on)" if (config.out / "resume.pt").is_file() else ""),
    ]


def _rounded(count: float) -> str:
    """Two digits, or all of a large number's whole ones."""
    return f"{count:.2g}" if count < 100 else f"{count:,.0f}"

"""``fbench train``."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json, say_next, say_plan

app = typer.Typer(add_completion=False, rich_markup_mode="rich")

_WHAT, _HOW, _RUN = "What is learned", "How", "The run"


@app.command("train")
def train(
    context: typer.Context,
    preset: Annotated[
        str | None, typer.Option(help="A recipe of `fbench list presets`.", rich_help_panel=_WHAT)
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            help="Base model: shapes, sd15, sdxl, a diffusers folder or a hub id. (default shapes)",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Preferences: a name, Pick-a-Pic-style parquet, a JSONL listing, a folder of either, or "
            "a hub id owner/name[:split]. (default shapes-prefs)",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    data_limit: Annotated[
        int | None,
        typer.Option(help="Learn from the first so many pairs at most.", rich_help_panel=_WHAT),
    ] = None,
    ties: Annotated[
        str | None,
        typer.Option(
            metavar="drop|half",
            help="Leave ties out, or learn from both orders with half the weight. (default drop)",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="Of `fbench list objectives`, such as f_dpo or rpo(tau=0.3).", rich_help_panel=_WHAT
        ),
    ] = None,
    divergence: Annotated[
        str | None,
        typer.Option(
            help="Of `fbench list divergences`: NAME, NAME(a=0.5), mine.py:Name or expr: f. "
            "(default reverse_kl)",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(help="Weight of the divergence; always stated for shapes.", rich_help_panel=_WHAT),
    ] = None,
    log_ratio_scale: Annotated[
        str | None,
        typer.Option(
            metavar="X|auto",
            help="From prediction errors to nats; always stated for shapes.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    slope_matched: Annotated[
        bool | None,
        typer.Option(
            "--slope-matched/--no-slope-matched",
            help="Divide beta by f''(1), so that all divergences start alike.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    share_t: Annotated[
        str | None,
        typer.Option(metavar="pair|batch", help="Who shares a timestep.", rich_help_panel=_WHAT),
    ] = None,
    lora_rank: Annotated[
        str | None,
        typer.Option(
            metavar="N|full", help="Rank of the adapter, or all weights. (default 16)", rich_help_panel=_HOW
        ),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip",
            help="See half of the pairs of a batch in the mirror. (default no)",
            rich_help_panel=_HOW,
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Optimiser steps. (default 200)", rich_help_panel=_HOW)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Pairs a step. (default 64)", rich_help_panel=_HOW)
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate. (default 1e-4)", rich_help_panel=_HOW)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of data order, timesteps, noise and adapter. (default 0)", rich_help_panel=_HOW),
    ] = None,
    save_every: Annotated[
        int | None,
        typer.Option(help="Steps between checkpoints. (default a tenth of the steps)", rich_help_panel=_RUN),
    ] = None,
    cache_latents: Annotated[
        bool | None,
        typer.Option(
            "--cache-latents/--no-cache-latents",
            help="Encode images and captions once, or at every step. (default once)",
            rich_help_panel=_RUN,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run's folder. (default runs/PRESET or runs/train)", rich_help_panel=_RUN),
    ] = None,
    set_: options.Set = None,
    config: options.Config = None,
    device: options.Device = None,
    precision: options.Precision = None,
    offline: options.Offline = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Fine-tunes a base model on preferences.

    The same command again resumes a run that was broken off, and reuses one that is finished. Every
    setting, also those without a flag, may be --set or stand in --config FILE. Several devices:
    `accelerate launch`.

    Examples:
      fbench train --preset shapes-f-dpo-jensen-shannon --out runs/js
      fbench train --preset shapes-f-dpo-reverse-kl --divergence "alpha(a=0.5)" --seed 1 --out runs/alpha
      fbench train --base sd15 --data pairs.parquet --objective f_dpo --divergence forward_kl --out runs/fkl
      fbench train --preset shapes-rpo --dry-run
    """
    from trainers.config import TrainConfig

    flags = options.settings_of(context, out=f"runs/{preset or 'train'}")
    settings = TrainConfig.resolve(config, flags)
    options.forbid_network(offline=settings.offline)
    from trainers import train as trainer

    if dry_run:
        say_plan(trainer.plan(settings).splitlines(), as_json=as_json)
        return
    options.use_free_threads()
    result = trainer.train(settings)
    if as_json:
        say_json(result)
        return
    say(f"{'was there' if result.reused else 'trained'}: {result.checkpoint.id} in {result.folder}")
    if result.held_out_loss is not None and result.held_out_loss_at_reference is not None:
        say(f"held-out loss {result.held_out_loss_at_reference:.4f} -> {result.held_out_loss:.4f}")
    if result.diverged:
        say("diverged (see metrics.jsonl): a larger beta or a smaller learning rate may help")
    say_next(
        "fbench", "eval", "--base", settings.base, "--checkpoint", "base", "--checkpoint", result.folder
    )  # fmt: skip

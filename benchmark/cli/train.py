"""``fbench train``."""

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json, say_next, say_plan

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("train", cls=options.command_of("trainers.config:TrainConfig"))
def train(
    context: typer.Context,
    set_: options.Set = None,
    config: options.Config = None,
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

    preset = context.params["preset"]
    flags = options.settings_of(context, out=f"runs/{preset or 'train'}")
    settings = TrainConfig.resolve(config, flags)
    options.forbid_network(offline=settings.offline)
    if dry_run:
        from trainers.plan import plan

        say_plan(plan(settings), as_json=as_json)
        return
    options.use_free_threads()
    from trainers import train as trainer

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

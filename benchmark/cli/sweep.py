"""``fbench sweep``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import cluster as ray_options
from benchmark.cli import options
from benchmark.cli.output import say_json, say_next, say_plan, say_table
from benchmark.core.config import load_config_file, parse_settings
from benchmark.core.errors import ConfigError, UserError
from benchmark.core.words import number_of

if TYPE_CHECKING:
    from benchmark.workflows.sweep import Sweep, SweepResult
    from trainers.checkpoints import RunResult

app = typer.Typer(add_completion=False, rich_markup_mode="rich")

_AXES, _COMMON, _RUN = "What varies: give an option several times", "What all have in common", "The runs"
_AXIS_NAMES = ("objective", "divergence", "beta", "lr", "seed")
_OWN_OPTIONS = frozenset({"workers", "at_once", *ray_options.OPTIONS})


@app.command("sweep", cls=ray_options.ClusterCommand)
def sweep(
    context: typer.Context,
    objective: Annotated[
        list[str] | None, typer.Option(help="As in `fbench train`; once for each.", rich_help_panel=_AXES)
    ] = None,
    divergence: Annotated[
        list[str] | None,
        typer.Option(
            help="As in `fbench train`, once for each; objectives that take none get one run.",
            rich_help_panel=_AXES,
        ),
    ] = None,
    beta: Annotated[
        list[float] | None,
        typer.Option(help="Weight of the divergence; once for each.", rich_help_panel=_AXES),
    ] = None,
    lr: Annotated[
        list[float] | None, typer.Option(help="Learning rate; once for each.", rich_help_panel=_AXES)
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            help="Training seed, once for each; runs of one seed see the same batches.", rich_help_panel=_AXES
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="A recipe of `fbench list presets`.", rich_help_panel=_COMMON)
    ] = None,
    base: Annotated[str | None, typer.Option(help="Base model.", rich_help_panel=_COMMON)] = None,
    data: Annotated[str | None, typer.Option(help="Preference data.", rich_help_panel=_COMMON)] = None,
    lora_rank: Annotated[
        str | None,
        typer.Option(metavar="N|full", help="Rank of the adapters, or all weights.", rich_help_panel=_COMMON),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.", rich_help_panel=_COMMON)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs a step.", rich_help_panel=_COMMON)] = None,
    set_: options.Set = None,
    config: options.Config = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes; on a few cores each of one thread. (default 1; on a cluster all that fit)",
            rich_help_panel=_RUN,
        ),
    ] = None,
    at_once: Annotated[
        int, typer.Option(help="Policies that one process trains together.", rich_help_panel=_RUN)
    ] = 8,
    ray: ray_options.Ray = None,
    cpus_per_worker: ray_options.Cpus = 1,
    gpus_per_worker: ray_options.Gpus = None,
    retries: ray_options.Retries = 3,
    patience: ray_options.Patience = math.inf,
    scratch: ray_options.Scratch = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for each run is made in it. (default runs/sweep)")
    ] = None,
    device: options.Device = None,
    precision: options.Precision = None,
    offline: options.Offline = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Trains many policies on the same batches, sharing the reference's passes, latents and embeddings.

    Every combination of what varies is one run, with a manifest of its own. The same command again goes on
    where each run is; one that fails leaves the others alone.

    Examples:
      fbench sweep --preset shapes-f-dpo-reverse-kl --divergence reverse_kl --divergence jensen_shannon
      fbench sweep --preset shapes-f-dpo-reverse-kl --beta 0.1 --beta 1 --seed 0 --seed 1 --workers 2
      fbench sweep --preset shapes-f-dpo-reverse-kl --objective sft --objective rpo --dry-run
      fbench sweep --preset f-dpo-sd15-reverse-kl --seed 0 --seed 1 --ray --gpus-per-worker 1
    """
    from benchmark.workflows.sweep import Axes, Sweep
    from benchmark.workflows.sweep import sweep as run

    options.forbid_network(offline=offline)
    cluster = ray_options.cluster_of(
        context,
        address=ray,
        workers=workers,
        cpus=cpus_per_worker,
        gpus=gpus_per_worker,
        retries=retries,
        patience=patience,
        scratch=scratch,
    )
    given = options.settings_of(context, out="runs/sweep")
    folder = Path(str(given.pop("out")))
    common = parse_settings(set_ or ())
    for name in _OWN_OPTIONS & common.keys():
        raise ConfigError(
            f"--set {name}= is no setting of a run", do=f"give it as --{name.replace('_', '-')} N"
        )
    axes = Axes(
        **{name: tuple(given[name]) for name in _AXIS_NAMES if given.get(name) and name not in common}
    )
    own = {*_OWN_OPTIONS, *_AXIS_NAMES} - common.keys()
    settings = {name: value for name, value in given.items() if name not in own}
    if config is not None:
        settings = {**load_config_file(config), **settings}
    what = Sweep(settings, axes, folder, 1 if workers is None else workers, at_once)
    if dry_run:
        say_plan(_plan(what, elsewhere=cluster is not None), as_json=as_json)
        return
    if cluster is not None:
        from benchmark.workflows.sweep_on_cluster import sweep_on_cluster

        result = sweep_on_cluster(what, cluster)
    else:
        options.use_free_threads()
        result = run(what)
    _tell(result, what.members()[0].base, as_json=as_json)


def _plan(what: "Sweep", *, elsewhere: bool) -> list[str]:
    from trainers.train import check

    members = what.members()
    check(members, fetch=False, elsewhere=elsewhere)
    return [f"{number_of(len(members), 'run')} in {what.out}, {what.workers} at a time:"] + [
        f"{run.out.name}: {run.objective} {run.divergence or ''}, {number_of(run.steps, 'step')} of "
        f"{number_of(run.batch_size, 'pair')}"
        for run in members
    ]


def _tell(result: "SweepResult", base: str, *, as_json: bool) -> None:
    """The runs in a table; those that failed end the command with exit code 2.

    Args:
        result: What was trained.
        base: The base model, as it was named.
        as_json: Print JSON instead.

    Raises:
        UserError: if a run failed.
    """
    if as_json:
        say_json(result)
    else:
        say_table([["run", "held-out loss", "marked", "checkpoint"], *map(_row, result.finished)])
        specs = [word for run in result.finished for word in ("--checkpoint", run.folder)]
        if specs:
            say_next("fbench", "eval", "--base", base, "--checkpoint", "base", *specs)
    if result.failed:
        first = result.failed[0]
        raise UserError(
            f"{len(result.failed)} of {len(result.failed) + len(result.finished)} runs failed; the first: "
            f"{first.error}",
            do="the others are finished",
        )


def _row(run: "RunResult") -> list[str]:
    loss = "" if run.held_out_loss is None else f"{run.held_out_loss:.4f}"
    return [run.folder.name, loss, "diverged" if run.diverged else "", run.checkpoint.id]

"""``fbench eval``."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say_evaluation, say_plan

app = typer.Typer(add_completion=False, rich_markup_mode="rich")

_WHAT, _IMAGES, _RUN = "What is compared", "How the images are made", "The run"


@app.command("eval")
def evaluate(
    context: typer.Context,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            help="`base`, a run folder, RUN@STEP, a diffusers folder, a LoRA file or a hub id; "
            "once for each. (default base)",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="The base model they were trained from. (default shapes)", rich_help_panel=_WHAT),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            help="Of `fbench list prompts`, or a file: .txt, .csv, .tsv, .json(l), .parquet. "
            "(default shapes-core)",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    prompt_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of a file of prompts, where the texts stand. (default text, prompt, caption or prompts)",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    scorers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Of `fbench list scorers`. (default all for the base)",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    primary: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...", help="Declared before looking; the rest is exploratory.", rich_help_panel=_WHAT
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Id that differences are against. (default the base model)", rich_help_panel=_WHAT),
    ] = None,
    images_per_prompt: Annotated[
        int | None, typer.Option(help="K. (default 4)", rich_help_panel=_IMAGES)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The evaluation's. (default 0)", rich_help_panel=_IMAGES)
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="(default the base model's, as below)", rich_help_panel=_IMAGES)
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps.", rich_help_panel=_IMAGES)] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Scale of classifier-free guidance.", rich_help_panel=_IMAGES)
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images a forward pass.", rich_help_panel=_IMAGES)
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="per_image|shared", help="shared is for older protocols.", rich_help_panel=_IMAGES
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Only the first so many prompts.", rich_help_panel=_RUN)
    ] = None,
    distance: Annotated[
        bool | None,
        typer.Option(
            "--distance/--no-distance",
            help="Measure how far the sampling paths are from the base model's: the scorer path_kl.",
            rich_help_panel=_IMAGES,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="i/n", help="Make this part of the images and score nothing.", rich_help_panel=_RUN
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The evaluation's folder. (default runs/eval)", rich_help_panel=_RUN),
    ] = None,
    weights_folder: options.WeightsFolder = None,
    config: options.Config = None,
    device: options.Device = None,
    scorer_precision: options.ScorerPrecision = None,
    precision: options.Precision = None,
    offline: options.Offline = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Generates images of checkpoints, scores them and ranks them.

    Every image has its own seed, equal across checkpoints, so all comparisons are paired. The same
    command again resumes; changed settings never reuse old images or scores.

    Examples:
      fbench eval --checkpoint base --checkpoint runs/js --out runs/eval
      fbench eval --checkpoint base --checkpoint runs/js@100 --limit 32 --scorers true_reward,oracle
      fbench eval --base sd15 --checkpoint my_lora.safetensors --prompts my.txt --scorers hps,pickscore
      fbench eval --checkpoint base --checkpoint runs/js --distance
      fbench eval --checkpoint base --shard 1/4 --out runs/eval
    """
    from benchmark.evaluate import EvalConfig, plan
    from benchmark.evaluate import evaluate as run

    options.use_weights_folder(weights_folder)
    settings = EvalConfig.resolve(config, options.settings_of(context, out="runs/eval"))
    options.forbid_network(offline=settings.offline)
    if dry_run:
        say_plan(plan(settings).lines(), as_json=as_json)
        return
    options.use_free_threads()
    say_evaluation(run(settings), as_json=as_json)

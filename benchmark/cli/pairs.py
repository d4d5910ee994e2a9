"""``fbench pairs``."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json, say_next, say_plan

app = typer.Typer(add_completion=False, rich_markup_mode="rich")

_WHAT, _LABELS, _IMAGES = "Whose images", "Who labels", "How the images are made"


@app.command("pairs")
def pairs(
    context: typer.Context,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="`base`, a run folder, RUN@STEP, a diffusers folder, a LoRA file, a hub id. (default base)",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="The base model it was trained from. (default shapes)", rich_help_panel=_WHAT),
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
    limit: Annotated[
        int | None, typer.Option(help="Only the first so many prompts.", rich_help_panel=_WHAT)
    ] = None,
    images_per_prompt: Annotated[
        int | None, typer.Option(help="K. (default 4)", rich_help_panel=_WHAT)
    ] = None,
    scorers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Label by these: one by its score, several by their mean rank.",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Label by a .jsonl or .csv of {prompt_id, seed, score} or {prompt_id, preferred, rejected}.",
            rich_help_panel=_LABELS,
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="Scores that differ by no more are a tie. (default 0)", rich_help_panel=_LABELS),
    ] = None,
    pairs_per_prompt: Annotated[
        int | None,
        typer.Option(help="At most so many, best against worst first. (default 1)", rich_help_panel=_LABELS),
    ] = None,
    held_out_share: Annotated[
        float | None,
        typer.Option(help="Share of the prompts that is held out. (default 0.1)", rich_help_panel=_LABELS),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of images, and of the order in a pair. (default 0)", rich_help_panel=_IMAGES),
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
    trajectories: Annotated[
        bool,
        typer.Option(
            "--trajectories",
            help="Also keep the steps of the images in pairs, for the estimator transition; eta is 1 then.",
            rich_help_panel=_IMAGES,
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Where all goes. (default runs/pairs)")] = None,
    config: options.Config = None,
    device: options.Device = None,
    precision: options.Precision = None,
    offline: options.Offline = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Makes preference data of a checkpoint's own images.

    Samples K images a prompt, has them labelled by scorers or by a file, and writes pairs in Pick-a-Pic's
    columns to OUT/pairs, which `fbench train --data OUT/pairs` reads. Without labels only the images are
    made and listed in OUT/images.jsonl. The same command again goes on from what is finished.

    Examples:
      fbench pairs --checkpoint runs/js --scorers true_reward --out runs/on-policy
      fbench pairs --base sd15 --prompts my.txt --scorers hps,pickscore --images-per-prompt 8 --out my-pairs
      fbench pairs --scorers true_reward --trajectories --out runs/walks
      fbench pairs --base sd15 --prompts my.txt --labels people.csv --out my-pairs
    """
    options.forbid_network(offline=offline)
    from benchmark.workflows.pairs import PairsConfig, make_pairs, plan_pairs

    settings = PairsConfig.resolve(config, options.settings_of(context, out="runs/pairs"))
    if dry_run:
        say_plan(plan_pairs(settings), as_json=as_json)
        return
    options.use_free_threads()
    result = make_pairs(settings)
    if as_json:
        say_json(result)
        return
    if not result.labelled_by:
        say(f"{result.images} images of {result.checkpoint} are listed in {settings.out / 'images.jsonl'}")
        say("next: label them, and give the same command --labels FILE, or --scorers")
        return
    say(
        f"{'were there' if result.reused else 'made'}: {result.pairs} pairs and {result.held_out} held-out "
        f"ones, {result.ties} of them ties, of {result.images} images labelled by {result.labelled_by}"
    )
    say_next("fbench", "train", "--base", settings.base, "--data", result.folder)

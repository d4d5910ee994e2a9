"""``fbench score``."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say_evaluation, say_plan

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("score")
def score(
    context: typer.Context,
    path: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="A JSONL of {prompt, image_path, id, prompt_id, seed}, or a folder of images with texts; "
            "one for each model.",
        ),
    ],
    name: Annotated[
        list[str] | None,
        typer.Option(help="What a model is called; once for each PATH. (default as its file or folder)"),
    ] = None,
    scorers: Annotated[str | None, typer.Option(metavar="A,B,...", help="Of `fbench list scorers`.")] = None,
    layout: Annotated[
        str | None,
        typer.Option(metavar="jsonl|folder|hps|geneval", help="What PATH is. (default what each looks like)"),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|FILE",
            help="For hps: the folder of anime.json and so on, or a file of {style: texts}. "
            "(default the images' own folder)",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="embedded|published", help="For scorers that name none. (default published)"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The result's folder. (default runs/score)")] = None,
    weights_folder: options.WeightsFolder = None,
    config: options.Config = None,
    device: options.Device = None,
    scorer_precision: options.ScorerPrecision = None,
    offline: options.Offline = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Scores images that were made elsewhere: one set, or several models' of the same prompts side by side.

    In a folder the texts stand in metadata.jsonl ({file_name, text}), or beside each image in a .txt of its
    name. Folders as HPS v2 (anime/00000.jpg) and geneval (00000/samples/0000.png) have them are known as
    well. Rows of equal text are images of one prompt, unless prompt_id says otherwise; a seed is a label.

    Examples:
      fbench score images.jsonl --scorers hps,pickscore --out runs/score
      fbench score sdxl-1.0 mine/images --name sdxl --name mine --scorers hps --out runs/both
      fbench score my_folder --scorers clip --weights embedded --json
      fbench score my_folder --scorers hps,pickscore --dry-run
      fbench score hps_images --prompts HPDv2/benchmark --scorers hps
    """
    from benchmark.evaluate import ScoreConfig, plan_score, score_folder

    options.forbid_network(offline=offline)
    options.use_weights_folder(weights_folder)
    settings = ScoreConfig.resolve(
        config, {k: v for k, v in options.settings_of(context, out="runs/score").items() if k != "offline"}
    )
    if dry_run:
        say_plan(plan_score(settings).lines(), as_json=as_json)
        return
    options.use_free_threads()
    say_evaluation(score_folder(settings), as_json=as_json)

"""``fbench score``."""

import typer

from benchmark.cli import options
from benchmark.cli.output import say_evaluation, say_plan

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("score", cls=options.command_of("benchmark.evaluate.config:ScoreConfig"))
def score(
    context: typer.Context,
    weights_folder: options.WeightsFolder = None,
    config: options.Config = None,
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
    from benchmark.evaluate.config import ScoreConfig
    from benchmark.evaluate.score_folder import plan_score, score_folder

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

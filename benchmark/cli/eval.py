"""``fbench eval``."""

import typer

from benchmark.cli import options
from benchmark.cli.output import say_evaluation, say_plan

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("eval", cls=options.command_of("benchmark.evaluate.config:EvalConfig"))
def evaluate(
    context: typer.Context,
    weights_folder: options.WeightsFolder = None,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Generates images of checkpoints, scores them and ranks them.

    Every image has its own seed, equal across checkpoints, so all comparisons are paired. The same
    command again resumes; changed settings never reuse old images or scores.

    Examples:
      fbench eval --checkpoint base --checkpoint runs/js --out runs/eval
      fbench eval --checkpoint base --checkpoint runs/js@100 --limit 32 --scorers true_taste,oracle
      fbench eval --base sd15 --checkpoint my_lora.safetensors --prompts my.txt --scorers hps,pickscore
      fbench eval --checkpoint base --checkpoint runs/js --distance
      fbench eval --checkpoint base --shard 1/4 --out runs/eval
    """
    from benchmark.evaluate.config import EvalConfig
    from benchmark.evaluate.plan import plan
    from benchmark.evaluate.run import evaluate as run

    options.use_weights_folder(weights_folder)
    settings = EvalConfig.resolve(config, options.settings_of(context, out="runs/eval"))
    options.forbid_network(offline=settings.offline)
    if dry_run:
        say_plan(plan(settings).lines(), as_json=as_json)
        return
    options.use_free_threads()
    say_evaluation(run(settings), as_json=as_json)

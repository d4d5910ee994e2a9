"""``fbench pairs``."""

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json, say_next, say_plan
from benchmark.core.words import number_of

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("pairs", cls=options.command_of("benchmark.workflows.pairs.config:PairsConfig"))
def pairs(
    context: typer.Context,
    config: options.Config = None,
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
    from benchmark.workflows.pairs.config import PairsConfig

    settings = PairsConfig.resolve(config, options.settings_of(context, out="runs/pairs"))
    options.forbid_network(offline=settings.offline)
    from benchmark.workflows.pairs.run import make_pairs, plan_pairs

    if dry_run:
        say_plan(plan_pairs(settings), as_json=as_json)
        return
    options.use_free_threads()
    result = make_pairs(settings)
    if as_json:
        say_json(result)
        return
    if not result.labelled_by:
        listing = settings.out / "images.jsonl"
        say(f"{listing} lists {number_of(result.images, 'image')} of {result.checkpoint}")
        say("next: label them, and give the same command --labels FILE, or --scorers")
        return
    say(
        f"{'were there' if result.reused else 'made'}: {number_of(result.pairs, 'pair')} and "
        f"{result.held_out} held out, {number_of(result.ties, 'tie')} among them, of "
        f"{number_of(result.images, 'image')} labelled by {result.labelled_by}"
    )
    say_next("fbench", "train", *_recipe(settings.base), "--base", settings.base, "--data", result.folder)


def _recipe(base: str) -> tuple[str, ...]:
    """A preset for the embedded world's base models, with which beta and scale must be stated."""
    from benchmark.models import draws_embedded_world
    from trainers.presets import PRESETS

    if not draws_embedded_world(base):
        return ()
    wanted = {"base": base, "objective": "f_dpo"}
    fitting = (name for name, found in PRESETS.items() if wanted.items() <= found.values.items())
    return ("--preset", next(fitting))

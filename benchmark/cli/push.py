"""``fbench push``."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json, say_next

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("push")
def push(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder of `fbench train`.")],
    repo: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="`owner/name` or `name` of the repository. (default as RUN, of who is logged in)",
        ),
    ] = "",
    scores: Annotated[
        Path | None,
        typer.Option(metavar="EVAL", help="A folder of `fbench eval` that has the checkpoint, for the card."),
    ] = None,
    step: Annotated[int | None, typer.Option(help="Step of the checkpoint. (default the last)")] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private, if it is not there yet.")
    ] = False,
    offline: options.Offline = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the model card and the files; upload nothing.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Uploads a trained checkpoint to the Hugging Face Hub, with a model card made from its manifest.

    The card says base model, data with its hash, objective, divergence and every setting; with --scores also
    what the checkpoint scores, with intervals and signature. It is what anybody will read: look at it by
    --dry-run first. You are who `hf auth login` or HF_TOKEN says.

    Examples:
      fbench push runs/js --dry-run
      fbench push runs/js --repo js-sd15 --scores runs/eval --private
      fbench push runs/js --repo owner/js-sd15 --step 100
    """
    options.forbid_network(offline=offline)
    from benchmark.workflows import push as hub

    if dry_run:
        parcel = hub.pack(run, repo, step=step, scores=scores)
        if as_json:
            say_json(parcel)
        else:
            say(parcel.card)
            say(f"would be uploaded to {parcel.repo}: {', '.join((hub.CARD, *parcel.files))}")
        return
    done = hub.push(run, repo, step=step, scores=scores, private=private)
    if as_json:
        say_json(done)
        return
    say(f"pushed {done.checkpoint} to {done.repo}: {done.url}")
    say_next("fbench", "eval", "--checkpoint", "base", "--checkpoint", done.repo)

"""``fbench reference``."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json
from benchmark.core.words import number_of

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("reference")
def reference(
    scorer: Annotated[
        str, typer.Argument(metavar="SCORER", help="With its reference: \"kid(reference='FOLDER')\".")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The .npz to write.")],
    weights: Annotated[
        str,
        typer.Option(
            metavar="embedded|published", help="Weights, where the scorer names none. (default published)"
        ),
    ] = "published",
    weights_folder: options.WeightsFolder = None,
    device: options.Device = None,
    offline: options.Offline = False,
    as_json: options.AsJson = False,
) -> None:
    """Writes the features of a reference set once: scorers read the file at once, and the folder no more.

    A network takes an hour for a folder of 10,000 images without a GPU. The file serves every scorer of the
    same network: fid, kid and those of prdc share one, cmmd has its own.

    Examples:
      fbench reference "kid(reference='coco')" coco-inception.npz
      fbench reference "cmmd(reference='coco')" coco-clip.npz --device cuda
    """
    options.forbid_network(offline=offline)
    options.use_weights_folder(weights_folder)
    from benchmark.workflows.reference import write_reference

    options.use_free_threads()
    written = write_reference(scorer, out, weights, device or "auto")
    if as_json:
        say_json(
            {
                "file": out,
                "scorer": written.scorer,
                "version": written.version,
                "images": written.images,
                "features": written.features,
            }
        )
        return
    say(f"{written.scorer} {written.version}")
    say(f"wrote {out}: {number_of(written.images, 'image')}, {number_of(written.features, 'feature')} each")

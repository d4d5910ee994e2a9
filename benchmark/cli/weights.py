"""``fbench weights``."""

from collections.abc import Iterable
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.app import Group
from benchmark.cli.output import say, say_json, say_table, say_wrapped
from benchmark.core.errors import UserError
from benchmark.core.words import number_of

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode="rich")

_OF_THE_LIST = "Names of `fbench weights list`."
Fetched = Annotated[list[str] | None, typer.Argument(metavar="NAME...", help=_OF_THE_LIST)]
Verified = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help=f"{_OF_THE_LIST} (default all)")
]


@app.callback()
def weights() -> None:
    """Finds, fetches and checks the published weights of scorers.

    Examples:
      fbench weights list
      fbench weights fetch hps-v2.1 pickscore pickscore-processor
    """


@app.command("list")
def list_weights(
    weights_folder: options.WeightsFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Lists published weights: who needs them, where they come from, their licence, where they are.

    Examples:
      fbench weights list
      fbench weights list --weights-folder /shared/weights --json
    """
    options.use_weights_folder(weights_folder)
    from benchmark.core.console import readable_size
    from benchmark.scorers.requirements import users_of
    from benchmark.weights.catalogue import RELEASES
    from benchmark.weights.locate import find, published_folder

    listed = [
        {
            "name": release.name,
            "scorers": users_of(release.name),
            "source": release.source,
            "licence": release.licence,
            "bytes": release.size,
            "files": release.files,
            "place": find(release),
        }
        for release in RELEASES
    ]
    if as_json:
        say_json({"folder": published_folder(), "weights": listed})
        return
    say(f"looked for in {published_folder()}, and in the caches of huggingface_hub and torch")
    for release in RELEASES:
        place = find(release)
        size = readable_size(release.size) if release.size else "unknown size"
        say(f"\n{release.name:<20} {'here' if place else 'missing':<8} {size:<13} licence {release.licence}")
        say_wrapped(f"for {', '.join(users_of(release.name)) or 'no scorer'}", indent=2)
        # What is copied stands on a line of its own, however long.
        say(f"  from {release.source}")
        if place:
            say(f"  at {place}")


@app.command("fetch")
def fetch_weights(
    names: Fetched = None,
    everything: Annotated[bool, typer.Option("--all", help="Fetch all, in place of names.")] = False,
    weights_folder: options.WeightsFolder = None,
    offline: options.Offline = False,
    as_json: options.AsJson = False,
) -> None:
    """Downloads published weights into the folder of weights; what is here already is left as it is.

    The same command again goes on from what is finished, in the middle of a file as well.

    Examples:
      fbench weights fetch hps-v2.1
      fbench weights fetch --all --weights-folder /shared/weights
    """
    options.use_weights_folder(weights_folder)
    options.forbid_network(offline=offline)
    from benchmark.weights.catalogue import RELEASES, releases
    from benchmark.weights.fetch import fetch

    if bool(names) == everything:
        raise UserError(
            "name the weights to fetch, or give --all", allowed=", ".join(known.name for known in RELEASES)
        )
    fetched = []
    for release in releases(names or ()):
        fetched.append(fetch(release, lambda line: typer.echo(line, err=True)))
        if not as_json:
            verb = "fetched" if fetched[-1].downloaded else "was here"
            say(f"{release.name}: {verb}, {fetched[-1].place}")
    if as_json:
        say_json(fetched)


@app.command("verify")
def verify_weights(
    names: Verified = None,
    load: Annotated[
        bool, typer.Option("--load", help="Also open them, strictly, as their scorers do.")
    ] = False,
    weights_folder: options.WeightsFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Hashes the published weights that are here and compares with the known hashes.

    A file whose hash nobody states is recorded when it is first seen, and compared with that from then on.
    Exit code 2 if a file is not what it was, or weights that were named are missing.

    Examples:
      fbench weights verify
      fbench weights verify hps-v2.1 --load
    """
    options.use_weights_folder(weights_folder)
    from benchmark.weights.catalogue import releases
    from benchmark.weights.verify import verify

    verified = [found for release in releases(names or ()) for found in verify(release)]
    if not as_json:
        say_table([[v.verdict, v.release, v.file, v.sha256[:16], v.note] for v in verified])
    opened = _open(dict.fromkeys(v.release for v in verified if v.verdict != "missing")) if load else {}
    if as_json:
        say_json({"files": verified, "opened": opened})
    else:
        say_table([["opens" if not why else "refused", call, why] for call, why in opened.items()])
    faults = [f"{v.release}/{v.file}: {v.note}" for v in verified if v.verdict == "wrong"]
    faults += [f"{v.release}/{v.file} is missing" for v in verified if v.verdict == "missing" and names]
    faults += [f"{call}: {why}" for call, why in opened.items() if why]
    if faults:
        raise UserError(
            f"{number_of(len(faults), 'fault')} in the published weights, the first one {faults[0]}"
        )


def _open(names: Iterable[str]) -> dict[str, str]:
    """For each scorer that needs one of the weights, why it cannot open all it needs; empty: it can."""
    from benchmark.scorers import make_scorers
    from benchmark.scorers.requirements import needs

    wanted, opened = set(names), {}
    for need in needs():
        if wanted & set(need.releases):
            try:
                make_scorers([need.call], "published")[0].load()
                opened[need.call] = ""
            except UserError as error:
                opened[need.call] = str(error)
    return opened

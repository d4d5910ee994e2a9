"""``fbench doctor``."""

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json, say_table
from benchmark.core import resources
from benchmark.core.devices import allowed_cores, available_devices, free_threads
from benchmark.core.environment import package_versions
from benchmark.core.errors import MissingFileError, UserError

if TYPE_CHECKING:
    from benchmark.evaluate.conformance import Conformance
    from benchmark.scorers.requirements import Need

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("doctor")
def doctor(
    conformance: Annotated[
        bool, typer.Option("--conformance", help="Have every scorer score the golden images, and compare.")
    ] = False,
    weights_folder: options.WeightsFolder = None,
    as_json: options.AsJson = False,
) -> None:
    """Says what is installed, which weights are here, and how to get the rest.

    With --conformance, whether the scorers give the golden images the scores they should; exit code 2 if not.

    Examples:
      fbench doctor
      fbench doctor --conformance
      fbench doctor --json
    """
    options.use_weights_folder(weights_folder)
    if conformance:
        _say_conformance(as_json=as_json)
        return
    found = diagnose()
    if as_json:
        say_json(found)
        return
    say("packages")
    say_table([["", name, version] for name, version in found.packages.items()])
    say("\ncomputing on")
    for device in found.devices:
        say(f"  {device}: --precision auto is {found.precision[device]}")
    say(f"  {found.threads} of {found.cores} cores are free (OMP_NUM_THREADS sets another number)")
    say("\nthe embedded world")
    say_table([["", model.name, _mark(present=model.present), model.note] for model in found.models])
    say("\nscorers, with the weights they can run on")
    say_table([["", s.call or s.name, s.kind, _mark(present=s.present), s.note] for s in found.scorers])
    say(
        "  with --base shapes or shapes-flow, or --weights embedded, those of published weights run on the "
        "embedded networks"
    )
    for line in found.trouble:
        say(f"\ntrouble: {line}")


def _say_conformance(*, as_json: bool) -> None:
    options.use_free_threads()
    found = conformances()
    if as_json:
        say_json(found)
    else:
        say_table([[c.verdict, c.scorer, c.version, c.note] for c in found])
    wrong = [c for c in found if c.verdict in ("differs", "changed")]
    if wrong:
        raise UserError(
            f"{len(wrong)} of {len(found)} scorers give the golden images other scores than they should, the "
            f"first one {wrong[0].scorer}: {wrong[0].note}",
            do="compare package versions with constraints.txt, and the weights with `fbench weights verify`",
        )


def _mark(*, present: bool) -> str:
    return "ready" if present else "missing"


EMBEDDED_MODELS = (
    "shapes-sd", "shapes-flow", "shapes-clip", "shapes-hps", "shapes-pickscore", "shapes-imagereward",
    "shapes-features", "shapes-perceptual", "oracle", "oracle_label", "truth",
)  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Weights that a scorer or the embedded world needs.

    Attributes:
        name: Of the scorer or model.
        kind: ``embedded`` or ``published``; ``none`` for a scorer that needs no weights.
        present: Whether they are on this machine.
        note: Their hash or place; or how to get them.
        call: For published weights, how ``--scorers`` names the scorer that uses them.
    """

    name: str
    kind: str
    present: bool
    note: str
    call: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """This machine, as far as fbench is concerned.

    Attributes:
        packages: Versions of what numbers depend on.
        devices: What can be computed on, the best one last.
        precision: What ``auto`` means on each of them.
        threads: Threads that would be used now.
        cores: Cores this process may use.
        models: The embedded world's models.
        scorers: For each scorer and kind of weights, whether it can run.
        trouble: What does not work, in one line each.
    """

    packages: dict[str, str]
    devices: tuple[str, ...]
    precision: dict[str, str]
    threads: int
    cores: int
    models: tuple[Weights, ...]
    scorers: tuple[Weights, ...]
    trouble: tuple[str, ...] = ()


def diagnose() -> Diagnosis:
    """Looks at packages, devices and weights; computes nothing and asks no network."""
    trouble: list[str] = []
    devices: tuple[str, ...] = ()
    precision: dict[str, str] = {}
    try:
        devices = tuple(available_devices())
        precision = _precision(devices)
    except (ImportError, OSError, RuntimeError) as error:
        why = " ".join(str(error).split())
        trouble.append(f"torch or diffusers cannot be imported: {why}; reinstall with `make install`")
    models = tuple(_model(name) for name in EMBEDDED_MODELS)
    return Diagnosis(
        packages=package_versions(),
        devices=devices,
        precision=precision,
        threads=free_threads(),
        cores=allowed_cores(),
        models=models,
        scorers=tuple(_scorers()),
        trouble=tuple(trouble),
    )


def _precision(devices: tuple[str, ...]) -> dict[str, str]:
    import torch

    from benchmark.models.loading import resolve_precision

    return {device: resolve_precision("auto", torch.device(device)) for device in devices}


def _model(name: str) -> Weights:
    try:
        return Weights(name, "embedded", present=True, note=str(resources.shapes_weights(name)))
    except MissingFileError as error:
        return Weights(name, "embedded", present=False, note=str(error))


def _scorers() -> list[Weights]:
    """Every registered scorer with what it runs on without a download, then with published weights."""
    from benchmark.scorers import scorers
    from benchmark.scorers.requirements import needs

    published: dict[str, list[Weights]] = {}
    for need in needs():
        published.setdefault(need.scorer, []).append(_published(need))
    found = []
    for entry in scorers:
        weights = inspect.signature(scorers.get(entry.name)).parameters.get("weights")
        # One that has no embedded weights says so by its default.
        mine = [] if weights is not None and weights.default == "published" else [_at_hand(entry.name)]
        found += [*mine, *published.get(entry.name, ())]
    return found


def _at_hand(name: str) -> Weights:
    """Whether a scorer runs with the weights that fbench comes with."""
    from benchmark.scorers import scorers

    try:
        takes = "weights" in inspect.signature(scorers.get(name)).parameters
        digest = scorers.create(name, **({"weights": "embedded"} if takes else {})).weights_hash
    except UserError as error:
        return Weights(name, "embedded", present=False, note=str(error))
    if not digest:
        return Weights(name, "none", present=True, note="needs none")
    return Weights(name, "embedded", present=True, note=digest)


def _published(need: "Need") -> Weights:
    from benchmark.weights.catalogue import release
    from benchmark.weights.locate import find

    places = {name: find(release(name)) for name in need.releases}
    missing = [name for name, place in places.items() if place is None]
    note = f"fbench weights fetch {' '.join(missing)}" if missing else ", ".join(map(str, places.values()))
    return Weights(need.scorer, "published", present=not missing, note=note, call=need.call)


def conformances() -> "list[Conformance]":
    """What the golden images say of every scorer, with each of its weights that are here."""
    from benchmark.evaluate.conformance import Conformance, check
    from benchmark.scorers import make_scorers

    found, living = [], []
    for scorer in _scorers():
        if not scorer.present:
            continue
        call, published = scorer.call or scorer.name, scorer.kind == "published"
        try:
            (made,) = make_scorers([call], "published" if published else "embedded")
            made.load()
            # What several scorers share is in memory as long as one of them lives.
            living.append(made)
            found.append(check(made))
        except UserError as error:
            # A published one may want a reference besides; those of the embedded world have all they need.
            found.append(Conformance(call, "", "unknown" if published else "differs", str(error)))
    return found

"""What makes two calls one run: the settings that decide the weights, and the content of what they name.

A run is told from others by no path, folder name, spelling, device or cache. The hashes stand in its
manifest, as inputs in roles: ``base``, ``data`` (the bytes of its files), ``pairs`` and ``held_out`` (what
was read from them), ``clip``, ``trajectories``, and ``objective`` and ``divergence`` where their code is not
fbench's own. docs/identity.md says of every setting of every command by what it is recognised.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.core import manifest as manifests
from benchmark.core.console import doing
from benchmark.core.errors import UserError
from benchmark.core.manifest import Artefact, Manifest
from benchmark.core.plugins import code_sha256
from benchmark.core.records import Checkpoint
from benchmark.models import base_hash, is_here, model_facts, whereabouts
from trainers.config import TRAIN_SETTINGS, TrainConfig, deciding
from trainers.pairs import PreferenceData, find_source, load_pairs
from trainers.progress import say

if TYPE_CHECKING:
    from trainers.recipe import Recipe

_AS_READ = ("pairs", "held_out")


@dataclass(frozen=True)
class Identity:
    """What tells a run from any other.

    Attributes:
        config: Its settings.
        inputs: What they name, by role and hash; all that is known before the pairs are read.
    """

    config: TrainConfig
    inputs: tuple[Artefact, ...]

    def reading(self, data: PreferenceData) -> tuple[Artefact, ...]:
        """All inputs, with what was read from the data."""
        hashes = (data.train.sha256, data.held_out.sha256)
        read = (Artefact(path=data.name, sha256=h, role=r) for r, h in zip(_AS_READ, hashes, strict=True))
        return (*self.inputs, *read)

    def of_state(self, data: PreferenceData) -> dict[str, Any]:
        """What the state of the run carries: by content alone, so that files may be written in other ways."""
        hashes = {one.role: one.sha256 for one in self.reading(data) if one.role != "data"}
        return {"settings": self.config.identity(), "inputs": hashes}


def load_pairs_of(config: TrainConfig, runs: Sequence[Path] = ()) -> PreferenceData:
    """The pairs that a run learns from and watches; see `load_pairs`.

    Args:
        config: Its settings.
        runs: Folders of runs; the bad rows are listed there.
    """
    with doing(f"reading and checking the pairs of {config.data}"):
        return load_pairs(
            config.data,
            held_out=config.held_out_pairs,
            max_bad_share=config.max_bad_share,
            ties=config.ties,
            limit=config.data_limit,
            offline=config.offline,
            runs=runs,
        )


def identities(
    configs: Sequence[TrainConfig], recipes: "Sequence[Recipe]", *, fetch: bool = True
) -> list[Identity]:
    """The identities of runs that share base model and data.

    Weights and files of data are hashed as they lie there: nothing is loaded, no image is decoded.

    Args:
        configs: The runs.
        recipes: What their settings mean.
        fetch: Whether a published base model that is not here is fetched; if not, its hash is empty.

    Raises:
        UserError: if something that is named is not there or cannot be read.
    """
    shared = configs[0]
    # What was typed is looked at before what must be fetched.
    source = find_source(shared.data, offline=shared.offline)
    whereabouts(model_facts(shared.base), offline=shared.offline)
    here = fetch or is_here(shared.base)
    with doing(f"hashing the weights of {shared.base}"):
        base_sha256 = base_hash(shared.base, offline=shared.offline) if here else ""
    base = Artefact(path=shared.base, sha256=base_sha256, role="base")
    with doing(f"hashing {shared.data}"):
        data = Artefact(path=shared.data, sha256=source.sha256(), role="data")
    walks = []
    if shared.estimator == "transition":
        from trainers.trajectories import source_folder, trajectories_sha256

        folder = source_folder(source)
        sha256 = trajectories_sha256(folder)
        walks = [Artefact(path=folder.as_posix(), sha256=sha256, role="trajectories")]
    clip = []
    if any(recipe.objective.needs_embeddings for recipe in recipes):
        from trainers.clip_source import clip_source

        found = clip_source(shared.base, shared.clip)
        clip = [Artefact(path=found.folder.as_posix(), sha256=found.sha256(), role="clip")]
    return [
        Identity(
            config,
            (
                base,
                data,
                *walks,
                *(clip if recipe.objective.needs_embeddings else ()),
                *_code(config, recipe),
            ),
        )
        for config, recipe in zip(configs, recipes, strict=True)
    ]


def refuse_other_run(identity: Identity) -> None:
    """A folder holds one run: going on with other settings or inputs would mix two.

    Raises:
        UserError: if the folder is another run's, or no folder; names what differs, of inputs both hashes.
    """
    out = identity.config.out
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file", allowed="a folder, or a place for one")
    earlier, do = manifests.earlier_attempt(out, "train"), "choose another --out, or delete it"
    if earlier is None:
        return
    if different := _other_settings(identity.config, earlier):
        raise UserError(f"{out} holds a run of other settings ({', '.join(different)})", do=do)
    refuse_other_precision(identity.config, identity.config.precision)
    if not earlier.inputs and not _begun(out):
        return  # broken off before it had learned anything
    if other := _other_inputs(identity, earlier):
        raise UserError(f"{out} holds a run of {other}", do=do)


def identity_before(config: TrainConfig) -> dict[str, Any]:
    """How the states of runs were recognised when inputs were not hashed: by the settings as typed."""
    values = config.model_dump(mode="json")
    return {name: value for name, value in values.items() if TRAIN_SETTINGS[name].identity != "never"}


def refuse_other_precision(config: TrainConfig, precision: str, began: str | None = None) -> None:
    """`auto` means what a device computes fast in, and a run goes on in what it began in.

    Args:
        config: Of the run.
        precision: What it would go on in; `auto` where that is not known yet.
        began: What it began in; None: as its last checkpoint says, if there is one.

    Raises:
        UserError: if the two differ.
    """
    if began is None:
        said = [one.hyperparameters.get("precision") for one in _records(config.out)]
        began = str(said[-1]) if said and said[-1] else precision
    if precision not in ("auto", began):
        raise UserError(
            f"{config.out} was trained in {began}, and this call computes in {precision}",
            do=f"state --precision {began}, or choose another --out",
        )


def _other_settings(config: TrainConfig, earlier: Manifest) -> list[str]:
    before, now = deciding(earlier.config), config.identity()
    return sorted(key for key in now if before[key] != now[key])


def _other_inputs(identity: Identity, earlier: Manifest) -> str:
    """In words what was read and is not what is there now; empty if nothing is."""
    if earlier.read_as("base") is None:
        return _other_than_before(identity, earlier)
    for now in identity.inputs:
        then = earlier.read_as(now.role)
        if not now.sha256 or (then is not None and then.sha256 == now.sha256):
            continue
        if now.role == "data":
            # Other bytes may be the same pairs: another compression, or files cut elsewhere.
            if other := _other_pairs(identity, earlier):
                return other
            continue
        return _said(now, then)
    roles = {now.role for now in identity.inputs} | set(_AS_READ)
    gone = [then.role for then in earlier.inputs if then.role not in roles]
    return f"another {gone[0]}" if gone else ""


def _other_pairs(identity: Identity, earlier: Manifest) -> str:
    for now in identity.reading(load_pairs_of(identity.config)):
        then = earlier.read_as(now.role)
        if now.role in _AS_READ and (then is None or then.sha256 != now.sha256):
            return _said(now, then)
    return ""


def _other_than_before(identity: Identity, earlier: Manifest) -> str:
    """Of a run of before inputs were hashed: places as they are spelled, and what a checkpoint says."""
    config = identity.config
    for name in ("base", "clip"):
        then, now = earlier.config.get(name), getattr(config, name)
        if _place(then) != _place(now):
            return f"other settings ({name})"
    known = [one.data_sha256 for one in _records(config.out) if one.data_sha256]
    if known:
        read = Artefact(path=config.data, sha256=load_pairs_of(config).train.sha256, role="pairs")
        if read.sha256 != known[-1]:
            return _said(read, read.model_copy(update={"sha256": known[-1]}))
    say(
        f"{config.out} is of before inputs were hashed: that its base model, its files"
        f"{'' if known else ', its data'} and plug-ins did not change since cannot be checked"
    )
    return ""


def _said(now: Artefact, then: Artefact | None) -> str:
    what = {"pairs": "data", "held_out": "held-out data"}.get(now.role, now.role)
    return (
        f"another {what}: that of {now.path} is {now.sha256} now, and was {then.sha256 if then else 'none'}"
    )


def _records(run: Path) -> Iterator[Checkpoint]:
    """The records of a run's checkpoints that can be read; whether all can is asked elsewhere."""
    from trainers.checkpoints import RECORD, read_checkpoint

    for record in sorted(run.glob(f"checkpoints/step-*/{RECORD}")):
        with suppress(UserError):
            yield read_checkpoint(record.parent)


def _begun(run: Path) -> bool:
    return (run / "resume.pt").is_file() or any(run.glob("checkpoints/step-*"))


def _place(text: object) -> str:
    """A path however it is spelled; a name stays what it is."""
    path = Path(str(text)).expanduser()
    return str(path.resolve()) if path.exists() else str(text)


def _code(config: TrainConfig, recipe: "Recipe") -> list[Artefact]:
    """Code that is not fbench's own; an objective's is also that of the divergence in it."""
    things = {"divergence": recipe.divergence, "objective": recipe.objective}
    hashes = {role: code_sha256(thing) for role, thing in things.items() if thing is not None}
    return [
        Artefact(path=str(getattr(config, role)), sha256=sha256, role=role)
        for role, sha256 in hashes.items()
        if sha256
    ]

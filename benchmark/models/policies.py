"""What the families in diffusers' layout share in opening checkpoints of theirs."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import nn

from benchmark.core import hashing
from benchmark.core.errors import NotComparableError, UnreadableFileError, UserError
from benchmark.models.adapters import adapter_files
from benchmark.models.adapters.files import PEFT_CONFIG
from benchmark.models.facts import checkpoint_forms
from benchmark.models.files import ENDINGS, Folders, network_folders


def refuse_whole_networks(place: Path, folders: Folders) -> None:
    """Refuses an adapter's folder that holds whole networks, which might be meant as well.

    Args:
        place: A folder with an adapter.
        folders: As the family lays its pipelines out.

    Raises:
        UserError: if it does.
    """
    for folder in network_folders(place, folders).values():
        adapter = adapter_files(place, folders.adapted)[0]
        raise UserError(
            f"{place} holds an adapter, {adapter.name}, and whole networks, such as {folder.name}/",
            do=f"give what you mean: --checkpoint {shlex.quote(str(adapter))}, or {folder.name}/ without it",
        )


def inside(place: Path) -> str:
    """What a folder that is no checkpoint itself holds: the steps of a training script, files, or adapters.

    Returns:
        What to do; empty where nothing of it helps.
    """
    steps = [p for p in place.glob("checkpoint-*") if p.name.removeprefix("checkpoint-").isdecimal()]
    steps.sort(key=lambda p: int(p.name.removeprefix("checkpoint-")))
    files = sorted(p for p in place.glob("*") if p.suffix in ENDINGS)
    # PEFT saves an adapter that is not called `default` in a folder of its name.
    adapters = sorted(p.parent for p in place.glob(f"*/{PEFT_CONFIG}"))
    found = [*steps[-1:], *files[:1], *adapters[:1]]
    return f"give what is in it: --checkpoint {shlex.quote(str(found[0]))}" if found else ""


def check_architecture(
    theirs: object,
    ours: Mapping[str, object],
    keys: Iterable[str],
    kind: type[nn.Module],
    base: str,
    place: Path,
) -> None:
    """Refuses a network of another base model, where no record says so.

    Args:
        theirs: The config of the checkpoint's network.
        ours: That of the base model's.
        keys: Of configs that must agree.
        kind: The network's class.
        base: The base model's name.
        place: The checkpoint, for messages.

    Raises:
        UserError: if they do not agree.
    """
    if not isinstance(theirs, dict):
        raise UnreadableFileError(place, f"a {kind.__name__}", "its config is no table of keys")
    # A transformers config has `architectures`, one of diffusers `_class_name`.
    named = theirs.get("_class_name") or next(iter(theirs.get("architectures") or ()), "")
    if named not in ("", kind.__name__):
        raise UserError(f"{place} holds a {named}, not a {kind.__name__}", allowed=checkpoint_forms())
    for key in keys:
        stated, own = hashing.plain(theirs.get(key)), hashing.plain(ours.get(key))
        if stated != own:
            raise NotComparableError(
                f"{place} is not a checkpoint of {base}: its {kind.__name__} has {key} {stated}, not {own}",
                do="give the base model it was trained from with --base",
            )

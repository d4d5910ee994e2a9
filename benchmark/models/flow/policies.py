"""Checkpoints of diffusion transformers in the layouts that plain diffusers and PEFT open."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from benchmark.core.errors import NotComparableError, UnreadableFileError
from benchmark.core.store import read_json
from benchmark.models.adapters import is_adapter, merged
from benchmark.models.files import INDEX, LORA_FILE, network_folders, policy_folder
from benchmark.models.flow.facts import own_facts
from benchmark.models.loading import load_part
from benchmark.models.policies import check_architecture, inside, refuse_whole_networks

if TYPE_CHECKING:
    from benchmark.models.flow.pipeline import FlowPipeline

TRANSFORMER = "transformer"


def save_network(network: Any, folder: Path) -> None:
    """Writes `transformer/`; where the base model lay is no part of it: equal weights make equal files."""
    network.register_to_config(_name_or_path="")
    network.save_pretrained(folder / TRANSFORMER)


def policy_parts(place: Path, base: "FlowPipeline") -> dict[str, Any]:
    """The parts that a checkpoint holds, for their own parts' place in the base model.

    Args:
        place: A diffusers folder, a folder with `transformer/`, a transformer's own folder, an adapter's file
            or folder.
        base: The base model it was trained from.

    Raises:
        UserError: if there is nothing of the kind, it is damaged, or it is of another base model.
    """
    folders = base.family.folders
    if place.is_file() or is_adapter(place, folders.adapted):
        if place.is_dir():
            refuse_whole_networks(place, folders)
        networks = {name: part for name in folders.adapted if (part := getattr(base, name)) is not None}
        return dict(merged(place, base.name, networks, base.layer_names(networks), folders.adapted))
    if (place / INDEX).is_file():
        _check(place / TRANSFORMER, place, base)
        facts = own_facts(place, base.family)
        parts = type(base).parts(place, facts, base.device, base.precision)
        return {**parts, "facts": facts, "revision": base.family.content_hash(place), "place": place}
    folder = policy_folder(place, folders)
    if folder is None:
        why = f"it has no {LORA_FILE}, no {TRANSFORMER}/ and no config.json"
        raise UnreadableFileError(place, "a checkpoint", why, do=inside(place))
    _check(folder, place, base)
    kind: Any = type(base.transformer)
    return {TRANSFORMER: load_part(kind, folder, base.device)} | _beside(place, base)


def _check(folder: Path, place: Path, base: "FlowPipeline") -> None:
    """Refuses a transformer of other sizes; what an older config does not state is as here."""
    config = read_json(folder / "config.json", "a transformer's config")
    own = {key: value for key, value in base.config.items() if not key.startswith("_")}
    keys = [key for key in own if not isinstance(config, dict) or key in config]
    check_architecture(config, own, keys, type(base.transformer), base.name, place)


def _beside(place: Path, base: "FlowPipeline") -> dict[str, nn.Module]:
    """The text encoders beside a transformer, which training scripts save where they were trained as well."""
    found: dict[str, nn.Module] = {}
    for name, folder in network_folders(place, base.family.folders).items():
        own = getattr(base, name)
        if name == TRANSFORMER:
            continue
        kind: Any = type(own)
        if own is not None:
            found[name] = load_part(kind, folder, base.device)
        if own is None or _shapes(found[name]) != _shapes(own):
            raise NotComparableError(
                f"{folder} is not the {name} of a checkpoint of {base.name}: its sizes are others",
                do="give the base model it was trained from with --base",
            )
    return found


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(weight.shape) for name, weight in network.state_dict().items()}

"""Checkpoints of UNets in the layouts that plain diffusers and PEFT open, written and opened."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from benchmark.core.errors import MissingFileError, NotComparableError, UnreadableFileError
from benchmark.core.store import read_json
from benchmark.models.adapters import adapter_files, is_adapter, merged, saving
from benchmark.models.families.unet import FAMILY
from benchmark.models.families.unet.adapter_names import layer_names
from benchmark.models.families.unet.kinds import contents
from benchmark.models.families.unet.opening import folder_parts, load_vae
from benchmark.models.families.unet.single_file import check_noise, trained_parts
from benchmark.models.files import ENDINGS, INDEX, LORA_FILE, find_weights, network_folders, policy_folder
from benchmark.models.loading import load_part
from benchmark.models.policies import check_architecture, inside, refuse_whole_networks

if TYPE_CHECKING:
    from benchmark.models.families.unet.pipeline import UNetPipeline

_FOLDERS = FAMILY.folders
_ARCHITECTURE: Final = (
    "in_channels", "out_channels", "sample_size", "cross_attention_dim", "block_out_channels",
    "layers_per_block", "down_block_types", "up_block_types",
)  # fmt: skip


def save_network(unet: UNet2DConditionModel, folder: Path) -> None:
    """Writes `unet/`; where the base model lay is no part of it: equal weights make equal files anywhere."""
    unet.register_to_config(_name_or_path="")
    unet.save_pretrained(folder / "unet")


def save_adapter(unet: UNet2DConditionModel, adapter_name: str, folder: Path) -> None:
    """Writes a PEFT adapter as diffusers' own file, with the metadata that states its alpha."""
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    xl = unet.config.addition_embed_type == "text_time"
    saving.save_adapter(
        StableDiffusionXLPipeline if xl else StableDiffusionPipeline, "unet", unet, adapter_name, folder
    )


def policy_parts(place: Path, base: "UNetPipeline") -> dict[str, Any]:
    """The parts that a checkpoint holds, for their own parts' place in the base model.

    Args:
        place: A diffusers folder, a folder with `unet/`, a UNet's own folder or file, a whole model in one
            file, an adapter's file or folder.
        base: The base model it was trained from.

    Raises:
        UserError: if there is nothing of the kind, it is damaged, or it is of another base model.
    """
    if is_adapter(place, _FOLDERS.adapted):
        refuse_whole_networks(place, _FOLDERS)
        for file in (path for path in adapter_files(place, _FOLDERS.adapted) if path.suffix in ENDINGS):
            check_noise(file, contents(file), base)
        return _adapted(place, base)
    if place.is_file():
        found = contents(place)
        check_noise(place, found, base)
        return _adapted(place, base) if found.kind == "other" else dict(trained_parts(place, found, base))
    if (place / INDEX).is_file():
        return _whole_pipeline(place, base)
    folder = policy_folder(place, _FOLDERS)
    if folder is None:
        why = f"it has no {LORA_FILE}, no unet/ and no config.json"
        raise UnreadableFileError(place, "a checkpoint", why, do=inside(place))
    return _load_unet(folder, place, base) | _load_beside(place, base)


def _adapted(place: Path, base: "UNetPipeline") -> dict[str, nn.Module]:
    networks = {name: part for name in _FOLDERS.adapted if (part := getattr(base, name)) is not None}
    return merged(place, base.name, networks, layer_names(networks), _FOLDERS.adapted)


def _load_unet(folder: Path, place: Path, base: "UNetPipeline") -> dict[str, Any]:
    """The UNet of a network's folder, which may be weights alone."""
    if (folder / "config.json").is_file():
        _check_architecture(read_json(folder / "config.json", "a UNet's config"), base, place)
        return {"unet": load_part(UNet2DConditionModel, folder, base.device)}
    weights = find_weights(folder)
    # As accelerate numbers what was trained together, without saying what is what.
    if any(folder.glob("model_1.*")):
        raise UnreadableFileError(
            folder, "a UNet", "it holds the weights of several networks", do=f"give one: {weights.files[0]}"
        )
    if weights.index is None:
        return policy_parts(weights.files[0], base)
    do = "copy the whole folder again"
    raise MissingFileError(folder / "config.json", "config of a network in parts", do=do)


def _load_beside(place: Path, base: "UNetPipeline") -> dict[str, Any]:
    """The networks beside a UNet, which training scripts save where they were trained as well."""
    found: dict[str, nn.Module] = {}
    for name, folder in network_folders(place, _FOLDERS).items():
        if name == "unet":
            continue
        own: Any = getattr(base, name)
        kind: Any = type(own)
        if own is not None:
            device = base.device
            found[name] = load_vae(folder, device) if name == "vae" else load_part(kind, folder, device)
        if own is None or _shapes(found[name]) != _shapes(own):
            raise NotComparableError(
                f"{folder} is not the {name} of a checkpoint of {base.name}: its sizes are others",
                do="give the base model it was trained from with --base",
            )
    return found


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in network.state_dict().items()}


def _whole_pipeline(place: Path, base: "UNetPipeline") -> dict[str, Any]:
    """A complete folder with all of its own parts, which may have been trained as well."""
    _check_architecture(read_json(place / "unet" / "config.json", "a UNet's config"), base, place)
    parts = folder_parts(place, base.device)
    return {**parts, "revision": FAMILY.content_hash(place), "place": place}


def _check_architecture(config: object, base: "UNetPipeline", place: Path) -> None:
    check_architecture(config, base.unet.config, _ARCHITECTURE, UNet2DConditionModel, base.name, place)

"""Opens an adapter: every tensor of its files has a layer and a scale, or the file is refused."""

import copy
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import nn

from benchmark.models.adapters.files import AdapterFile, Parts, read_adapter
from benchmark.models.adapters.kinds import BIASES, EXTRAS, SET_BY_PART
from benchmark.models.adapters.layers import Layer, Names, Place, layer_of, merge
from benchmark.models.adapters.settings import Settings, settings_of


def merged(
    place: Path, model: str, networks: Mapping[str, nn.Module], names: Names, parts: Parts
) -> dict[str, nn.Module]:
    """Copies of the networks that an adapter changes, with it merged in.

    Merged it costs nothing: beside the weights, an adapter on every layer halved the images a second. The
    sum is float32. Where autocast rounds it to bfloat16 each weight rounds on its own, up or down, so a small
    adapter is not lost in the sums over a layer's inputs.

    Args:
        place: A file of weights, or a folder for which `is_adapter` holds.
        model: The base model's name.
        networks: Those of the base model it was trained on that an adapter may change.
        names: Of all layers of these.
        parts: The same networks as files name them.

    Raises:
        UserError: if anything that the files state could not be applied as they state it.
    """
    scales: dict[Layer, float] = {}
    for file in read_adapter(place, model, parts):
        layers = _layers(file, names)
        _check_extras(layers, networks)
        settings = settings_of(file, parts)
        scales |= {layer: _scale(layer, settings[layer.place.part]) for layer in layers}
    _check_once(scales)
    changed = {layer.place.part for layer in scales}
    copies = {part: copy.deepcopy(networks[part]) for part in parts if part in changed}
    for layer, scale in scales.items():
        merge(layer, copies[layer.place.part], scale)
    return copies


def _layers(file: AdapterFile, names: Names) -> list[Layer]:
    """The file's tensors, grouped by the layer they are for; each is in exactly one group."""
    grouped: dict[tuple[str, str], dict[str, tuple[str, Place]]] = {}
    unknown: list[str] = []
    adapters: set[str] = set()
    for name in file.tensors:
        place = names.find(name, file.part)
        if place is None:
            unknown.append(name)
            continue
        roles = grouped.setdefault((place.part, place.layer), {})
        if place.role in roles:
            other, _ = roles[place.role]
            raise file.refused(f"{other} and {name} are both the {place.role} of {place.layer}")
        roles[place.role] = name, place
        # Alphas stand without an adapter's name also where the matrices have one.
        adapters |= {place.adapter.strip(".") or "unnamed"} if place.role != "alpha" else set()
    if unknown:
        name, kind, do = names.what_it_is(unknown)
        count = f"{len(unknown)} of its {len(file.tensors)} tensors have no place in that model"
        raise file.refused(f"{count}: {name}{kind}", do=do)
    if len(adapters) > 1:
        raise file.refused(f"it holds several adapters: {', '.join(sorted(adapters))}")
    return [layer_of(file, roles) for roles in grouped.values()]


def _check_extras(layers: list[Layer], networks: Mapping[str, nn.Module]) -> None:
    """Alphas and the like are on all layers that can have them, or on none: a lost one shows."""
    groups: dict[tuple[str, str], list[Layer]] = {}
    for layer in layers:
        module = networks[layer.place.part].get_submodule(layer.place.layers[0])
        for role in layer.extras_for(module) | (layer.names.keys() & EXTRAS):
            groups.setdefault((role, _together(role, layer)), []).append(layer)
    for (role, _), able in groups.items():
        stated = [layer.names[role] for layer in able if role in layer.names]
        lacking = [layer for layer in able if role not in layer.names]
        if stated and lacking:
            why = f"{lacking[0].place.stated} has nothing like {stated[0]}"
            raise lacking[0].file.refused(why, do="the file is incomplete")


def _together(role: str, layer: Layer) -> str:
    """PEFT sets its extras for each network, LyCORIS trains biases by kind, and the rest holds for a file."""
    if role in SET_BY_PART:
        return layer.place.part
    return layer.kind.name if role in BIASES else ""


def _check_once(layers: Iterable[Layer]) -> None:
    """No two files of a folder, nor two spellings in a file, are for one layer."""
    first: dict[tuple[str, str], Layer] = {}
    for layer in layers:
        for own in layer.place.layers:
            other = first.setdefault((layer.place.part, own), layer)
            if other is not layer:
                raise layer.file.refused(f"{other.file.path} adapts {own} as well")


def _scale(layer: Layer, settings: Settings) -> float:
    """The layer's own alpha over its rank, or what the file's settings say; without either, 1."""
    if "alpha" not in layer.kind.extras:
        return 1.0
    tensors, stated = layer.tensors, layer.place.stated
    rank = layer.kind.rank(tensors)
    settings.check_roles(stated, tensors)
    said = settings.scale(stated, rank)
    if "alpha" not in tensors:
        return 1.0 if said is None else said
    if tensors["alpha"].numel() != 1:
        raise layer.file.refused(f"{layer.names['alpha']} is not one number")
    alpha = float(tensors["alpha"])
    if not alpha:
        why = f"{layer.names['alpha']} is 0, which some tools read as the rank and others as no adapter"
        raise layer.file.refused(why, do="write the alpha that it was trained with")
    scale = alpha / rank if rank else 1.0
    if said is not None and not math.isclose(said, scale, rel_tol=1e-6):
        raise layer.file.refused(f"{layer.names['alpha']} gives a scale of {scale:g}, its settings {said:g}")
    return scale

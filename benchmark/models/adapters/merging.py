"""Opens an adapter: every tensor of its files has a layer and a scale, or the file is refused."""

import copy
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

from torch import nn

from benchmark.models.adapters.files import PARTS, AdapterFile, read_adapter
from benchmark.models.adapters.foreign import what_it_is
from benchmark.models.adapters.layers import EXTRAS, Layer, layer_of, merge
from benchmark.models.adapters.names import LayerNames, Place
from benchmark.models.adapters.settings import Settings, settings_of
from benchmark.models.base import Pipeline


def open_adapter(place: Path, base: Pipeline) -> Pipeline:
    """A copy of the base with an adapter merged in; parts it does not change are shared.

    Merged it costs nothing: beside the weights, an adapter on every layer halved the images a second. The
    sum is float32. Where autocast rounds it to bfloat16 each weight rounds on its own, up or down, so a small
    adapter is not lost in the sums over a layer's inputs.

    Args:
        place: A file of weights, or a folder for which `is_adapter` holds.
        base: The base model it was trained on.

    Raises:
        UserError: if anything that the files state could not be applied as they state it.
    """
    names = LayerNames(base)
    layers: list[tuple[Layer, float]] = []
    for file in read_adapter(place, base.name):
        found = _layers(file, names)
        _check_extras(found, base)
        settings = settings_of(file)
        layers += [(layer, _scale(layer, settings[layer.place.part])) for layer in found]
    parts = {
        part: copy.deepcopy(getattr(base, part))
        for part in PARTS
        if part in {one.place.part for one, _ in layers}
    }
    for layer, scale in layers:
        merge(layer, parts[layer.place.part].get_submodule(layer.place.layer), scale)
    return replace(base, **parts)


def _layers(file: AdapterFile, names: LayerNames) -> list[Layer]:
    """The file's tensors, grouped by the layer they are for; each is in exactly one group."""
    places = {name: names.find(name, file.part) for name in file.tensors}
    unknown = [name for name, place in places.items() if place is None]
    if unknown:
        kind, do = what_it_is(unknown)
        count = f"{len(unknown)} of its {len(places)} tensors have no place in that model"
        raise file.refused(f"{count}: {unknown[0]}{kind}", do=do)
    grouped: dict[tuple[str, str], dict[str, str]] = {}
    first: dict[tuple[str, str], Place] = {}
    for name, place in places.items():
        assert place is not None
        layer = (place.part, place.layer)
        roles = grouped.setdefault(layer, {})
        first.setdefault(layer, place)
        if place.role in roles:
            raise file.refused(f"{roles[place.role]} and {name} are both the {place.role} of {place.layer}")
        roles[place.role] = name
    adapters = sorted({place.adapter for place in places.values() if place and place.role != "alpha"})
    if len(adapters) > 1:
        raise file.refused(
            f"it holds several adapters: {', '.join(a.strip('.') or 'unnamed' for a in adapters)}"
        )
    return [layer_of(file, first[layer], roles) for layer, roles in grouped.items()]


def _check_extras(layers: list[Layer], base: Pipeline) -> None:
    """Alphas are on all layers or on none, magnitudes and biases on all or none of a part: a lost one shows."""
    for role, part in product(sorted(EXTRAS), PARTS):
        able = [
            one
            for one in layers
            if role in one.extras_for(_module(base, one)) | one.names.keys()
            and (role == "alpha" or one.place.part == part)
        ]
        lacking = [one for one in able if role not in one.names]
        if lacking and len(lacking) < len(able):
            stated = next(one.names[role] for one in able if role in one.names)
            raise lacking[0].file.refused(
                f"{lacking[0].place.stated} has nothing like {stated}", do="the file is incomplete"
            )


def _module(base: Pipeline, layer: Layer) -> nn.Module:
    network: nn.Module = getattr(base, layer.place.part)
    return network.get_submodule(layer.place.layer)


def _scale(layer: Layer, settings: Settings) -> float:
    """The layer's own alpha over its rank, or what the file's settings say; without either, 1."""
    tensors, stated = layer.tensors, layer.place.stated
    rank = layer.kind.rank(tensors)
    if settings.has_magnitudes not in (None, "magnitude" in tensors):
        raise layer.file.refused(
            f"its settings say use_dora {settings.has_magnitudes}, {stated} is otherwise"
        )
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

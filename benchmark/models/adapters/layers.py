"""A layer of an adapter, and its merge: from its tensors to the model's new weight.

Of a layer with weight W, in float32:  W + scale delta,  with delta as its kind has it. DoRA, on top of LoRA,
LoHa and LoKr:  magnitude (W + scale delta) / norm(W + scale delta).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.core.errors import UserError
from benchmark.models.adapters.files import AdapterFile
from benchmark.models.adapters.joined import Rows, join, put_back
from benchmark.models.adapters.kinds import BIASES, EXTRAS, KINDS, Kind

_EPSILON = torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class Place:
    """Where a tensor belongs.

    Attributes:
        part: The network.
        layer: The layer in it, as the network names it; of several in one, as another code does.
        role: What it is there: `down`, `up`, `alpha`, `hada_w1_a`, ...
        stated: The layer as the file names it, with dots.
        adapter: PEFT's name of the adapter, where the file keeps it.
        rows: What a layer of another code is made of; empty for one of the network's own.
    """

    part: str
    layer: str
    role: str
    stated: str
    adapter: str = ""
    rows: tuple[Rows, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """The network's own layers that it is, or is made of."""
        return tuple(dict.fromkeys(one.layer for one in self.rows)) or (self.layer,)


class Names(ABC):
    """All layers of a model by every spelling of their names, and what else a file may hold."""

    @abstractmethod
    def find(self, name: str, part: str = "") -> Place | None:
        """Where a tensor of a file belongs; None if its name means nothing in this model.

        Args:
            name: As the file has it.
            part: What a name without a prefix belongs to; empty: the only part that has such a layer.
        """

    @abstractmethod
    def what_it_is(self, unknown: Sequence[str]) -> tuple[str, str, str]:
        """The tensor that tells best what a file is: its name, what it is after a comma, and what to do.

        Args:
            unknown: Names that have no place in the model.
        """


@dataclass(frozen=True, eq=False)
class Layer:
    """All tensors of a file for one layer.

    Attributes:
        file: Whose they are.
        place: Of the first of them.
        names: Each role's name in the file.
        kind: Which formula they are for.
    """

    file: AdapterFile
    place: Place
    names: Mapping[str, str]
    kind: Kind

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by role, as they are in the file."""
        return {role: self.file.tensors[name] for role, name in self.names.items()}

    def extras_for(self, module: nn.Module) -> frozenset[str]:
        """The extras that could be there: those of a bias only where the layer has one."""
        return self.kind.extras - (frozenset() if getattr(module, "bias", None) is not None else BIASES)


def layer_of(file: AdapterFile, roles: Mapping[str, tuple[str, Place]]) -> Layer:
    """The layer that some tensors make.

    Args:
        file: Whose they are.
        roles: Name and place of each by its role.

    Raises:
        UserError: if they are too few or too many for any kind of adapter.
    """
    names = {role: name for role, (name, _) in roles.items()}
    own = names.keys() - EXTRAS
    kind = next((kind for kind in KINDS if own in kind.complete and names.keys() - own <= kind.extras), None)
    if kind is None:
        raise file.refused(
            f"{', '.join(sorted(names.values()))}: no kind of adapter has only these of a layer",
            do="the file is incomplete, or of a kind that fbench does not know",
        )
    flat = [names[role] for role in own if "alpha" in kind.extras and file.tensors[names[role]].ndim < 2]
    if flat:
        raise file.refused(f"{flat[0]} is no matrix")
    return Layer(file, next(place for _, place in roles.values()), names, kind)


@torch.no_grad()
def merge(layer: Layer, network: nn.Module, scale: float) -> None:
    """Changes a layer's weight, and its bias if the file says so, to the merged one.

    Args:
        layer: What is merged.
        network: Whose layer it is.
        scale: What its product is multiplied by.

    Raises:
        UserError: if a tensor does not fit, or the result is not finite.
    """
    rows = layer.place.rows
    if not rows:
        _merge(layer, network.get_submodule(layer.place.layer), scale)
        return
    whole = join(network, rows)
    _merge(layer, whole, scale)
    put_back(network, rows, whole)


def _merge(layer: Layer, module: nn.Module, scale: float) -> None:
    weight: Tensor = module.get_parameter("weight")
    bias: Tensor | None = getattr(module, "bias", None)
    stored = layer.tensors
    t = {role: tensor.to(weight.device, torch.float32) for role, tensor in stored.items()}
    try:
        delta = layer.kind.delta(t)
        fits = delta.shape == weight.shape or delta.shape == weight.flatten(1).shape
    except (RuntimeError, IndexError):
        fits = False
    if not fits:
        raise _misfit(layer, layer.names.keys() - EXTRAS, f"weight {tuple(weight.shape)}")
    weight.data += delta.reshape(weight.shape) * scale
    if "magnitude" in t:
        weight.data = _of_magnitude(layer, weight.data, t["magnitude"], "magnitude")
    if "dora_scale" in t:
        weight.data = _of_magnitude(layer, weight.data, t["dora_scale"], "dora_scale")
    for role in BIASES & t.keys():
        if bias is None or t[role].shape != bias.shape:
            raise _misfit(layer, [role], "no bias" if bias is None else f"bias {tuple(bias.shape)}")
        bias.data += t[role] * scale if role == "up_bias" else t[role]
    if not all(torch.isfinite(p).all() for p in module.parameters()):
        raise layer.file.refused(f"{layer.place.stated} is not finite once it is merged")


def _of_magnitude(layer: Layer, weight: Tensor, magnitude: Tensor, role: str) -> Tensor:
    """DoRA: the weight's direction, with a magnitude for each output, or for each input.

    PEFT has one for each output. LyCORIS and OneTrainer write `dora_scale`, (out, 1, ...) or (1, in, ...), so
    its shape says which, and add float32's epsilon to the norm.
    """
    by_input = magnitude.ndim > 1 and magnitude.shape[:2] == (1, weight.shape[1]) and role == "dora_scale"
    axis = 1 if by_input else 0
    if magnitude.numel() != weight.shape[axis] or magnitude.numel() not in magnitude.shape:
        raise _misfit(layer, [role], f"weight {tuple(weight.shape)}")
    others = [i for i in range(weight.ndim) if i != axis]
    norm = torch.linalg.vector_norm(weight, dim=others, keepdim=True)
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    if role == "dora_scale":
        norm = norm + _EPSILON
    turned: Tensor = magnitude.reshape(shape) / norm * weight
    return turned


def _misfit(layer: Layer, roles: Iterable[str], what: str) -> UserError:
    stated = ", ".join(
        f"{layer.names[r]} {tuple(layer.file.tensors[layer.names[r]].shape)}" for r in sorted(roles)
    )
    return layer.file.refused(
        f"{stated} does not fit {layer.place.part}.{layer.place.layer} with {what}",
        do="give the base model that it was trained on with --base",
    )

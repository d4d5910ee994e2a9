"""The formulas of adapters: from a layer's tensors to its merged weight, one layer at a time.

Of a layer with weight W, in float32:

    LoRA, LoCon     W + scale up @ down;  of a convolution down has the kernel, or mid, between them, has it
    LoHa            W + scale (w1_a @ w1_b) * (w2_a @ w2_b)
    LoKr            W + scale kron(w1, w2)
    difference      W + diff, bias + diff_b;  of a norm  w_norm, b_norm
    DoRA            magnitude (W + delta) / norm(W + delta), on top of the first three

The sums and products are those of PEFT's merge, in its order, so that the weights are PEFT's to the bit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.adapters.files import AdapterFile
from benchmark.models.adapters.names import Place

Tensors = Mapping[str, Tensor]
_FLOAT32_EPSILON = torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class Kind:
    """A kind of adapter.

    Attributes:
        name: What it is called.
        complete: The sets of tensors that make a layer of it.
        extras: Tensors that may stand beside them; on all layers of a file or on none.
        delta: What is added to the weight, before scaling: (out, in...) or flat.
        rank: What alpha is divided by; None where there is no such number.
    """

    name: str
    complete: tuple[frozenset[str], ...]
    extras: frozenset[str]
    delta: Callable[[Tensors], Tensor]
    rank: Callable[[Tensors], int | None] = lambda _: None


def _low_rank(t: Tensors) -> Tensor:
    if "mid" in t:
        return _tucker(t["mid"], t["up"].flatten(1).T, t["down"].flatten(1))
    if t["down"].ndim == 4 and t["down"].shape[2:] != (1, 1):
        return functional.conv2d(t["down"].transpose(0, 1), t["up"]).transpose(0, 1)
    return t["up"].flatten(1) @ t["down"].flatten(1)


def _hadamard(t: Tensors) -> Tensor:
    factors = []
    for i in "12":
        a, b = t[f"hada_w{i}_a"], t[f"hada_w{i}_b"]
        factors.append(_tucker(t[f"hada_t{i}"], a, b) if f"hada_t{i}" in t else a @ b)
    return factors[0] * factors[1]


def _kronecker(t: Tensors) -> Tensor:
    w1 = t["lokr_w1"] if "lokr_w1" in t else t["lokr_w1_a"] @ t["lokr_w1_b"]
    if "lokr_w2" in t:
        w2 = t["lokr_w2"]
    elif "lokr_t2" in t:
        w2 = _tucker(t["lokr_t2"], t["lokr_w2_a"], t["lokr_w2_b"])
    else:
        w2 = t["lokr_w2_a"] @ t["lokr_w2_b"]
    return torch.kron(w1.reshape(*w1.shape, *[1] * (w2.ndim - w1.ndim)), w2.contiguous())


def _kronecker_rank(t: Tensors) -> int | None:
    factor = t.get("lokr_w1_b", t.get("lokr_w2_b"))
    return None if factor is None else len(factor)


def _tucker(core: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """(out, in, h, w) of a core (r, s, h, w), and factors (r, out) and (s, in)."""
    return torch.einsum("rshw,ro,si->oihw", core, a, b)


def _sets(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(line.split()) for line in names)


_HADAMARD = "hada_w1_a hada_w1_b hada_w2_a hada_w2_b"
_SCALED = {"alpha", "dora_scale", "diff_b"}
KINDS = (
    Kind(
        "LoRA",
        _sets("down up", "down mid up"),
        frozenset(_SCALED | {"magnitude", "up_bias"}),
        _low_rank,
        lambda t: len(t["down"]),
    ),
    Kind(
        "LoHa",
        _sets(_HADAMARD, _HADAMARD + " hada_t1 hada_t2"),
        frozenset(_SCALED),
        _hadamard,
        lambda t: len(t["hada_w1_b"]),
    ),
    Kind(
        "LoKr",
        _sets(
            *(
                f"{first} {second}"
                for first, second in product(
                    ("lokr_w1", "lokr_w1_a lokr_w1_b"),
                    ("lokr_w2", "lokr_w2_a lokr_w2_b", "lokr_w2_a lokr_w2_b lokr_t2"),
                )
            )
        ),
        frozenset(_SCALED),
        _kronecker,
        _kronecker_rank,
    ),
    Kind("difference", _sets("diff"), frozenset({"diff_b"}), lambda t: t["diff"]),
    Kind("norm's difference", _sets("w_norm"), frozenset({"b_norm"}), lambda t: t["w_norm"]),
)
_BIASES = {"up_bias", "diff_b", "b_norm"}
EXTRAS = frozenset().union(*(kind.extras for kind in KINDS))


@dataclass(frozen=True)
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
        return self.kind.extras - (frozenset() if getattr(module, "bias", None) is not None else _BIASES)


def layer_of(file: AdapterFile, place: Place, names: Mapping[str, str]) -> Layer:
    """The layer that some tensors make.

    Raises:
        UserError: if they are too few or too many for any kind of adapter.
    """
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
    return Layer(file, place, names, kind)


@torch.no_grad()
def merge(layer: Layer, module: nn.Module, scale: float) -> None:
    """Changes a layer's weight, and its bias if the file says so, to the merged one.

    Raises:
        UserError: if a tensor does not fit, or the result is not finite.
    """
    weight, bias = module.weight, module.bias
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
    for role in _BIASES & t.keys():
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
        norm = norm + _FLOAT32_EPSILON
    return magnitude.reshape(shape) / norm * weight


def _misfit(layer: Layer, roles: "frozenset[str] | set[str] | list[str]", what: str) -> Exception:
    stated = ", ".join(
        f"{layer.names[r]} {tuple(layer.file.tensors[layer.names[r]].shape)}" for r in sorted(roles)
    )
    return layer.file.refused(
        f"{stated} does not fit {layer.place.part}.{layer.place.layer} with {what}",
        do="give the base model that it was trained on with --base",
    )

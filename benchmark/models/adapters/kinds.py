"""The kinds of adapters: which tensors make a layer of each, and what they add to its weight.

    LoRA, LoCon     up @ down;  of a convolution down has the kernel, or mid, between them, has it
    LoHa            (w1_a @ w1_b) * (w2_a @ w2_b)
    LoKr            kron(w1, w2)
    difference      diff, with diff_b for the bias;  of a norm  w_norm, b_norm

The sums and products of LoRA are those of PEFT's merge, in its order: the weights are PEFT's to the bit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Kind:
    """A kind of adapter.

    Attributes:
        name: What it is called.
        complete: The sets of tensors that make a layer of it.
        extras: Tensors that may stand beside them; on all layers or on none.
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
BIASES = {"up_bias", "diff_b", "b_norm"}
SET_BY_PART = {"magnitude", "up_bias"}
EXTRAS = frozenset().union(*(kind.extras for kind in KINDS))

"""Layers of another code that are several of the network's own, such as queries, keys and values in one.

An adapter of such a layer is merged into its whole matrix, which is put together for that and then split up
again: so every kind of adapter means there what it means anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Rows:
    """Rows of a layer's weight, and the same of its bias.

    Attributes:
        layer: As the network names it.
        part: Which of `of` equal parts, counted from 0.
        of: 1 for all rows.
    """

    layer: str
    part: int = 0
    of: int = 1

    def __call__(self, tensor: Tensor) -> Tensor:
        """A view of them."""
        size = len(tensor) // self.of
        return tensor[self.part * size : (self.part + 1) * size]


Joined: TypeAlias = Mapping[str, tuple[Rows, ...]]
"""Layers of another code by their names there, as rows of the network's own, from top to bottom."""


def join(network: nn.Module, rows: tuple[Rows, ...]) -> nn.Module:
    """A layer with these rows as its weight, and as its bias where they have one; a copy.

    Args:
        network: Whose layers they are of.
        rows: Of layers that have all a bias, or none.
    """
    layers = [network.get_submodule(one.layer) for one in rows]
    whole = nn.Module()
    for name in ("weight", "bias"):
        tensors = [getattr(layer, name, None) for layer in layers]
        found = [one(t.data) for one, t in zip(rows, tensors, strict=True) if t is not None]
        whole.register_parameter(name, nn.Parameter(torch.cat(found), requires_grad=False) if found else None)
    return whole


def put_back(network: nn.Module, rows: tuple[Rows, ...], whole: nn.Module) -> None:
    """The inverse of :func:`join`: copies a layer's rows to where they came from."""
    for name, tensor in whole.named_parameters():
        start = 0
        for one in rows:
            own = one(network.get_submodule(one.layer).get_parameter(name).data)
            own.copy_(tensor.data[start : start + len(own)])
            start += len(own)

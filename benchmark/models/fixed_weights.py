"""Networks whose weights do not change any more: what would be the same at every pass is done once.

Autocast rounds the weights of linear layers and convolutions to half precision at every pass. Rounded before,
they say the same to the bit.
"""

import copy
import warnings
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn

from benchmark.core.devices import free_memory, require_compiler

M = TypeVar("M", bound=nn.Module)

_SHARE = 3
"""A copy may take this part of the memory that is free: passes need the rest."""
_GRAPHS = 64
"""Compiled graphs of a function that torch keeps: of a process's trainings, and of the shapes sampled."""


def is_fixed(network: nn.Module) -> bool:
    """Whether no weight is trained, and the network is not compiled, which copies of it would not be."""
    # By `network.compile()`, or wrapped by `torch.compile(network)`.
    compiled = getattr(network, "_compiled_call_impl", None) is not None or hasattr(network, "_orig_mod")
    return not compiled and not any(weight.requires_grad for weight in network.parameters())


def rounded_layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers whose weights autocast rounds, by name."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            yield name, module


def sharing_copy(network: M, device: torch.device, dtype: torch.dtype | None) -> M:
    """Modules of their own around the same weights.

    Args:
        network: Stays as it is.
        device: Where it is.
        dtype: What autocast computes in: the weights that it would round are a rounded copy, unless there is
            no room for one. None: no weight is copied.
    """
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    if dtype is not None:
        whole = [
            weight
            for _, layer in rounded_layers(network)
            for weight in layer.parameters(recurse=False)
            if weight.dtype == torch.float32
        ]
        room = free_memory(str(device))
        if room is None or sum(weight.numel() * dtype.itemsize for weight in whole) * _SHARE <= room:
            shared |= {id(w): nn.Parameter(w.data.to(dtype), requires_grad=False) for w in whole}
    return copy.deepcopy(network, shared)


def compiled_for_passes(network: M, device: torch.device) -> M:
    """The network, which torch compiles at its first pass for the shapes of that one.

    Raises:
        UserError: if it cannot.
    """
    require_compiler(device.type)
    # Said of diffusers' own code, of which every process would repeat it.
    warnings.filterwarnings("ignore", "Dynamo detected a call to a `functools.lru_cache`")
    # Where training was compiled before it, its graphs have filled the eight that torch keeps of a function,
    # and it would go on without compiling, only slower.
    from torch._dynamo import config

    config.recompile_limit = max(config.recompile_limit, _GRAPHS)
    network.compile(dynamic=False)
    return network

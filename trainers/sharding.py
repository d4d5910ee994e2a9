"""FSDP 2: a full policy's weights, gradients and moments spread over the processes.

Asked for by `accelerate launch` with `distributed_type: FSDP`. Adapters are small and are not sharded, and
neither is the frozen reference. What is saved is whole, so a run goes on on any number of processes.
"""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from benchmark.models.families.unet.pipeline import BLOCKS


def is_sharding_asked_for() -> bool:
    """Whether Accelerate's launcher was told to shard."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def shard(unet: nn.Module) -> None:
    """Spreads a network over all processes; its parameters become shards, under the same names."""
    free = os.environ.get("FSDP_RESHARD_AFTER_FORWARD", "true").lower() != "false"
    for module in unet.modules():
        if type(module).__name__ in BLOCKS:
            fully_shard(module, reshard_after_forward=free)
    fully_shard(unet, reshard_after_forward=free)


def is_sharded(tensor: Tensor) -> bool:
    """Whether this process holds only a part of it."""
    return isinstance(tensor, DTensor)


def whole(value: Any) -> Any:
    """The same value, or tree of values, with every shard put together; all processes must ask."""
    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, Mapping):
        return {key: whole(one) for key, one in value.items()}
    return [whole(one) for one in value] if isinstance(value, list) else value


def like(value: Any, pattern: Tensor) -> Any:
    """A whole tensor, or a tree of them, in shards as another one is; the same where that one is whole."""
    if isinstance(value, Mapping):
        return {key: like(one, pattern) for key, one in value.items()}
    if isinstance(pattern, DTensor) and isinstance(value, Tensor) and value.shape == pattern.shape:
        return distribute_tensor(value.to(pattern.device), pattern.device_mesh, pattern.placements)
    return value


def add_up(parameters: list[nn.Parameter], processes: int) -> list[Tensor]:
    """Makes gradients of shards a sum over the processes, as FSDP leaves their mean; returns the others."""
    found = [p.grad for p in parameters if p.grad is not None]
    with torch.no_grad():
        for gradient in found:
            if is_sharded(gradient):
                gradient.mul_(processes)
    return [gradient for gradient in found if not is_sharded(gradient)]

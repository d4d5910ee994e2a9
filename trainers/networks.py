"""Policies and their reference: adapters on one network, or a copy of it, and the errors they make.

The reference is always the base model's own network with adapters off, so a LoRA run never holds a second
copy, and any number of policies share one pass of it.
"""

import copy
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from benchmark.models.conditioning import Conditioning
from benchmark.models.families.base import HALF, LoraTargets, Pipeline, Precision
from benchmark.models.fixed_weights import rounded_layers
from trainers.batches import NetworkInputs
from trainers.config import TrainConfig
from trainers.log_ratio import prediction_error


class Policy(ABC):
    """A network that is trained.

    Attributes:
        parameters: What the optimiser moves, by name.
        sharded: Whether it is spread over the processes, which must then do everything together.
    """

    parameters: dict[str, nn.Parameter]
    sharded: bool = False

    @abstractmethod
    def active(self) -> AbstractContextManager[nn.Module]:
        """The network as this policy."""

    @abstractmethod
    def save(self, folder: Path) -> str:
        """Writes the weights in a public layout of the family's; returns `lora` or `full`."""

    @abstractmethod
    def whole_network(self) -> nn.Module:
        """The network in one piece; the processes of a sharded policy must all ask."""


@dataclass(frozen=True, eq=False)
class BaseNetwork:
    """The base model's network, which the adapters of several policies may sit on.

    Attributes:
        pipeline: The base model.
        network: Its network, frozen but for adapters.
    """

    pipeline: Pipeline
    network: nn.Module

    @contextmanager
    def reference(self) -> Iterator[nn.Module]:
        """The base model: every adapter off."""
        for layer in self._layers():
            layer.enable_adapters(False)
        try:
            yield self.network
        finally:
            for layer in self._layers():
                layer.enable_adapters(True)

    def halve(self, precision: Precision) -> None:
        """Keeps frozen weights in the precision that autocast computes in: half the memory, equal results.

        These are the weights of linear layers and convolutions, which autocast would round at every step;
        adapters stay as they are. A full policy begins as a float32 copy, so it is made before.

        Args:
            precision: Of the networks.
        """
        if precision not in HALF:
            return
        for name, layer in rounded_layers(self.network):
            if ".lora_" not in name:
                layer.to(HALF[precision])
        for name, weight in self.network.named_parameters():
            if weight.dtype == torch.float32 and ".lora_" not in name:
                # Of a weight that still lies in its file's mapping, the whole file would stay in memory.
                weight.data = weight.data.clone()

    def release(self) -> None:
        """Takes the adapters off for good."""
        from diffusers.utils.peft_utils import recurse_remove_peft_layers

        if getattr(self.network, "peft_config", None):
            recurse_remove_peft_layers(self.network)
            del self.network.peft_config

    def _layers(self) -> list[Any]:
        from peft.tuners.tuners_utils import BaseTunerLayer

        return [module for module in self.network.modules() if isinstance(module, BaseTunerLayer)]


@final
class LoraPolicy(Policy):
    """A LoRA adapter; alpha is the rank, so that nothing is lost where a reader ignores alpha.

    Args:
        base: The network it sits on.
        name: Unique among the adapters of that network.
        rank: Of the adapter.
        targets: `attention` layers, or `all` linear and convolution layers of the blocks.
        seed: Of its first weights.
    """

    def __init__(self, base: BaseNetwork, name: str, rank: int, targets: LoraTargets, seed: int) -> None:
        from peft import LoraConfig, inject_adapter_in_model

        self.name, self._base = name, base
        modules = list(base.pipeline.lora_targets(targets))
        config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=modules)
        device = base.pipeline.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []), warnings.catch_warnings():
            # Several adapters on one network are what is meant here.
            warnings.filterwarnings("ignore", "Already found a `peft_config`")
            torch.manual_seed(seed)
            inject_adapter_in_model(config, base.network, name)
        self._layers = base._layers()  # noqa: SLF001  # two halves of one thing
        for layer in self._layers:
            # Under autocast the detour of half-precision activations over float32 only costs time.
            layer.cast_input_dtype_enabled = False
        own = ((n, p) for n, p in base.network.named_parameters() if f".{name}." in n)
        # Without the adapter's name: a run may go on beside others, under another one.
        self.parameters = {n.replace(f".{name}.", "."): p for n, p in own}

    @contextmanager
    def active(self) -> Iterator[nn.Module]:
        """The network with this adapter, and no other, on."""
        for layer in self._layers:
            layer.set_adapter([self.name])
        yield self._base.network

    def save(self, folder: Path) -> str:
        """Writes the adapter, with its alpha."""
        with self.active() as network:
            self._base.pipeline.save_adapter(network, self.name, folder)
        return "lora"

    def whole_network(self) -> nn.Module:
        """The network it sits on."""
        return self._base.network


@final
class FullPolicy(Policy):
    """A copy of the network, all of whose weights are trained.

    Args:
        base: The network it is a copy of.
        compiled: Let torch compile the copy.
    """

    def __init__(self, base: BaseNetwork, *, compiled: bool = False) -> None:
        base.release()  # a copy must not carry adapters
        self._pipeline = base.pipeline
        self.network = copy.deepcopy(base.network).requires_grad_(True)
        if is_sharding_asked_for():
            shard(self.network, self._pipeline.blocks_to_shard(self.network))
        if compiled:
            self.network.compile()
        self.parameters = dict(self.network.named_parameters())
        self.sharded = any(is_sharded(p) for p in self.parameters.values())

    @contextmanager
    def active(self) -> Iterator[nn.Module]:
        """The copy."""
        yield self.network

    def save(self, folder: Path) -> str:
        """Writes the whole copy."""
        self._pipeline.save_network(self.whole_network(), folder)
        return "full"

    def whole_network(self) -> nn.Module:
        """The copy in one piece."""
        if not self.sharded:
            return self.network
        network = self._pipeline.empty_network()
        network.load_state_dict({name: whole(v).cpu() for name, v in self.network.state_dict().items()})
        return network


def base_network(
    pipeline: Pipeline, *, gradient_checkpointing: bool = False, compiled: bool = False
) -> BaseNetwork:
    """The pipeline's network made ready for training.

    Args:
        pipeline: The base model.
        gradient_checkpointing: Less memory, more time.
        compiled: Let torch compile it when it is first called.
    """
    network = pipeline.trainable(gradient_checkpointing=gradient_checkpointing, compiled=compiled)
    return BaseNetwork(pipeline, network)


def new_policy(config: TrainConfig, base: BaseNetwork, name: str) -> Policy:
    """A policy at the reference.

    Args:
        config: Adapter or all weights.
        base: The base model's network.
        name: Unique among the policies of this process.
    """
    if config.lora_rank == "full":
        return FullPolicy(base, compiled=config.compile)
    return LoraPolicy(base, name, config.lora_rank, config.lora_targets, config.seed)


@dataclass(frozen=True, eq=False)
class NetworkErrors:
    """What a network said of a batch.

    Attributes:
        error: $m$, the mean squared error of each prediction, float32.
        prediction: The predictions, where they were asked for.
    """

    error: Float[Tensor, "sides draws n"]
    prediction: Float[Tensor, "sides draws n c h w"] | None = None


def network_errors(
    pipeline: Pipeline,
    network: nn.Module,
    inputs: NetworkInputs,
    parts: Sequence[slice] = (slice(None),),
    *,
    sides: int = 2,
    keep: bool = False,
) -> NetworkErrors:
    """What a network says of pairs, part by part: one forward pass each, and another where there is guidance.

    Args:
        pipeline: How it is asked.
        network: Policy or reference.
        inputs: The pairs.
        parts: Of the pairs, consecutive; the others are left out.
        sides: 1 for the winners alone.
        keep: Whether the predictions are wanted as well.
    """
    errors, kept = list[Tensor](), list[Tensor]()
    for part in parts:
        # Of a part that is not wanted later only the errors stay: that is what parts are for.
        prediction, target = _forward(pipeline, network, inputs, part, sides)
        errors.append(prediction_error(prediction, target))
        if keep:
            kept.append(prediction.float())
        del prediction
    return NetworkErrors(_joined(errors), _joined(kept) if keep else None)


def _forward(
    pipeline: Pipeline, network: nn.Module, inputs: NetworkInputs, part: slice, sides: int
) -> tuple[Float[Tensor, "sides draws n c h w"], Float[Tensor, "sides draws n c h w"]]:
    """Predictions of a part of the pairs, and their targets."""
    noisy, target = inputs.noisy[:sides, :, part], inputs.target[:sides, :, part]
    draws = noisy.shape[1]
    t = inputs.t[:, part][None].expand(sides, -1, -1).flatten()
    placed = inputs.size_and_crop[:sides, None, part].expand(-1, draws, -1, -1).flatten(0, 2)
    flat = noisy.flatten(0, 2)

    def predicted(told: Conditioning) -> Float[Tensor, "rows c h w"]:
        return pipeline.predict(network, flat, t, told, placed)

    prediction = predicted(inputs.text[part].repeat(sides * draws))
    if inputs.empty is not None:
        empty = predicted(inputs.empty.repeat(len(flat)))
        prediction = pipeline.guided(empty, prediction, inputs.guidance)
    return prediction.unflatten(0, target.shape[:3]), target


def _joined(parts: list[Tensor]) -> Tensor:
    """Parts of the pairs put together again."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


def split(n: int, parts: int) -> list[slice]:
    """About equal consecutive parts of n pairs."""
    size = -(-n // parts)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


# --- FSDP 2: a full policy's weights, gradients and moments spread over the processes ---------------------
# Asked for by `accelerate launch` with `distributed_type: FSDP`. Adapters are small and are not sharded, and
# neither is the frozen reference. What is saved is whole, so a run goes on on any number of processes.


def is_sharding_asked_for() -> bool:
    """Whether Accelerate's launcher was told to shard."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def shard(network: nn.Module, blocks: Sequence[nn.Module]) -> None:
    """Spreads a network over all processes; its parameters become shards, under the same names.

    Args:
        network: The whole one.
        blocks: What is gathered at a time.
    """
    free = os.environ.get("FSDP_RESHARD_AFTER_FORWARD", "true").lower() != "false"
    for module in (*blocks, network):
        fully_shard(module, reshard_after_forward=free)


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

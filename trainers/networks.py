"""Policies and their reference: adapters on one UNet, or a copy of it, and the errors they make.

The reference is always the base model's own UNet with adapters off, so a LoRA run never holds a second
copy, and any number of policies share one pass of it.
"""

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn

from benchmark.models.conditioning import Conditioning
from benchmark.models.families.base import LoraTargets, Pipeline, Precision
from benchmark.models.families.unet.pipeline import LORA_TARGETS
from trainers.draws import NetworkInputs
from trainers.log_ratio import prediction_error
from trainers.sharding import is_sharded, is_sharding_asked_for, shard, whole


class Policy(ABC):
    """A UNet that is trained.

    Attributes:
        parameters: What the optimiser moves, by name.
        sharded: Whether it is spread over the processes, which must then do everything together.
    """

    parameters: dict[str, nn.Parameter]
    sharded: bool = False

    @abstractmethod
    def active(self) -> AbstractContextManager[UNet2DConditionModel]:
        """The UNet as this policy."""

    @abstractmethod
    def whole_unet(self) -> UNet2DConditionModel:
        """The UNet in one piece; the processes of a sharded policy must all ask."""


@dataclass(frozen=True, eq=False)
class SharedUNet:
    """The base model's UNet, which the adapters of several policies may sit on.

    Attributes:
        unet: In channels-last layout, frozen but for adapters.
    """

    unet: UNet2DConditionModel

    @contextmanager
    def reference(self) -> Iterator[UNet2DConditionModel]:
        """The base model: every adapter off."""
        for layer in self._layers():
            layer.enable_adapters(False)
        try:
            yield self.unet
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
        if precision == "fp32":
            return
        dtype = torch.bfloat16 if precision == "bf16" else torch.float16
        for name, module in self.unet.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d) and ".lora_" not in name:
                module.to(dtype)
        for name, weight in self.unet.named_parameters():
            if weight.dtype == torch.float32 and ".lora_" not in name:
                # Of a weight that still lies in its file's mapping, the whole file would stay in memory.
                weight.data = weight.data.clone()

    def release(self) -> None:
        """Takes the adapters off for good."""
        if getattr(self.unet, "peft_config", None):
            self.unet.unload_lora()

    def _layers(self) -> list[Any]:
        from peft.tuners.tuners_utils import BaseTunerLayer

        return [module for module in self.unet.modules() if isinstance(module, BaseTunerLayer)]


@final
class LoraPolicy(Policy):
    """A LoRA adapter; alpha is the rank, so that nothing is lost where a reader ignores alpha.

    Args:
        shared: The UNet it sits on.
        name: Unique among the adapters of that UNet.
        rank: Of the adapter.
        targets: `attention` layers, or `all` linear and convolution layers of the blocks.
        seed: Of its first weights.
    """

    def __init__(self, shared: SharedUNet, name: str, rank: int, targets: LoraTargets, seed: int) -> None:
        from peft import LoraConfig

        self.name, self._shared = name, shared
        modules = list(LORA_TARGETS[targets])
        config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=modules)
        devices = [shared.unet.device] if shared.unet.device.type == "cuda" else []
        with torch.random.fork_rng(devices), warnings.catch_warnings():
            # Several adapters on one UNet are what is meant here.
            warnings.filterwarnings("ignore", "Already found a `peft_config`")
            torch.manual_seed(seed)
            shared.unet.add_adapter(config, name)
        self._layers = shared._layers()  # noqa: SLF001  # two halves of one thing
        for layer in self._layers:
            # Under autocast the detour of half-precision activations over float32 only costs time.
            layer.cast_input_dtype_enabled = False
        own = ((n, p) for n, p in shared.unet.named_parameters() if f".{name}." in n)
        # Without the adapter's name: a run may go on beside others, under another one.
        self.parameters = {n.replace(f".{name}.", "."): p for n, p in own}

    @contextmanager
    def active(self) -> Iterator[UNet2DConditionModel]:
        """The UNet with this adapter, and no other, on."""
        for layer in self._layers:
            layer.set_adapter([self.name])
        yield self._shared.unet

    def whole_unet(self) -> UNet2DConditionModel:
        """The UNet it sits on."""
        return self._shared.unet


@final
class FullPolicy(Policy):
    """A copy of the UNet, all of whose weights are trained.

    Args:
        shared: The UNet it is a copy of.
        compiled: Let torch compile the copy.
    """

    def __init__(self, shared: SharedUNet, *, compiled: bool = False) -> None:
        shared.release()  # a copy must not carry adapters
        self.unet = copy.deepcopy(shared.unet).requires_grad_(True)
        if is_sharding_asked_for():
            shard(self.unet)
        if compiled:
            self.unet.compile()
        self.parameters = dict(self.unet.named_parameters())
        self.sharded = any(is_sharded(p) for p in self.parameters.values())

    @contextmanager
    def active(self) -> Iterator[UNet2DConditionModel]:
        """The copy."""
        yield self.unet

    def whole_unet(self) -> UNet2DConditionModel:
        """The copy in one piece."""
        if not self.sharded:
            return self.unet
        unet: UNet2DConditionModel = UNet2DConditionModel.from_config(self.unet.config)
        unet.load_state_dict({name: whole(value).cpu() for name, value in self.unet.state_dict().items()})
        return unet


def share_unet(
    pipeline: Pipeline, *, gradient_checkpointing: bool = False, compiled: bool = False
) -> SharedUNet:
    """The pipeline's UNet made ready for training: frozen, in the layout convolutions are quick in.

    Args:
        pipeline: The base model.
        gradient_checkpointing: Less memory, more time.
        compiled: Let torch compile it when it is first called.
    """
    return SharedUNet(pipeline.trainable(gradient_checkpointing=gradient_checkpointing, compiled=compiled))


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
    unet: nn.Module,
    inputs: NetworkInputs,
    *,
    sides: int = 2,
    pairs: slice = slice(None),
    keep: bool = False,
) -> NetworkErrors:
    """One forward pass over pairs.

    Args:
        pipeline: For its precision.
        unet: Policy or reference.
        inputs: The pairs.
        sides: 1 for the winners alone.
        pairs: Which of them.
        keep: Whether the predictions are wanted as well.
    """
    noisy, target = inputs.noisy[:sides, :, pairs], inputs.target[:sides, :, pairs]
    draws = noisy.shape[1]
    t = inputs.t[:, pairs][None].expand(sides, -1, -1).flatten()
    ids = inputs.time_ids[:sides, None, pairs].expand(-1, draws, -1, -1).flatten(0, 2)
    flat = noisy.flatten(0, 2)

    def said(text: Conditioning) -> Float[Tensor, "sides draws n c h w"]:
        out = pipeline.predict(unet, flat, t, text, ids[:, :4])
        shaped: Tensor = out.unflatten(0, target.shape[:3])
        return shaped

    prediction = said(inputs.text[pairs].repeat(sides * draws))
    if inputs.empty is not None:
        empty = said(inputs.empty.repeat(len(flat)))
        prediction = empty + inputs.guidance * (prediction - empty)
    return NetworkErrors(prediction_error(prediction, target), prediction.float() if keep else None)


def join(parts: list[NetworkErrors]) -> NetworkErrors:
    """Micro-batches put together again."""
    if len(parts) == 1:
        return parts[0]
    kept = [p.prediction for p in parts if p.prediction is not None]
    return NetworkErrors(torch.cat([p.error for p in parts], dim=2), torch.cat(kept, dim=2) if kept else None)


def split(n: int, parts: int) -> list[slice]:
    """About equal consecutive parts of n pairs."""
    size = -(-n // parts)
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]

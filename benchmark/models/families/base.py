"""The family protocol: all that a training loop or a sampler may ask of a loaded base model.

Time runs from images to noise and is the family's own: integer timesteps of a noise schedule, or a sigma.
Whoever needs one number for all families asks for `noise_level`. Latents have the shape (C, H, W), whatever
a network reads them as; what it is told of prompts is a `Conditioning`, whatever parts that has.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Num, UInt8
from torch import Tensor, nn

from benchmark.core.records import Sampler
from benchmark.models.conditioning import Conditioning
from benchmark.models.facts import Family, ModelFacts, not_of_a_flow
from benchmark.models.fixed_weights import compiled_for_passes, is_fixed, sharing_copy
from benchmark.models.steps import SamplerSteps, TransitionSteps, no_gaussian_steps

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
HALF: Final[Mapping[str, torch.dtype]] = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The precisions below float32."""
P = TypeVar("P", bound="Pipeline")
LoraTargets: TypeAlias = Literal["attention", "all"]
ErrorOf: TypeAlias = Literal["prediction", "noise", "image"]
"""Whose error a log-ratio is made of: what the network predicts, or what follows from that."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Pipeline(ABC):
    """A text-to-image latent diffusion model on one device, opened in float32 and in eval mode.

    Attributes:
        family: What it is one of.
        name: Of the base model, for people; a checkpoint is matched to it by `content_hash`.
        device: Where the parts are.
        precision: What :meth:`autocast` computes in unless told otherwise.
        sampler: How its images are made by default, in that precision.
        revision: Of the weights: the hub's commit, or a hash of the files.
        place: Where it was opened; None for one that was never on disk.
    """

    family: ClassVar[Family]
    name: str
    device: torch.device
    precision: Precision
    sampler: Sampler
    revision: str = ""
    place: Path | None = None

    # --- what it is -----------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def open(
        cls, place: Path, facts: ModelFacts, device: torch.device, precision: str, revision: str
    ) -> "Pipeline":
        """Opens a base model strictly: every weight is found, and none is left over.

        Args:
            place: Its folder or file.
            facts: Its name and default sampling.
            device: Where its parts go.
            precision: `auto`, `fp32`, `bf16` or `fp16`; see `loading.resolve_precision`.
            revision: Of the weights, where it is known; empty: the files are hashed.

        Raises:
            UserError: if it is of another family, or a part is missing, unreadable or incomplete.
        """

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The network that is trained, the policy; of an adapter's checkpoint with the adapter merged in."""

    @abstractmethod
    def with_network(self: P, network: nn.Module) -> P:
        """The same with another policy of the same architecture; all else is shared."""

    @property
    @abstractmethod
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image's latents."""

    @property
    @abstractmethod
    def image_size(self) -> int:
        """Height and width of an image in pixels."""

    @property
    def latent_size(self) -> int:
        """D = C * H * W, the dimension that the log-ratio's scale is stated for."""
        return math.prod(self.latent_shape)

    @cached_property
    def content_hash(self) -> str:
        """The hash it is recognised by, whatever it is called, wherever it lies; reads all of its files."""
        return self.revision if self.place is None else self.family.content_hash(self.place)

    def autocast(self, precision: Precision | None = None) -> AbstractContextManager[object]:
        """The context in which networks run: autocast to half precision, or nothing for float32.

        Args:
            precision: Instead of the pipeline's own.
        """
        dtype = HALF.get(precision or self.precision)
        if dtype is None:
            return nullcontext()
        # No weight is used twice in a pass, so that a rounded copy of each would be kept for nobody.
        return torch.autocast(self.device.type, dtype, cache_enabled=False)

    # --- prompts and images ---------------------------------------------------------------------

    @abstractmethod
    def encode_prompts(self, texts: list[str]) -> Conditioning:
        """Encodes prompts as the network is told of them, in float32: once, and every step depends on it.

        Args:
            texts: Prompts; what is beyond the model's length is cut off.
        """

    @abstractmethod
    def encode_empty(self) -> Conditioning:
        """The one row that stands for no prompt: for guidance, and where a caption is dropped."""

    @abstractmethod
    def prompt_encoders_id(self) -> list[object]:
        """All that decides :meth:`encode_prompts` beside the prompts; its JSON is part of a cache's key."""

    @abstractmethod
    def encode_images(self, images: UInt8[np.ndarray, "n height width 3"]) -> Float[Tensor, "n c h w"]:
        """Latents of images, float32.

        Args:
            images: sRGB, of `image_size`.
        """

    @abstractmethod
    def image_encoder_id(self) -> list[object]:
        """All that decides :meth:`encode_images` beside the images, likewise."""

    @abstractmethod
    def decode(
        self, latents: Float[Tensor, "n c h w"], precision: Precision | None = None
    ) -> UInt8[np.ndarray, "n height width 3"]:
        """Images of latents, sRGB, in one batch.

        Args:
            latents: Finite.
            precision: Instead of the pipeline's own.
        """

    @abstractmethod
    def release_encoders(self) -> None:
        """Gives back the memory of all parts but the network, once everything is encoded.

        Shapes and sizes stay known. Whoever wants to encode all the same gets an error.
        """

    # --- noise, and what the network says of it -------------------------------------------------

    @abstractmethod
    def sample_t(self, u: Float[np.ndarray, "*batch"]) -> Num[Tensor, "*batch"]:
        """Times, on the device.

        Args:
            u: How far from images to noise, in [0, 1): uniform where training draws uniformly.
        """

    def density(self, asked: str | None) -> Callable[[np.ndarray], np.ndarray] | None:
        """From which density training draws times: a map of uniform numbers to those `sample_t` takes.

        Args:
            asked: As the setting `t_density` has it; None for the family's own.

        Returns:
            The map, whose text is the density with every choice resolved; None: uniform.

        Raises:
            UserError: for a density that the family does not have; here, for any.
        """
        if asked is not None:
            raise not_of_a_flow(self.name, f"t_density is {asked}")
        return None

    def error_weight(self, t: Num[Tensor, "*batch"], of: ErrorOf) -> Float[Tensor, "*batch"] | None:
        """By what an error of the network's prediction is multiplied to be that of something else.

        Args:
            t: Times.
            of: Of what.

        Returns:
            The factor at each time; None for 1.

        Raises:
            UserError: for what the family does not have; here, for anything but the prediction.
        """
        del t
        if of != "prediction":
            raise not_of_a_flow(self.name, f"error_of is {of}")
        return None

    @abstractmethod
    def noise_level(self, t: Num[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Times as numbers in [0, 1) that grow with the noise, on the same device."""

    @abstractmethod
    def add_noise(
        self, latents: Float[Tensor, "n c h w"], noise: Float[Tensor, "n c h w"], t: Num[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """The noisy latents $x_t$ of clean ones."""

    @abstractmethod
    def target(
        self, latents: Float[Tensor, "n c h w"], noise: Float[Tensor, "n c h w"], t: Num[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """The right answer of the network to `add_noise(latents, noise, t)`."""

    @abstractmethod
    def predict(
        self,
        network: nn.Module,
        noisy: Float[Tensor, "n c h w"],
        t: Num[Tensor, "*rows"],
        told: Conditioning,
        size_and_crop: Float[Tensor, "n 4"] | None = None,
        precision: Precision | None = None,
    ) -> Float[Tensor, "n c h w"]:
        """A network's answer to noisy latents, in the precision it answers in.

        Memory layout, autocast and whatever else the family's networks are told are seen to here.

        Args:
            network: The policy or the reference.
            noisy: $x_t$.
            t: The time of each row, or one for all.
            told: Of each row.
            size_and_crop: Each original image's height and width in pixels, then top and left of the crop
                after it was resized; None: images to be made, uncropped.
            precision: Instead of the pipeline's own.
        """

    @abstractmethod
    def sampler_steps(self, sampler: Sampler) -> SamplerSteps:
        """A walk of the sampler from noise to latents.

        Raises:
            UnknownNameError: for a sampler this family is not sampled by.
        """

    def tell_guidance(self, told: Conditioning, scale: float) -> Conditioning | None:
        """What a network is told that was distilled from a guided one, and so reads the scale.

        Args:
            told: Of prompts; as it is, it stands for the scale that training uses.
            scale: Of guidance; 1 is none.

        Returns:
            The same with the scale; None for a network that is guided by what it says without a prompt.
        """
        del told, scale
        return None

    def transition_steps(self, count: int) -> TransitionSteps:
        """The steps of a stochastic walk as Gaussians.

        Args:
            count: Steps of a walk.

        Raises:
            UserError: for a family that has none, unless it says otherwise.
        """
        del count
        raise no_gaussian_steps(self.name)

    def guided(
        self, empty: Float[Tensor, "n c h w"], conditional: Float[Tensor, "n c h w"], scale: float
    ) -> Float[Tensor, "n c h w"]:
        r"""Classifier-free guidance.

        $$ \hat\epsilon = \epsilon_\varnothing + g\,(\epsilon_c - \epsilon_\varnothing) $$

        Args:
            empty: What the network says without a prompt.
            conditional: And with one.
            scale: g.
        """
        return empty + scale * (conditional - empty)

    def for_sampling(self, precision: Precision, *, compiled: bool = False) -> "Pipeline":
        """The same, ready for many passes without gradients, to which it says the same to the bit.

        In half precision the network's weights are rounded once, and not at every pass. One in training, or
        compiled, stays as it is.

        Args:
            precision: That of the passes.
            compiled: Let torch compile it for the shapes of the first pass: then it says the same but for
                rounding. Networks of one config share what was compiled.

        Raises:
            UserError: if it is to be compiled, and the machine has no compiler.
        """
        if not is_fixed(self.network) or not (compiled or precision in HALF):
            return self
        network = sharing_copy(self.network, self.device, HALF.get(precision))
        return self.with_network(compiled_for_passes(network, self.device) if compiled else network)

    # --- training -------------------------------------------------------------------------------

    @abstractmethod
    def trainable(self, *, gradient_checkpointing: bool = False, compiled: bool = False) -> nn.Module:
        """The network itself made ready for training: frozen, and laid out as it is quick.

        Args:
            gradient_checkpointing: Less memory, more time.
            compiled: Let torch compile it when it is first called.
        """

    @abstractmethod
    def lora_targets(self, which: LoraTargets) -> tuple[str, ...]:
        """The ends of the names of the layers that an adapter sits on.

        Args:
            which: `attention` layers, or `all` linear and convolution layers of the blocks.
        """

    @abstractmethod
    def blocks_to_shard(self, network: nn.Module) -> list[nn.Module]:
        """The repeated parts of a network, each gathered as one where it is spread over processes."""

    @abstractmethod
    def empty_network(self) -> nn.Module:
        """A new network of the same architecture, with random weights."""

    # --- checkpoints ----------------------------------------------------------------------------

    @abstractmethod
    def save_network(self, network: nn.Module, folder: Path) -> None:
        """Writes a whole network in the layout that the field's tools open.

        Equal weights make equal files, wherever the base model lay.

        Args:
            network: In one piece.
            folder: The checkpoint's.
        """

    @abstractmethod
    def save_adapter(self, network: nn.Module, adapter_name: str, folder: Path) -> None:
        """Writes a PEFT adapter in the layout that the field's tools open, with its alpha.

        Args:
            network: What it sits on.
            adapter_name: Which of the adapters there.
            folder: The checkpoint's.
        """

    @abstractmethod
    def open_policy(self: P, place: Path) -> P:
        """This base model with the parts that a checkpoint holds in its own parts' place.

        Args:
            place: The checkpoint's folder or file, of any form in `family.checkpoints`.

        Raises:
            UserError: if there is nothing of the kind, or it was trained from another base model.
        """

"""A loaded flow-matching model: all that its families have in common."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Num, UInt8
from torch import Tensor, nn

from benchmark.core.errors import UnknownNameError, UnreadableFileError
from benchmark.core.records import Sampler
from benchmark.models.adapters.names import LayerNames
from benchmark.models.adapters.saving import save_adapter
from benchmark.models.conditioning import Conditioning
from benchmark.models.facts import ModelFacts
from benchmark.models.families.base import ErrorOf, LoraTargets, Pipeline, Precision
from benchmark.models.files import INDEX
from benchmark.models.flow import euler, process
from benchmark.models.flow.densities import MODEL, SigmaDensity, parse_density
from benchmark.models.flow.facts import own_facts
from benchmark.models.flow.images import kl_latents, kl_pixels
from benchmark.models.flow.names import layer_names
from benchmark.models.flow.policies import TRANSFORMER, policy_parts, save_network
from benchmark.models.flow.schedules import Schedule
from benchmark.models.flow.texts import encoder_id
from benchmark.models.loading import resolve_precision, weights_sha256
from benchmark.models.steps import SamplerSteps, TransitionSteps

F = TypeVar("F", bound="FlowPipeline")
ENCODED_PIXELS = 2**20
"""Of a pass of the autoencoder's encoder: one image of 1024 x 1024."""
_BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


@dataclass(frozen=True, eq=False, kw_only=True)
class FlowPipeline(Pipeline):
    """A transformer that predicts the velocity from image to noise, on latents of an autoencoder.

    A family states the class variables, the dataclass fields of its text encoders and tokenizers, and the
    methods that are abstract here. Times are sigmas, float32.

    Attributes:
        facts: Of its folder: the sizes of latents and images.
        transformer: The policy; with a LoRA checkpoint the adapter is merged in.
        vae: Images to latents and back.
        schedule: The sigmas of its sampler.
    """

    targets: ClassVar[Mapping[LoraTargets, tuple[str, ...]]]
    """The ends of the names of the layers that an adapter sits on."""
    blocks: ClassVar[tuple[str, ...]]
    """The repeated parts of the transformer, by their classes."""
    default_density: ClassVar[str] = f"logit_normal(shift='{MODEL}')"
    """From which training draws sigma unless told otherwise."""

    facts: ModelFacts
    transformer: nn.Module
    vae: nn.Module
    schedule: Schedule

    # --- what a family states -------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def parts(
        cls, folder: Path, facts: ModelFacts, device: torch.device, precision: Precision
    ) -> dict[str, Any]:
        """The parts of the pipeline in a local diffusers folder, by the names of the dataclass's fields.

        Args:
            folder: As `save_pretrained` of diffusers writes it, with an index of a class of the family.
            facts: Of the folder.
            device: Where its parts go.
            precision: What large text encoders are kept in; see `texts.language_dtype`.

        Raises:
            UserError: if a part is missing, unreadable or incomplete.
        """

    @staticmethod
    @abstractmethod
    def writer() -> Any:
        """The class of diffusers' pipelines that writes its adapters."""

    @abstractmethod
    def text_parts(self) -> Iterator[tuple[Any, nn.Module]]:
        """Each tokenizer with the encoder that reads its ids."""

    @abstractmethod
    def text_settings(self) -> list[object]:
        """What else decides :meth:`encode_prompts`, such as lengths and templates; JSON."""

    @abstractmethod
    def velocity(
        self,
        network: nn.Module,
        noisy: Float[Tensor, "n c h w"],
        sigma: Float[Tensor, " n"],
        told: Conditioning,
    ) -> Float[Tensor, "n c h w"]:
        """A network's answer, under autocast: the velocity, in the latents' shape."""

    # --- what it is -----------------------------------------------------------------------------

    @classmethod
    def open(  # noqa: PYI019  # no Self: the checks of shapes in tests cannot read it
        cls: type[F], place: Path, facts: ModelFacts, device: torch.device, precision: str, revision: str
    ) -> F:
        """See :meth:`Pipeline.open`: a diffusers folder."""
        if not (place / INDEX).is_file():
            raise UnreadableFileError(place, "a diffusers pipeline", f"it has no {INDEX}")
        chosen = resolve_precision(precision, device)
        own = own_facts(place, cls.family)
        parts = cls.parts(place, own, device, chosen)
        # Of a hub id nothing was known: its folder says how it is sampled.
        sampler = own.sampler if facts.family is None else facts.sampler
        return cls(
            name=facts.name,
            device=device,
            precision=chosen,
            sampler=replace(sampler, precision=chosen),
            revision=revision or cls.family.content_hash(place),
            place=place,
            facts=own,
            **parts,
        )

    @property
    def network(self) -> nn.Module:
        """The transformer."""
        return self.transformer

    def with_network(self: F, network: nn.Module) -> F:  # noqa: PYI019
        """The same with another transformer."""
        return replace(self, transformer=network)

    @property
    def config(self) -> Mapping[str, Any]:
        """The transformer's."""
        found: Mapping[str, Any] = self.transformer.config  # type: ignore[assignment]  # nn.Module knows no config
        return found

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image's latents."""
        return self.facts.latent_shape

    @property
    def image_size(self) -> int:
        """Height and width of an image in pixels."""
        return self.facts.image_size

    # --- prompts and images ---------------------------------------------------------------------

    def encode_empty(self) -> Conditioning:
        """What the text encoders say of an empty prompt."""
        return self.encode_prompts([""])

    @cached_property
    def _prompt_encoders(self) -> list[object]:
        return [*(encoder_id(*each) for each in self.text_parts()), *self.text_settings()]

    def prompt_encoders_id(self) -> list[object]:
        """Weights and vocabularies of the text encoders, and how they are asked."""
        return self._prompt_encoders

    def image_encoder_id(self) -> list[object]:
        """The autoencoder's weights, scale and shift, and the precision it runs in."""
        config: Any = self.vae.config
        names = ("scaling_factor", "shift_factor", "latents_mean", "latents_std")
        return [weights_sha256(self.vae), [config.get(name) for name in names], self.precision]

    def release_encoders(self) -> None:
        """Autoencoder and text encoders stay as meta tensors, with their configs."""
        for part in (self.vae, *(encoder for _, encoder in self.text_parts())):
            part.to("meta")

    def vae_autocast(self, precision: Precision | None = None) -> AbstractContextManager[object]:
        """As `autocast`, but float32 in fp16 where the autoencoder's config says `force_upcast`."""
        config: Any = self.vae.config
        chosen = precision or self.precision
        return self.autocast("fp32" if chosen == "fp16" and config.get("force_upcast") else chosen)

    def to_latents(self, pixels: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n c h w"]:
        """Latents of pixels in [-1, 1], under autocast; here, of an `AutoencoderKL`."""
        return kl_latents(self.vae, pixels)

    def to_pixels(self, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 height width"]:
        """Pixels in about [-1, 1] of latents, under autocast; here, of an `AutoencoderKL`."""
        return kl_pixels(self.vae, latents)

    @torch.no_grad()
    def encode_images(self, images: UInt8[np.ndarray, "n height width 3"]) -> Float[Tensor, "n c h w"]:
        """Scaled and shifted latents of images, of the posterior's mean."""
        at_once = max(1, ENCODED_PIXELS // (images.shape[1] * images.shape[2]))
        found = []
        for part in torch.from_numpy(images).split(at_once):
            pixels = part.to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
            with self.vae_autocast():
                latents = self.to_latents(pixels.contiguous(memory_format=torch.channels_last))
            found.append(latents.float())
        return torch.cat(found).contiguous()

    @torch.no_grad()
    def decode(
        self, latents: Float[Tensor, "n c h w"], precision: Precision | None = None
    ) -> UInt8[np.ndarray, "n height width 3"]:
        """Images of scaled and shifted latents."""
        with self.vae_autocast(precision):
            decoded = self.to_pixels(latents.contiguous(memory_format=torch.channels_last)).float()
        pixels = (decoded * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1) * 255
        return np.ascontiguousarray(pixels.round().to(torch.uint8).cpu().numpy())

    # --- noise, and what the transformer says of it -----------------------------------------------

    def sample_t(self, u: Float[np.ndarray, "*batch"]) -> Num[Tensor, "*batch"]:
        """Sigmas, float32, below 1."""
        return torch.from_numpy(np.minimum(u, _BELOW_ONE).astype(np.float32)).to(self.device)

    def density(self, asked: str | None) -> SigmaDensity:
        """Of sigma, as the setting has it; see :mod:`benchmark.models.flow.densities`."""
        return parse_density(asked or self.default_density, self.schedule.shift)

    def error_weight(self, t: Num[Tensor, "*batch"], of: ErrorOf) -> Float[Tensor, "*batch"] | None:
        """See :data:`benchmark.models.flow.process.WEIGHTS`."""
        weight = process.WEIGHTS[of]
        return None if weight is None else weight(t.float())

    def noise_level(self, t: Num[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Sigma itself; noise alone, where a walk begins, counts as just below 1."""
        return t.clamp(max=_BELOW_ONE)

    def add_noise(
        self, latents: Float[Tensor, "n c h w"], noise: Float[Tensor, "n c h w"], t: Num[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """See :func:`benchmark.models.flow.process.noisy`."""
        return process.noisy(latents, noise, t)

    def target(
        self, latents: Float[Tensor, "n c h w"], noise: Float[Tensor, "n c h w"], t: Num[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """The velocity."""
        del t  # it is the same everywhere
        return process.velocity(latents, noise)

    def predict(
        self,
        network: nn.Module,
        noisy: Float[Tensor, "n c h w"],
        t: Num[Tensor, "*rows"],
        told: Conditioning,
        size_and_crop: Float[Tensor, "n 4"] | None = None,
        precision: Precision | None = None,
    ) -> Float[Tensor, "n c h w"]:
        """See :meth:`Pipeline.predict`; sizes and crops are not told."""
        del size_and_crop
        with self.autocast(precision):
            return self.velocity(network, noisy, t.expand(len(noisy)), told)

    def sampler_steps(self, sampler: Sampler) -> SamplerSteps:
        """A walk by Euler's steps."""
        if sampler.name not in self.family.samplers:
            raise UnknownNameError("sampler", sampler.name, self.family.samplers)
        return euler.EulerSteps(self.schedule.sigmas(sampler.steps), sampler.eta, self.device)

    def transition_steps(self, count: int) -> TransitionSteps:
        r"""The steps of the sampler with $\eta = 1$."""
        return euler.transition_steps(self.schedule.sigmas(count))

    # --- training and checkpoints ---------------------------------------------------------------

    def trainable(self, *, gradient_checkpointing: bool = False, compiled: bool = False) -> nn.Module:
        """The transformer, frozen."""
        transformer: Any = self.transformer.requires_grad_(False)
        if gradient_checkpointing:
            transformer.enable_gradient_checkpointing()
        if compiled:
            transformer.compile()
        return self.transformer

    def lora_targets(self, which: LoraTargets) -> tuple[str, ...]:
        """`attention` layers, or `all` linear layers of the blocks."""
        return self.targets[which]

    def blocks_to_shard(self, network: nn.Module) -> list[nn.Module]:
        """The transformer's blocks."""
        return [module for module in network.modules() if type(module).__name__ in self.blocks]

    def empty_network(self) -> nn.Module:
        """A transformer of the same config."""
        kind: Any = type(self.transformer)
        made: nn.Module = kind.from_config(self.config)
        return made

    def save_network(self, network: nn.Module, folder: Path) -> None:
        """Writes `transformer/`, which plain diffusers opens."""
        save_network(network, folder)

    def save_adapter(self, network: nn.Module, adapter_name: str, folder: Path) -> None:
        """Writes `pytorch_lora_weights.safetensors`, which plain diffusers and PEFT open."""
        save_adapter(self.writer(), TRANSFORMER, network, adapter_name, folder)

    def layer_names(self, networks: Mapping[str, nn.Module]) -> LayerNames:
        """How adapter files may spell its layers.

        Args:
            networks: Those that an adapter may change.
        """
        return layer_names(networks)

    def open_policy(self: F, place: Path) -> F:  # noqa: PYI019
        """See :func:`benchmark.models.flow.policies.policy_parts`."""
        return replace(self, **policy_parts(place, self))

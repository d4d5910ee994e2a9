"""A loaded UNet of Stable Diffusion 1.x or SDXL, with the libraries' own classes inside."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from jaxtyping import Float, Num, UInt8
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from benchmark.core.errors import UnknownNameError
from benchmark.core.hashing import sha256_json
from benchmark.core.records import Sampler
from benchmark.models.conditioning import Conditioning
from benchmark.models.facts import Family, ModelFacts
from benchmark.models.families.base import HALF, LoraTargets, Pipeline, Precision
from benchmark.models.families.unet import FAMILY
from benchmark.models.families.unet.attention import set_attention
from benchmark.models.families.unet.cpu_bf16 import quicken
from benchmark.models.families.unet.ddim import DDIMSteps, PredictionType, transition_steps
from benchmark.models.families.unet.opening import folder_parts, quick_unet_layout
from benchmark.models.families.unet.policies import policy_parts, save_adapter, save_network
from benchmark.models.families.unet.single_file import file_parts
from benchmark.models.fixed_weights import compiled_for_passes, is_fixed, sharing_copy
from benchmark.models.loading import resolve_precision, weights_sha256
from benchmark.models.steps import TransitionSteps

ENCODED_PIXELS = 2**21
"""Of a pass of the autoencoder's encoder, whose first layers hold 128 numbers a pixel: two images of SDXL."""

_ATTENTION: Final = ("to_q", "to_k", "to_v", "to_out.0")
LORA_TARGETS: Final[Mapping[LoraTargets, tuple[str, ...]]] = {
    "attention": _ATTENTION,
    "all": (
        *_ATTENTION, "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "conv_shortcut",
        "time_emb_proj",
    ),
}  # fmt: skip
"""The ends of the names of the layers that an adapter sits on."""

BLOCKS: Final = ("BasicTransformerBlock", "ResnetBlock2D")
"""The repeated parts of diffusers' UNets, by their classes."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class UNetPipeline(Pipeline):
    """A UNet with one text encoder, or with SDXL's two, and an autoencoder.

    Attributes:
        unet: The policy; with a LoRA checkpoint the adapter is merged in.
        text_encoder: Reads the prompt.
        tokenizer: The prompt's ids.
        vae: Images to latents and back.
        scheduler: The folder's own noise schedule, as DDIM. Its step count is state: the sampler
            works on a copy.
        text_encoder_2: SDXL's other one, whose pooled vector counts; None for Stable Diffusion 1.x.
        tokenizer_2: Its ids.
        zeros_for_empty: Whether guidance compares with zeros, and not with what the encoders say of an
            empty prompt.
    """

    family: ClassVar[Family] = FAMILY
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    vae: AutoencoderKL
    scheduler: DDIMScheduler
    text_encoder_2: CLIPTextModelWithProjection | None = None
    tokenizer_2: CLIPTokenizer | None = None
    zeros_for_empty: bool = False

    @classmethod
    def open(
        cls, place: Path, facts: ModelFacts, device: torch.device, precision: str, revision: str
    ) -> "UNetPipeline":
        """See :meth:`Pipeline.open`: a diffusers folder, or a whole model in one file."""
        parts = file_parts(place, device) if place.is_file() else folder_parts(place, device)
        chosen = resolve_precision(precision, device)
        return cls(
            name=facts.name,
            device=device,
            precision=chosen,
            sampler=replace(facts.sampler, precision=chosen),
            revision=revision or cls.family.content_hash(place),
            place=place,
            **parts,
        )

    @property
    def network(self) -> UNet2DConditionModel:
        """The UNet."""
        return self.unet

    def with_network(self, network: nn.Module) -> "UNetPipeline":
        """The same with another UNet."""
        return replace(self, unet=network)

    @cached_property
    def unet_layout(self) -> torch.memory_format:
        """How the UNet's tensors lie in memory; see :func:`quick_unet_layout`."""
        return quick_unet_layout(self.device)

    @property
    def text_parts(self) -> tuple[tuple[CLIPTokenizer, nn.Module], ...]:
        """Each tokenizer with the encoder that reads its ids."""
        first = (self.tokenizer, self.text_encoder)
        if self.text_encoder_2 is None or self.tokenizer_2 is None:
            return (first,)
        return first, (self.tokenizer_2, self.text_encoder_2)

    @property
    def is_xl(self) -> bool:
        """Whether it is of the SDXL family: two text encoders, and told the sizes of images."""
        return len(self.text_parts) == 2

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image's latents."""
        side = int(self.unet.config.sample_size)
        return int(self.unet.config.in_channels), side, side

    @property
    def image_size(self) -> int:
        """Height and width of an image in pixels."""
        return self.latent_shape[1] * self.vae_factor

    @property
    def vae_factor(self) -> int:
        """Pixels of an image's side for one of the latents' side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def prediction_type(self) -> PredictionType:
        """What the UNet predicts: noise, velocity or latents."""
        kind: PredictionType = self.scheduler.config.prediction_type
        return kind

    # --- prompts and images ---------------------------------------------------------------------

    @torch.no_grad()
    def encode_prompts(self, texts: list[str]) -> Conditioning:
        """The parts `states` and, for SDXL, `pooled`, as plain diffusers computes them.

        Stable Diffusion 1.x: the last hidden states. SDXL: the last but one of both encoders side by
        side, and the second one's pooled vector.
        """
        said = []
        for tokenizer, encoder in self.text_parts:
            length = tokenizer.model_max_length
            ids = tokenizer(
                texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
            ).input_ids
            said.append(encoder(ids.to(self.device), output_hidden_states=self.is_xl))
        if not self.is_xl:
            return Conditioning({"states": said[0].last_hidden_state})
        states = torch.cat([one.hidden_states[-2] for one in said], -1)
        return Conditioning({"states": states, "pooled": said[1].text_embeds})

    def encode_empty(self) -> Conditioning:
        """Zeros, or the encoding of an empty prompt."""
        empty = self.encode_prompts([""])
        return empty.zeros() if self.zeros_for_empty else empty

    def prompt_encoders_id(self) -> list[object]:
        """Weights and vocabularies of the text encoders, and what stands for no prompt."""
        parts = [[weights_sha256(e), sha256_json(t.get_vocab())] for t, e in self.text_parts]
        return [parts, self.zeros_for_empty]

    def image_encoder_id(self) -> list[object]:
        """The autoencoder's weights and scale, and the precision it runs in."""
        return [weights_sha256(self.vae), float(self.vae.config.scaling_factor), self.precision]

    def release_encoders(self) -> None:
        """Autoencoder and text encoders stay as meta tensors, with their configs."""
        for part in (self.vae, *(encoder for _, encoder in self.text_parts)):
            part.to("meta")

    def _vae_autocast(self, precision: Precision | None = None) -> AbstractContextManager[object]:
        """The same for the autoencoder, which overflows in fp16 where its config says `force_upcast`."""
        chosen = precision or self.precision
        return self.autocast("fp32" if chosen == "fp16" and self.vae.config.force_upcast else chosen)

    @torch.no_grad()
    def encode_images(self, images: UInt8[np.ndarray, "n height width 3"]) -> Float[Tensor, "n c h w"]:
        """Scaled latents of images: `scaling_factor` times the posterior's mean."""
        at_once = max(1, ENCODED_PIXELS // (images.shape[1] * images.shape[2]))
        means = []
        for part in torch.from_numpy(images).split(at_once):
            pixels = part.to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
            with self._vae_autocast():
                posterior = self.vae.encode(pixels.contiguous(memory_format=torch.channels_last)).latent_dist
            means.append(posterior.mean.float() * self.vae.config.scaling_factor)
        return torch.cat(means).contiguous()

    @torch.no_grad()
    def decode(
        self, latents: Float[Tensor, "n c h w"], precision: Precision | None = None
    ) -> UInt8[np.ndarray, "n height width 3"]:
        """Images of scaled latents."""
        scaled = (latents / self.vae.config.scaling_factor).contiguous(memory_format=torch.channels_last)
        with self._vae_autocast(precision):
            decoded = self.vae.decode(scaled).sample.float()
        pixels = (decoded * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1) * 255
        return np.ascontiguousarray(pixels.round().to(torch.uint8).cpu().numpy())

    # --- noise, and what the UNet says of it ----------------------------------------------------

    @property
    def _timesteps(self) -> int:
        return int(self.scheduler.config.num_train_timesteps)

    def sample_t(self, u: Float[np.ndarray, "*batch"]) -> Num[Tensor, "*batch"]:
        r"""Timesteps $\lfloor u T \rfloor$, int64."""
        return torch.from_numpy((u * self._timesteps).astype(np.int64)).to(self.device)

    def noise_level(self, t: Num[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        r"""$t / T$ in float32."""
        return t.float() / self._timesteps

    def add_noise(
        self, latents: Float[Tensor, "n c h w"], noise: Float[Tensor, "n c h w"], t: Num[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        r"""$x_t = \sqrt{a_t}\,\mathrm{latents} + \sqrt{1 - a_t}\,\mathrm{noise}$."""
        noisy: Tensor = self.scheduler.add_noise(latents, noise, t)
        return noisy

    def target(
        self, latents: Float[Tensor, "n c h w"], noise: Float[Tensor, "n c h w"], t: Num[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """The UNet's right answer to `add_noise(latents, noise, t)`.

        epsilon: noise; v_prediction: `sqrt(a_t) noise - sqrt(1 - a_t) latents`; sample: latents.
        """
        if self.prediction_type == "epsilon":
            return noise
        if self.prediction_type == "sample":
            return latents
        velocity: Tensor = self.scheduler.get_velocity(latents, noise, t)
        return velocity

    def predict(
        self,
        network: nn.Module,
        noisy: Float[Tensor, "n c h w"],
        t: Num[Tensor, "*rows"],
        told: Conditioning,
        size_and_crop: Float[Tensor, "n 4"] | None = None,
        precision: Precision | None = None,
    ) -> Float[Tensor, "n c h w"]:
        """See :meth:`Pipeline.predict`; SDXL is told the sizes as well."""
        inputs: dict[str, Any] = {"encoder_hidden_states": told.parts["states"]}
        if self.is_xl:
            sizes = self._uncropped.expand(len(noisy), -1) if size_and_crop is None else size_and_crop
            ids = time_ids(sizes, self.image_size)
            inputs["added_cond_kwargs"] = {"text_embeds": told.parts["pooled"], "time_ids": ids}
        rows = noisy.contiguous(memory_format=self.unet_layout)
        with self.autocast(precision):
            output: Tensor = network(rows, t, return_dict=False, **inputs)[0]
        return output

    @cached_property
    def _uncropped(self) -> Float[Tensor, "1 4"]:
        """Sizes and crop of an image to be made: nothing was resized, nothing cropped."""
        side = float(self.image_size)
        return torch.tensor([[side, side, 0.0, 0.0]], device=self.device)

    def sampler_steps(self, sampler: Sampler) -> DDIMSteps:
        """A walk by DDIM."""
        if sampler.name not in self.family.samplers:
            raise UnknownNameError("sampler", sampler.name, self.family.samplers)
        return DDIMSteps(self.scheduler, sampler, self.device)

    def transition_steps(self, count: int) -> TransitionSteps:
        r"""The steps of DDIM with $\eta = 1$."""
        return transition_steps(self.scheduler, count, self.prediction_type)

    def for_sampling(self, precision: Precision, *, compiled: bool = False) -> "UNetPipeline":
        """See :meth:`Pipeline.for_sampling`; keys and values of prompts are computed once as well."""
        if not is_fixed(self.unet):
            return self
        unet = sharing_copy(self.unet, self.device, HALF.get(precision))
        if compiled:
            set_attention(unet)
            unet.to(memory_format=torch.channels_last)
            return self.with_network(compiled_for_passes(unet, self.device))
        # With linear projections, as SDXL has them, another layout rounds otherwise.
        same = not unet.config.use_linear_projection
        if self.device.type == "cpu" and precision == "bf16" and same:
            quicken(unet, fixed=True)
        else:
            set_attention(unet, fixed=True)
        return self.with_network(unet)

    # --- training and checkpoints ---------------------------------------------------------------

    def trainable(
        self, *, gradient_checkpointing: bool = False, compiled: bool = False
    ) -> UNet2DConditionModel:
        """The UNet made ready for training: frozen, in the layout convolutions are quick in."""
        unet = self.unet.requires_grad_(False).to(memory_format=self.unet_layout)
        if self.device.type == "cpu" and self.precision == "bf16":
            quicken(unet)
        if gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        if compiled:
            unet.compile()
        return unet

    def lora_targets(self, which: LoraTargets) -> tuple[str, ...]:
        """`attention` layers, or `all` linear and convolution layers of the blocks."""
        return LORA_TARGETS[which]

    def blocks_to_shard(self, network: nn.Module) -> list[nn.Module]:
        """The transformer blocks and the residual ones."""
        return [module for module in network.modules() if type(module).__name__ in BLOCKS]

    def empty_network(self) -> UNet2DConditionModel:
        """A UNet of the same config."""
        return UNet2DConditionModel.from_config(self.unet.config)

    def save_network(self, network: nn.Module, folder: Path) -> None:
        """Writes `unet/`, which plain diffusers opens."""
        save_network(network, folder)

    def save_adapter(self, network: nn.Module, adapter_name: str, folder: Path) -> None:
        """Writes `pytorch_lora_weights.safetensors`, which plain diffusers and PEFT open."""
        save_adapter(network, adapter_name, folder)

    def open_policy(self, place: Path) -> "UNetPipeline":
        """See :func:`benchmark.models.families.unet.policies.policy_parts`."""
        return replace(self, **policy_parts(place, self))


def time_ids(size_and_crop: Float[Tensor, "*n 4"], target: int) -> Float[Tensor, "*n 6"]:
    """SDXL's conditioning on sizes: (original height, width, crop top, left, target height, width).

    Args:
        size_and_crop: The original image's height and width, and the corner at which it was cropped
            after it was resized.
        target: Height and width of what the model sees, in pixels.
    """
    ends = size_and_crop.new_full((*size_and_crop.shape[:-1], 2), target)
    return torch.cat([size_and_crop, ends], dim=-1)

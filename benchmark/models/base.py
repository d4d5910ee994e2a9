"""A loaded base model: what trainers and the sampler need of it, with the library's own classes inside."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from benchmark.core.errors import UserError
from benchmark.core.records import Sampler
from benchmark.models.conditioning import TextConditioning, time_ids
from benchmark.models.files import content_hash

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
PredictionType: TypeAlias = Literal["epsilon", "v_prediction", "sample"]

ENCODED_PIXELS = 2**21
"""Of a pass of the autoencoder's encoder, whose first layers hold 128 numbers a pixel: two images of SDXL."""


@dataclass(frozen=True, eq=False)
class Pipeline:
    """A text-to-image latent diffusion model, all parts in float32 on one device, in eval mode.

    Attributes:
        name: Of the base model, for people; a checkpoint is matched to it by `content_hash`.
        unet: The policy; with a LoRA checkpoint the adapter is merged in.
        text_encoder: Reads the prompt.
        tokenizer: The prompt's ids.
        text_encoder_2: SDXL's other one, whose pooled vector counts; None for Stable Diffusion 1.x.
        tokenizer_2: Its ids.
        zeros_for_empty: Whether guidance compares with zeros, and not with what the encoders say of an
            empty prompt.
        vae: Images to latents and back.
        scheduler: The folder's own noise schedule, as DDIM. Its step count is state: the sampler
            works on a copy.
        device: Where the parts are.
        precision: What :meth:`autocast` computes in unless told otherwise.
        sampler: How its images are made by default, in that precision.
        revision: Of the weights: the hub's commit, or a hash of the files.
        place: Where it was opened; None for one that was never on disk.
    """

    name: str
    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    vae: AutoencoderKL
    scheduler: DDIMScheduler
    device: torch.device
    precision: Precision
    sampler: Sampler
    revision: str = ""
    text_encoder_2: CLIPTextModelWithProjection | None = None
    tokenizer_2: CLIPTokenizer | None = None
    zeros_for_empty: bool = False
    place: Path | None = None

    @cached_property
    def content_hash(self) -> str:
        """What it is recognised by, whatever it is called and wherever it lies; reads all of its files."""
        return self.revision if self.place is None else content_hash(self.place)

    @property
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
    def latent_size(self) -> int:
        """D = C * H * W, the dimension that the log-ratio's scale is stated for."""
        return math.prod(self.latent_shape)

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
        """What the UNet predicts."""
        kind: PredictionType = self.scheduler.config.prediction_type
        return kind

    def noise_level(self, t: Int[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """How far through the noise schedule timesteps are, in [0, 1)."""
        return t / int(self.scheduler.config.num_train_timesteps)

    def autocast(self, precision: Precision | None = None) -> AbstractContextManager[object]:
        """The context in which networks run: autocast to half precision, or nothing for float32.

        Args:
            precision: Instead of the pipeline's own.
        """
        chosen = precision or self.precision
        if chosen == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16 if chosen == "bf16" else torch.float16)

    def _vae_autocast(self, precision: Precision | None = None) -> AbstractContextManager[object]:
        """The same for the autoencoder, which overflows in fp16 where its config says `force_upcast`."""
        chosen = precision or self.precision
        return self.autocast("fp32" if chosen == "fp16" and self.vae.config.force_upcast else chosen)

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> TextConditioning:
        """What the UNet is told of prompts, as plain diffusers computes it.

        Stable Diffusion 1.x: the last hidden states. SDXL: the last but one of both encoders side by
        side, and the second one's pooled vector. Always in float32: it is computed once a prompt, and
        every step depends on it.

        Args:
            texts: Prompts; what is beyond the tokenizer's length is cut off.
        """
        said = []
        for tokenizer, encoder in self.text_parts:
            length = tokenizer.model_max_length
            ids = tokenizer(
                texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
            ).input_ids
            said.append(encoder(ids.to(self.device), output_hidden_states=self.is_xl))
        if not self.is_xl:
            return TextConditioning(said[0].last_hidden_state)
        return TextConditioning(torch.cat([one.hidden_states[-2] for one in said], -1), said[1].text_embeds)

    def encode_empty(self) -> TextConditioning:
        """The one row that stands for no prompt: for guidance, and where a caption is dropped."""
        empty = self.encode_text([""])
        return empty.zeros() if self.zeros_for_empty else empty

    def sampling_time_ids(self, n: int) -> Float[Tensor, "n 6"]:
        """What SDXL is told of n images to be made: nothing was resized, nothing cropped."""
        side = float(self.image_size)
        return time_ids(torch.tensor([[side, side, 0.0, 0.0]], device=self.device), self.image_size).repeat(
            n, 1
        )

    @torch.no_grad()
    def encode_images(self, images: UInt8[np.ndarray, "n height width 3"]) -> Float[Tensor, "n channels h w"]:
        """Scaled latents of images: `scaling_factor` times the posterior's mean.

        Args:
            images: uint8, sRGB, shape (n, height, width, 3).

        Returns:
            float32, shape (n, C, H, W).
        """
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
        self, latents: Float[Tensor, "n channels h w"], precision: Precision | None = None
    ) -> UInt8[np.ndarray, "n height width 3"]:
        """Images of scaled latents, in one batch.

        Args:
            latents: Shape (n, C, H, W), finite.
            precision: Instead of the pipeline's own.

        Returns:
            uint8, sRGB, shape (n, height, width, 3).
        """
        scaled = (latents / self.vae.config.scaling_factor).contiguous(memory_format=torch.channels_last)
        with self._vae_autocast(precision):
            decoded = self.vae.decode(scaled).sample.float()
        pixels = (decoded * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1) * 255
        return np.ascontiguousarray(pixels.round().to(torch.uint8).cpu().numpy())

    def target(
        self, latents: Float[Tensor, "n c h w"], noise: Float[Tensor, "n c h w"], t: Int[Tensor, " n"]
    ) -> Float[Tensor, "n c h w"]:
        """What the UNet should predict from `scheduler.add_noise(latents, noise, t)`.

        epsilon: noise; v_prediction: `sqrt(a_t) noise - sqrt(1 - a_t) latents`; sample: latents.
        """
        if self.prediction_type == "epsilon":
            return noise
        if self.prediction_type == "sample":
            return latents
        velocity: Tensor = self.scheduler.get_velocity(latents, noise, t)
        return velocity


def quick_unet_layout(device: torch.device) -> torch.memory_format:
    """Channels last on a GPU, where convolutions want it; contiguous on a CPU.

    There, group normalisation of bfloat16 on 16 x 16 latents is ten times slower with channels last, and a
    forward pass of the embedded UNet a third. (Its autoencoder, on larger pictures, is twice as quick with
    channels last on both.)
    """
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


def resolve_precision(asked: str, device: torch.device) -> Precision:
    """What `auto` means on a device: bfloat16 where the hardware multiplies it, else fp16 on a GPU.

    On other devices half precision would lose digits and gain no time, so there it is float32. fp16
    has a short range: training in it scales the loss, so it is chosen only where there is no bfloat16.

    Args:
        asked: `auto`, `fp32`, `bf16` or `fp16`.
        device: Where the networks will run.

    Raises:
        UserError: for another word, or fp16 on a device that is no CUDA GPU.
    """
    if asked == "auto":
        if _bf16_pays(device):
            return "bf16"
        return "fp16" if device.type == "cuda" else "fp32"
    if asked == "fp16" and device.type != "cuda":
        raise UserError(
            f"precision is fp16 on {device.type}", allowed="auto, fp32, bf16", do="fp16 needs a CUDA GPU"
        )
    if asked not in get_args(Precision):
        raise UserError(f"precision is {asked!r}", allowed=f"auto, {', '.join(get_args(Precision))}")
    chosen: Precision = asked  # type: ignore[assignment]  # one of its words
    return chosen


def _bf16_pays(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001  # torch has no public question for it
    return False

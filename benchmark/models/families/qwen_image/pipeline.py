"""A loaded Qwen-Image, with the libraries' own classes inside."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final, final

import torch
from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
from diffusers import QwenImagePipeline as Published
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

from benchmark.core.errors import UserError
from benchmark.models.conditioning import Conditioning
from benchmark.models.facts import Family, ModelFacts
from benchmark.models.families.base import LoraTargets, Precision
from benchmark.models.families.qwen_image import FAMILY
from benchmark.models.flow.images import packed, unpacked
from benchmark.models.flow.names import JOINT_ATTENTION
from benchmark.models.flow.pipeline import FlowPipeline
from benchmark.models.flow.schedules import Schedule, read_scheduler
from benchmark.models.flow.texts import language_dtype, load_tokenizer, token_count
from benchmark.models.loading import load_part

NO_PROMPT: Final = " "
"""What the authors guide away from; diffusers' pipeline does not guide where nothing is given."""

_REFUSED: Final = ("guidance_embeds", "zero_cond_t", "use_additional_t_cond", "use_layer3d_rope")
"""Settings of the transformers of other pipelines: distilled, for editing, in layers."""


@cache
def template() -> tuple[str, int, int]:
    """What a prompt is put into, how many tokens of it come before, and how many of the rest are told."""
    tokens = inspect.signature(Published.__call__).parameters["max_sequence_length"].default
    make: Any = Published  # what a pipeline says of itself needs no parts
    pipe = make(scheduler=None, vae=None, text_encoder=None, tokenizer=None, transformer=None)
    return pipe.prompt_template_encode, pipe.prompt_template_encode_start_idx, tokens


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class QwenImagePipeline(FlowPipeline):
    """A transformer of images and text side by side, told of prompts by Qwen2.5-VL.

    Attributes:
        text_encoder: Qwen2.5-VL.
        tokenizer: Its ids.
        tokens: How many of a prompt are told.
    """

    family: ClassVar[Family] = FAMILY
    targets: ClassVar[Mapping[LoraTargets, tuple[str, ...]]] = {
        "attention": JOINT_ATTENTION,
        "all": (
            *JOINT_ATTENTION, "img_mlp.net.0.proj", "img_mlp.net.2", "txt_mlp.net.0.proj", "txt_mlp.net.2",
            "img_mod.1", "txt_mod.1",
        ),
    }  # fmt: skip
    blocks: ClassVar[tuple[str, ...]] = ("QwenImageTransformerBlock",)

    text_encoder: Qwen2_5_VLForConditionalGeneration
    tokenizer: Qwen2Tokenizer
    tokens: int

    @classmethod
    def parts(
        cls, folder: Path, facts: ModelFacts, device: torch.device, precision: Precision
    ) -> dict[str, Any]:
        """See :meth:`FlowPipeline.parts`."""
        transformer = load_part(QwenImageTransformer2DModel, folder / "transformer", device)
        for name in _REFUSED:
            if transformer.config[name]:
                raise UserError(
                    f"the transformer of {folder} says {name}", allowed="that of Qwen-Image, without it"
                )
        return {
            "transformer": transformer,
            "vae": load_part(AutoencoderKLQwenImage, folder / "vae", device),
            "text_encoder": load_part(
                Qwen2_5_VLForConditionalGeneration, folder / "text_encoder", device, language_dtype(precision)
            ),
            "tokenizer": load_tokenizer(Qwen2Tokenizer, folder / "tokenizer", states_length=False),
            "schedule": Schedule(read_scheduler(folder), (facts.latent_shape[1] // 2) ** 2, even=True),
            "tokens": token_count(folder, template()[2]),
        }

    @staticmethod
    def writer() -> Any:
        """Diffusers' own class."""
        return Published

    # --- prompts and images ---------------------------------------------------------------------

    def text_parts(self) -> Iterator[tuple[Any, nn.Module]]:
        """Qwen2.5-VL."""
        yield self.tokenizer, self.text_encoder

    def text_settings(self) -> list[object]:
        """How many tokens are told, the template, and what stands for no prompt."""
        return [self.tokens, *template()[:2], NO_PROMPT]

    @torch.no_grad()
    def encode_prompts(self, texts: list[str]) -> Conditioning:
        """The parts `states` and `mask`: the last hidden states of a prompt in its template, as in diffusers.

        The tokens before the prompt are read and not told; what is missing to the length is zeros.
        """
        around, before, _ = template()
        states, masks = [], []
        # One by one, without anything that fills up: a prompt's states do not depend on its neighbours.
        for text in texts:
            ids = self.tokenizer(
                around.format(text),
                max_length=self.tokens + before,
                truncation=True,
                return_tensors="pt",
            ).input_ids
            said: Any = self.text_encoder.model(input_ids=ids.to(self.device), use_cache=False)
            told: Tensor = said.last_hidden_state[0, before:].float()
            missing = self.tokens - len(told)
            states.append(functional.pad(told, (0, 0, 0, missing)))
            masks.append(functional.pad(told.new_ones(len(told)), (0, missing)))
        return Conditioning({"states": torch.stack(states), "mask": torch.stack(masks)})

    def encode_empty(self) -> Conditioning:
        """What Qwen2.5-VL says of a space."""
        return self.encode_prompts([NO_PROMPT])

    def _moments(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel, for latents of (n, c, h, w)."""
        config: Any = self.vae.config
        mean, std = (like.new_tensor(x).view(1, -1, 1, 1) for x in (config.latents_mean, config.latents_std))
        return mean, std

    def to_latents(self, pixels: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n c h w"]:
        r"""$(x - \mathrm{mean}) / \mathrm{std}$ of each channel, of films of one picture."""
        vae: Any = self.vae
        latents: Tensor = vae.encode(pixels[:, :, None]).latent_dist.mean[:, :, 0].float()
        mean, std = self._moments(latents)
        return (latents - mean) / std

    def to_pixels(self, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 height width"]:
        """The inverse."""
        vae: Any = self.vae
        mean, std = self._moments(latents)
        pixels: Tensor = vae.decode((latents * std + mean)[:, :, None]).sample[:, :, 0]
        return pixels

    # --- noise, and what the transformer says of it -----------------------------------------------

    def velocity(
        self,
        network: nn.Module,
        noisy: Float[Tensor, "n c h w"],
        sigma: Float[Tensor, " n"],
        told: Conditioning,
    ) -> Float[Tensor, "n c h w"]:
        """Asked at sigma, of packed latents."""
        n, _, height, width = noisy.shape
        output: Tensor = network(
            hidden_states=packed(noisy),
            encoder_hidden_states=told.parts["states"],
            encoder_hidden_states_mask=told.parts["mask"] > 0,
            timestep=sigma,
            img_shapes=[[(1, height // 2, width // 2)]] * n,
            return_dict=False,
        )[0]
        return unpacked(output, height)

    def guided(
        self, empty: Float[Tensor, "n c h w"], conditional: Float[Tensor, "n c h w"], scale: float
    ) -> Float[Tensor, "n c h w"]:
        r"""Guidance that keeps the length of what is said with a prompt, token by token.

        With $\hat v = v_\varnothing + g\,(v_c - v_\varnothing)$ it is $\hat v\,\|v_c\| / \|\hat v\|$.
        """
        plain, wanted = (packed(x) for x in (super().guided(empty, conditional, scale), conditional))
        length = wanted.norm(dim=-1, keepdim=True) / plain.norm(dim=-1, keepdim=True)
        return unpacked(plain * length, empty.shape[2])

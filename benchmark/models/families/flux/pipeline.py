"""A loaded FLUX.1, with the libraries' own classes inside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from diffusers import FluxPipeline as Published
from jaxtyping import Float
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

from benchmark.models.adapters.names import LayerNames
from benchmark.models.facts import Family, pipeline_index
from benchmark.models.families.base import Conditioning, LoraTargets, Precision
from benchmark.models.families.flux import FAMILY
from benchmark.models.families.flux.adapter_names import flux_names
from benchmark.models.flow.facts import latent_side
from benchmark.models.flow.images import kl_latents, kl_pixels
from benchmark.models.flow.pipeline import FlowPipeline
from benchmark.models.flow.schedules import Schedule, read_scheduler
from benchmark.models.flow.texts import TOKENS_KEY, language_dtype, load_tokenizer, token_ids
from benchmark.models.loading import load_part

T5_TOKENS: Final = 512
"""Of a prompt, as diffusers' pipeline has it by default."""
GUIDANCE: Final = 3.5
"""What a distilled model is told in training: policy, reference and dropped captions the same."""

_ATTENTION: Final = (
    "attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "attn.add_q_proj", "attn.add_k_proj",
    "attn.add_v_proj", "attn.to_add_out",
)  # fmt: skip


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class FluxPipeline(FlowPipeline):
    """A transformer of double and single blocks with CLIP's vector of a prompt and T5's states.

    Attributes:
        text_encoder: CLIP.
        tokenizer: Its ids.
        text_encoder_2: T5.
        tokenizer_2: Its ids.
        side: Height and width of latents.
        t5_tokens: How many of a prompt.
    """

    family: ClassVar[Family] = FAMILY
    targets: ClassVar[Mapping[LoraTargets, tuple[str, ...]]] = {
        "attention": _ATTENTION,
        "all": (
            *_ATTENTION, "ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2",
            "norm1.linear", "norm1_context.linear", "norm.linear", "proj_mlp", "proj_out",
        ),
    }  # fmt: skip
    blocks: ClassVar[tuple[str, ...]] = ("FluxTransformerBlock", "FluxSingleTransformerBlock")

    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    text_encoder_2: T5EncoderModel
    tokenizer_2: T5TokenizerFast
    side: int
    t5_tokens: int = T5_TOKENS

    @classmethod
    def parts(cls, folder: Path, device: torch.device, precision: Precision) -> dict[str, Any]:
        """See :meth:`FlowPipeline.parts`."""
        side, dtype = latent_side(folder), language_dtype(precision)
        return {
            "transformer": load_part(FluxTransformer2DModel, folder / "transformer", device),
            "vae": load_part(AutoencoderKL, folder / "vae", device),
            "text_encoder": load_part(CLIPTextModel, folder / "text_encoder", device),
            "tokenizer": load_tokenizer(CLIPTokenizer, folder / "tokenizer"),
            "text_encoder_2": load_part(T5EncoderModel, folder / "text_encoder_2", device, dtype),
            "tokenizer_2": load_tokenizer(T5TokenizerFast, folder / "tokenizer_2", states_length=False),
            "schedule": Schedule(read_scheduler(folder), (side // 2) ** 2, even=True),
            "side": side,
            "t5_tokens": int(str(pipeline_index(folder).get(TOKENS_KEY, T5_TOKENS))),
        }

    @staticmethod
    def writer() -> Any:
        """Diffusers' own class."""
        return Published

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image's latents; the transformer reads four neighbours as one token."""
        return int(self.config["in_channels"]) // 4, self.side, self.side

    @property
    def image_size(self) -> int:
        """Height and width of an image in pixels."""
        config: Any = self.vae.config
        return self.side * int(2 ** (len(config.block_out_channels) - 1))

    @property
    def is_told_guidance(self) -> bool:
        """Whether the transformer was distilled from a guided one, and is told the scale."""
        return bool(self.config["guidance_embeds"])

    # --- prompts and images ---------------------------------------------------------------------

    def text_parts(self) -> Iterator[tuple[Any, nn.Module]]:
        """CLIP and T5."""
        yield self.tokenizer, self.text_encoder
        yield self.tokenizer_2, self.text_encoder_2

    def text_settings(self) -> list[object]:
        """How many tokens T5 has."""
        return [self.t5_tokens]

    @torch.no_grad()
    def encode_prompts(self, texts: list[str]) -> Conditioning:
        """The parts `t5`, its last hidden states, and `pooled`, CLIP's vector of the prompt's end."""
        ids = token_ids(self.tokenizer, texts, self.tokenizer.model_max_length)
        pooled: Tensor = self.text_encoder(ids.to(self.device)).pooler_output
        ids = token_ids(self.tokenizer_2, texts, self.t5_tokens)
        states: Tensor = self.text_encoder_2(ids.to(self.device)).last_hidden_state
        return Conditioning({"t5": states.float(), "pooled": pooled})

    def tell_guidance(self, told: Conditioning, scale: float) -> Conditioning | None:
        """With the part `guidance`, where the transformer is told it."""
        if not self.is_told_guidance:
            return None
        scales = torch.full((len(told),), max(1.0, scale), device=self.device)
        return Conditioning({**told.parts, "guidance": scales})

    def to_latents(self, pixels: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n c h w"]:
        """See :func:`benchmark.models.flow.images.kl_latents`."""
        return kl_latents(self.vae, pixels)

    def to_pixels(self, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 height width"]:
        """See :func:`benchmark.models.flow.images.kl_pixels`."""
        return kl_pixels(self.vae, latents)

    def velocity(
        self,
        network: nn.Module,
        noisy: Float[Tensor, "n c h w"],
        sigma: Float[Tensor, " n"],
        told: Conditioning,
    ) -> Float[Tensor, "n c h w"]:
        """Asked at sigma, of packed latents; where no guidance is told, that is the value of training."""
        n, channels, height, width = noisy.shape
        t5 = told.parts["t5"]
        guidance = told.parts.get("guidance")
        if guidance is None and self.is_told_guidance:
            guidance = torch.full_like(sigma, GUIDANCE)
        helpers: Any = Published  # of diffusers' pipeline, which has them for itself
        packed: Tensor = network(
            hidden_states=helpers._pack_latents(noisy, n, channels, height, width),  # noqa: SLF001
            encoder_hidden_states=t5,
            pooled_projections=told.parts["pooled"],
            timestep=sigma,
            guidance=guidance,
            txt_ids=t5.new_zeros((t5.shape[1], 3)),
            img_ids=helpers._prepare_latent_image_ids(  # noqa: SLF001
                n, height // 2, width // 2, t5.device, t5.dtype
            ),
            return_dict=False,
        )[0]
        # A latent stands for a pixel here: sizes are those of latents.
        output: Tensor = helpers._unpack_latents(packed, height, width, 1)  # noqa: SLF001
        return output

    def layer_names(self, networks: Mapping[str, nn.Module]) -> LayerNames:
        """Those of diffusers, of the original code and of XLabs."""
        return flux_names(networks)

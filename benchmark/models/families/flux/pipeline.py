"""A loaded FLUX.1, with the libraries' own classes inside."""

import warnings
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
from benchmark.models.conditioning import Conditioning
from benchmark.models.facts import Family, ModelFacts
from benchmark.models.families.base import LoraTargets, Precision
from benchmark.models.families.flux import FAMILY
from benchmark.models.families.flux.adapter_names import flux_names
from benchmark.models.flow.images import packed, unpacked
from benchmark.models.flow.names import JOINT_ATTENTION
from benchmark.models.flow.pipeline import FlowPipeline
from benchmark.models.flow.schedules import Schedule, read_scheduler
from benchmark.models.flow.texts import language_dtype, load_tokenizer, token_count, token_ids
from benchmark.models.loading import load_part

T5_TOKENS: Final = 512
"""Of a prompt, as diffusers' pipeline has it by default."""
GUIDANCE: Final = 3.5
"""What a distilled model is told in training: policy, reference and dropped captions the same."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class FluxPipeline(FlowPipeline):
    """A transformer of double and single blocks with CLIP's vector of a prompt and T5's states.

    Attributes:
        text_encoder: CLIP.
        tokenizer: Its ids.
        text_encoder_2: T5.
        tokenizer_2: Its ids.
        t5_tokens: How many of a prompt.
    """

    family: ClassVar[Family] = FAMILY
    targets: ClassVar[Mapping[LoraTargets, tuple[str, ...]]] = {
        "attention": JOINT_ATTENTION,
        "all": (
            *JOINT_ATTENTION, "ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2",
            "norm1.linear", "norm1_context.linear", "norm.linear", "proj_mlp", "proj_out",
        ),
    }  # fmt: skip
    blocks: ClassVar[tuple[str, ...]] = ("FluxTransformerBlock", "FluxSingleTransformerBlock")

    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    text_encoder_2: T5EncoderModel
    tokenizer_2: T5TokenizerFast
    t5_tokens: int = T5_TOKENS

    @classmethod
    def parts(
        cls, folder: Path, facts: ModelFacts, device: torch.device, precision: Precision
    ) -> dict[str, Any]:
        """See :meth:`FlowPipeline.parts`."""
        dtype, tokens = language_dtype(precision), (facts.latent_shape[1] // 2) ** 2
        # Of norms that stay in float32 under autocast, as they should: what torch says is of no use to users.
        warnings.filterwarnings("ignore", "Mismatch dtype between input and weight")
        return {
            "transformer": load_part(FluxTransformer2DModel, folder / "transformer", device),
            "vae": load_part(AutoencoderKL, folder / "vae", device),
            "text_encoder": load_part(CLIPTextModel, folder / "text_encoder", device),
            "tokenizer": load_tokenizer(CLIPTokenizer, folder / "tokenizer"),
            "text_encoder_2": load_part(T5EncoderModel, folder / "text_encoder_2", device, dtype),
            "tokenizer_2": load_tokenizer(T5TokenizerFast, folder / "tokenizer_2", states_length=False),
            "schedule": Schedule(read_scheduler(folder), tokens, even=True),
            "t5_tokens": token_count(folder, T5_TOKENS),
        }

    @staticmethod
    def writer() -> Any:
        """Diffusers' own class."""
        return Published

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

    def velocity(
        self,
        network: nn.Module,
        noisy: Float[Tensor, "n c h w"],
        sigma: Float[Tensor, " n"],
        told: Conditioning,
    ) -> Float[Tensor, "n c h w"]:
        """Asked at sigma, of packed latents; where no guidance is told, that is the value of training."""
        n, _, height, width = noisy.shape
        t5 = told.parts["t5"]
        guidance = told.parts.get("guidance")
        if guidance is None and self.is_told_guidance:
            guidance = torch.full_like(sigma, GUIDANCE)
        helpers: Any = Published  # of diffusers' pipeline, which has them for itself
        output: Tensor = network(
            hidden_states=packed(noisy),
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
        return unpacked(output, height)

    def layer_names(self, networks: Mapping[str, nn.Module]) -> LayerNames:
        """Those of diffusers, of the original code and of XLabs."""
        return flux_names(networks)

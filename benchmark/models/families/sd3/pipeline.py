"""A loaded Stable Diffusion 3 or 3.5, with the libraries' own classes inside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final

import torch
from diffusers import AutoencoderKL, SD3Transformer2DModel
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5TokenizerFast

from benchmark.models.conditioning import Conditioning
from benchmark.models.facts import Family, ModelFacts, pipeline_index
from benchmark.models.families.base import LoraTargets, Precision
from benchmark.models.families.sd3 import FAMILY
from benchmark.models.flow.names import JOINT_ATTENTION
from benchmark.models.flow.pipeline import FlowPipeline
from benchmark.models.flow.schedules import Schedule, read_scheduler
from benchmark.models.flow.texts import language_dtype, load_tokenizer, token_count, token_ids
from benchmark.models.loading import load_part

T5_TOKENS: Final = 256
"""Of a prompt, as diffusers' pipeline has it by default."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SD3Pipeline(FlowPipeline):
    """A multimodal transformer with two CLIP text encoders and T5, which may be missing.

    Attributes:
        text_encoder: The first CLIP.
        tokenizer: Its ids.
        text_encoder_2: The second CLIP.
        tokenizer_2: Its ids.
        text_encoder_3: T5; without it zeros stand in its states' place, as in diffusers.
        tokenizer_3: Its ids.
        t5_tokens: How many of a prompt.
    """

    family: ClassVar[Family] = FAMILY
    targets: ClassVar[Mapping[LoraTargets, tuple[str, ...]]] = {
        "attention": JOINT_ATTENTION,
        "all": (
            *JOINT_ATTENTION, "attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0", "ff.net.0.proj",
            "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2", "norm1.linear", "norm1_context.linear",
        ),
    }  # fmt: skip
    blocks: ClassVar[tuple[str, ...]] = ("JointTransformerBlock",)

    text_encoder: CLIPTextModelWithProjection
    tokenizer: CLIPTokenizer
    text_encoder_2: CLIPTextModelWithProjection
    tokenizer_2: CLIPTokenizer
    text_encoder_3: T5EncoderModel | None = None
    tokenizer_3: T5TokenizerFast | None = None
    t5_tokens: int = T5_TOKENS

    @classmethod
    def parts(
        cls, folder: Path, facts: ModelFacts, device: torch.device, precision: Precision
    ) -> dict[str, Any]:
        """See :meth:`FlowPipeline.parts`."""
        found: dict[str, Any] = {
            "transformer": load_part(SD3Transformer2DModel, folder / "transformer", device),
            "vae": load_part(AutoencoderKL, folder / "vae", device),
            "t5_tokens": token_count(folder, T5_TOKENS),
        }
        for suffix in ("", "_2"):
            place = folder / f"text_encoder{suffix}"
            found[f"text_encoder{suffix}"] = load_part(CLIPTextModelWithProjection, place, device)
            found[f"tokenizer{suffix}"] = load_tokenizer(CLIPTokenizer, folder / f"tokenizer{suffix}")
        t5 = pipeline_index(folder).get("text_encoder_3")
        if isinstance(t5, list) and t5[0] is not None:
            place = folder / "text_encoder_3"
            found["text_encoder_3"] = load_part(T5EncoderModel, place, device, language_dtype(precision))
            found["tokenizer_3"] = load_tokenizer(
                T5TokenizerFast, folder / "tokenizer_3", states_length=False
            )
        tokens = (facts.latent_shape[1] // found["transformer"].config.patch_size) ** 2
        return {**found, "schedule": Schedule(read_scheduler(folder), tokens)}

    @staticmethod
    def writer() -> Any:
        """Diffusers' own class."""
        from diffusers import StableDiffusion3Pipeline

        return StableDiffusion3Pipeline

    def text_parts(self) -> Iterator[tuple[Any, nn.Module]]:
        """The two CLIPs, and T5 where it is there."""
        yield self.tokenizer, self.text_encoder
        yield self.tokenizer_2, self.text_encoder_2
        if self.text_encoder_3 is not None:
            yield self.tokenizer_3, self.text_encoder_3

    def text_settings(self) -> list[object]:
        """How many tokens T5 has."""
        return [self.t5_tokens]

    @torch.no_grad()
    def encode_prompts(self, texts: list[str]) -> Conditioning:
        """The parts `clip`, `t5` where there is one, and `pooled`, as plain diffusers computes them.

        Of both CLIPs the last but one hidden states, side by side, and the projected vectors of the prompt's
        end, side by side; of T5 the last hidden states.
        """
        states, pooled = [], []
        length = self.tokenizer.model_max_length  # of both, as in diffusers
        for tokenizer, encoder in list(self.text_parts())[:2]:
            said = encoder(token_ids(tokenizer, texts, length).to(self.device), output_hidden_states=True)
            states.append(said.hidden_states[-2])
            pooled.append(said.text_embeds)
        parts = {"clip": torch.cat(states, -1), "pooled": torch.cat(pooled, -1)}
        if self.text_encoder_3 is not None:
            ids = token_ids(self.tokenizer_3, texts, self.t5_tokens)
            parts["t5"] = self.text_encoder_3(ids.to(self.device)).last_hidden_state.float()
        return Conditioning(parts)

    def velocity(
        self,
        network: nn.Module,
        noisy: Float[Tensor, "n c h w"],
        sigma: Float[Tensor, " n"],
        told: Conditioning,
    ) -> Float[Tensor, "n c h w"]:
        """Asked at the timestep 1000 sigma, of CLIP's states, filled up with zeros, and T5's behind them."""
        clip, width = told.parts["clip"], int(self.config["joint_attention_dim"])
        clip = functional.pad(clip, (0, width - clip.shape[-1]))
        t5 = told.parts.get("t5")
        if t5 is None:
            t5 = clip.new_zeros((len(clip), self.t5_tokens, width))
        output: Tensor = network(
            hidden_states=noisy,
            encoder_hidden_states=torch.cat([clip, t5], dim=1),
            pooled_projections=told.parts["pooled"],
            timestep=sigma * self.schedule.timesteps,
            return_dict=False,
        )[0]
        return output

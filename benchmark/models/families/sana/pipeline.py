"""A loaded SANA, with the libraries' own classes inside."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final, final

import torch
from diffusers import AutoencoderDC, SanaTransformer2DModel
from diffusers import SanaPipeline as Published
from jaxtyping import Float
from torch import Tensor, nn
from transformers import Gemma2Model, GemmaTokenizer

from benchmark.core.errors import UserError
from benchmark.core.records import Sampler
from benchmark.models.conditioning import Conditioning
from benchmark.models.facts import Family, ModelFacts
from benchmark.models.families.base import LoraTargets, Precision
from benchmark.models.families.sana import FAMILY
from benchmark.models.flow import multistep
from benchmark.models.flow.pipeline import FlowPipeline
from benchmark.models.flow.schedules import Schedule, read_scheduler
from benchmark.models.flow.texts import language_dtype, load_tokenizer, token_count
from benchmark.models.loading import load_part
from benchmark.models.steps import SamplerSteps

_ATTENTION: Final = ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn2.to_q", "attn2.to_k", "attn2.to_v")


@cache
def instruction() -> tuple[str, int]:
    """What stands before a prompt, and how many tokens are told: the defaults of diffusers' pipeline."""
    given = inspect.signature(Published.__call__).parameters
    return "\n".join(given["complex_human_instruction"].default), given["max_sequence_length"].default


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SanaPipeline(FlowPipeline):
    """A transformer with linear attention, told of prompts by Gemma 2.

    Attributes:
        text_encoder: Gemma 2 without its head.
        tokenizer: Its ids.
        solver: The config of DPM-Solver++, the sampler it was published with.
        tokens: How many of a prompt are told.
    """

    family: ClassVar[Family] = FAMILY
    targets: ClassVar[Mapping[LoraTargets, tuple[str, ...]]] = {
        "attention": _ATTENTION,
        # But for the depthwise convolution, whose groups no adapter of a rank can follow.
        "all": (*_ATTENTION, "attn1.to_out.0", "attn2.to_out.0", "ff.conv_inverted", "ff.conv_point"),
    }
    blocks: ClassVar[tuple[str, ...]] = ("SanaTransformerBlock",)

    text_encoder: Gemma2Model
    tokenizer: GemmaTokenizer
    solver: Mapping[str, Any]
    tokens: int

    @classmethod
    def parts(
        cls, folder: Path, facts: ModelFacts, device: torch.device, precision: Precision
    ) -> dict[str, Any]:
        """See :meth:`FlowPipeline.parts`."""
        tokenizer = load_tokenizer(GemmaTokenizer, folder / "tokenizer", states_length=False)
        tokenizer.padding_side = "right"
        scheduler = read_scheduler(folder)
        return {
            "transformer": load_part(SanaTransformer2DModel, folder / "transformer", device),
            "vae": load_part(AutoencoderDC, folder / "vae", device),
            "text_encoder": load_part(
                Gemma2Model, folder / "text_encoder", device, language_dtype(precision)
            ),
            "tokenizer": tokenizer,
            "schedule": Schedule(multistep.euler_config(scheduler), facts.latent_shape[1] ** 2),
            "solver": multistep.solver_config(scheduler),
            "tokens": token_count(folder, instruction()[1]),
        }

    @staticmethod
    def writer() -> Any:
        """Diffusers' own class."""
        return Published

    # --- prompts and images ---------------------------------------------------------------------

    def text_parts(self) -> Iterator[tuple[Any, nn.Module]]:
        """Gemma 2."""
        yield self.tokenizer, self.text_encoder

    def text_settings(self) -> list[object]:
        """How many tokens are told, and what stands before a prompt."""
        return [self.tokens, instruction()[0]]

    @torch.no_grad()
    def encode_prompts(self, texts: list[str]) -> Conditioning:
        """The parts `states` and `mask`, as plain diffusers computes them.

        A prompt is read in lower case behind the instruction. Of the last hidden states the first is told,
        and as many at the end as make `tokens`: the beginning of the text, and the prompt with what fills up.
        """
        before, _ = instruction()
        # The instruction's and the prompt's: the mark of the beginning and the blank between count in both.
        length = len(self.tokenizer.encode(before)) + self.tokens - 2
        return self._encoded([before + text.lower().strip() for text in texts], length)

    def encode_empty(self) -> Conditioning:
        """What Gemma says of an empty text, without the instruction."""
        return self._encoded([""], self.tokens)

    @torch.no_grad()
    def _encoded(self, texts: list[str], length: int) -> Conditioning:
        states, masks = [], []
        # One by one: a language model's activations are large.
        for text in texts:
            read: Any = self.tokenizer(
                text, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
            ).to(self.device)
            said = self.text_encoder(
                read.input_ids, attention_mask=read.attention_mask, use_cache=False
            ).last_hidden_state
            told = [0, *range(length - self.tokens + 1, length)]
            states.append(said[:, told].float())
            masks.append(read.attention_mask[:, told].float())
        return Conditioning({"states": torch.cat(states), "mask": torch.cat(masks)})

    def to_latents(self, pixels: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n c h w"]:
        """`scaling_factor` times what the autoencoder says."""
        vae: Any = self.vae
        latents: Tensor = vae.encode(pixels).latent
        return latents.float() * float(vae.config.scaling_factor)

    def to_pixels(self, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 height width"]:
        """The inverse."""
        vae: Any = self.vae
        pixels: Tensor = vae.decode(latents / float(vae.config.scaling_factor)).sample
        return pixels

    # --- noise, and what the transformer says of it -----------------------------------------------

    def velocity(
        self,
        network: nn.Module,
        noisy: Float[Tensor, "n c h w"],
        sigma: Float[Tensor, " n"],
        told: Conditioning,
    ) -> Float[Tensor, "n c h w"]:
        """Asked at the timestep 1000 sigma, times the config's `timestep_scale`."""
        output: Tensor = network(
            noisy,
            encoder_hidden_states=told.parts["states"],
            encoder_attention_mask=told.parts["mask"],
            timestep=sigma * self.schedule.timesteps * float(self.config["timestep_scale"]),
            return_dict=False,
        )[0]
        return output

    def sampler_steps(self, sampler: Sampler) -> SamplerSteps:
        """A walk by DPM-Solver++ or by Euler's steps."""
        if sampler.name != multistep.NAME:
            return super().sampler_steps(sampler)
        if sampler.eta:
            raise UserError(
                f"eta is {sampler.eta}, and {multistep.NAME} draws no noise", do="take the sampler euler"
            )
        return multistep.MultistepSteps(self.solver, sampler.steps, self.device)

"""A Stable Diffusion 3.5 folder as the hub's is, with few weights: 64 x 64 pixels, 16 x 16 x 4 latents."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from torch import Tensor
from transformers import CLIPTextModelWithProjection

from benchmark.core.records import Sampler
from tools.build_shapes.tokenizer import END
from tools.random_flow.parts import (
    CLIP_TOKENS,
    by_diffusers,
    write_clip,
    write_index,
    write_network,
    write_t5,
    write_vae,
)
from tools.random_flow.published import Published, parts_of

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

WIDTH = 48
"""Of the states that the transformer reads: 16 and 24 of the CLIPs, filled up, and T5's."""
_CLIPS = 16 + 24
PUBLISHED = Published(
    sampling=("euler", 28, 7.0),
    density="logit_normal(mean=0, std=1, shift=3)",
    models=dict.fromkeys(("sd35_medium", "sd35_large", "sd3_medium"), (1024, (16, 128, 128))),
    language=("text_encoder_3", "t5"),
    other="single_transformer_blocks.0.attn.to_q",
    needed=(
        "model_index.json", "scheduler/scheduler_config.json",
        *parts_of("text_encoder"), *parts_of("text_encoder_2"),
        *parts_of("text_encoder_3", 2),
        *parts_of("transformer"), *parts_of("vae"),
        *(f"tokenizer{n}/{file}" for n in ("", "_2")
          for file in ("merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")),
        "tokenizer_3/tokenizer.json", "tokenizer_3/tokenizer_config.json",
    ),
    more=(
        "sd3.5_medium.safetensors", "README.md", "text_encoders/clip_l.safetensors",
        "tokenizer_3/spiece.model",
        "text_encoder/model.fp16.safetensors", "text_encoder_2/model.fp16.safetensors",
    ),
)  # fmt: skip


def write_random_folder(
    folder: Path, *, seed: int = 0, t5: bool = True, scheduler: dict[str, Any] | None = None
) -> Path:
    """Writes a folder.

    Args:
        folder: Where.
        seed: Of the weights.
        t5: Whether there is a third text encoder.
        scheduler: Settings beside the published ones.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        write_clip(folder, "", CLIPTextModelWithProjection, END)
        write_clip(
            folder, "_2", CLIPTextModelWithProjection, "!",
            hidden_size=24, intermediate_size=48, num_attention_heads=3, projection_dim=12, hidden_act="gelu",
        )  # fmt: skip
        if t5:
            write_t5(folder, "_3", WIDTH)
        write_vae(folder, scaling_factor=1.5305, shift_factor=0.0609)
        network = SD3Transformer2DModel(
            sample_size=16, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
            num_attention_heads=2, joint_attention_dim=WIDTH, caption_projection_dim=16,
            pooled_projection_dim=16 + 12, pos_embed_max_size=12, dual_attention_layers=(0,),
            qk_norm="rms_norm",
        )  # fmt: skip
        write_network(folder, network)
    noise = {
        "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0,
        **(scheduler or {}),
    }  # fmt: skip
    parts = {
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_3": ["transformers", "T5EncoderModel"] if t5 else [None, None],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "tokenizer_3": ["transformers", "T5TokenizerFast"] if t5 else [None, None],
        "transformer": ["diffusers", "SD3Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    write_index(folder, "StableDiffusion3Pipeline", noise, parts)
    return folder


def diffusers_images(
    folder: Path,
    prompts: list[str],
    seeds: list[int],
    sampler: Sampler,
    adapter: Path | None = None,
    **settings: Any,
) -> "RGB":
    """See :func:`tools.random_flow.diffusers_images`; a T5 that is missing is missing there as well."""
    pipe = _pipe(folder)
    return by_diffusers(pipe, prompts, seeds, sampler, adapter, guidance_scale=sampler.guidance, **settings)


def diffusers_told(folder: Path, prompts: list[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """See :func:`tools.random_flow.diffusers_told`."""
    pipe = _pipe(folder)

    def told(texts: list[str]) -> dict[str, Tensor]:
        states, _, pooled, _ = pipe.encode_prompt(
            prompt=texts, prompt_2=None, prompt_3=None, device="cpu", do_classifier_free_guidance=False
        )
        parts = {"clip": states[:, :CLIP_TOKENS, :_CLIPS], "pooled": pooled}
        return parts if pipe.text_encoder_3 is None else {**parts, "t5": states[:, CLIP_TOKENS:]}

    with torch.no_grad():
        return told(prompts), told([""])


def _pipe(folder: Path) -> Any:
    none = {} if (folder / "text_encoder_3").is_dir() else {"text_encoder_3": None, "tokenizer_3": None}
    return StableDiffusion3Pipeline.from_pretrained(folder, **none)

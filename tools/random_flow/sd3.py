"""A Stable Diffusion 3.5 folder as the hub's is, with few weights: 64 x 64 pixels, 16 x 16 x 4 latents."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from transformers import CLIPTextModelWithProjection

from benchmark.core.records import Sampler
from tools.build_shapes.tokenizer import END
from tools.random_flow.parts import by_diffusers, write_clip, write_index, write_network, write_t5, write_vae

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

WIDTH = 48
"""Of the states that the transformer reads: 16 and 24 of the CLIPs, filled up, and T5's."""


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
    folder: Path, prompts: list[str], seeds: list[int], sampler: Sampler, adapter: Path | None = None
) -> "RGB":
    """See :func:`tools.random_flow.diffusers_images`."""
    pipe = StableDiffusion3Pipeline.from_pretrained(folder)
    return by_diffusers(pipe, prompts, seeds, sampler, adapter, guidance_scale=sampler.guidance)

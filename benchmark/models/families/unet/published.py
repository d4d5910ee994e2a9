"""What was published: the configs of Stable Diffusion 1.5 and SDXL base 1.0, as their folders state them.

A model in a single file states none. No torch here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmark.core.errors import UnreadableFileError
from benchmark.models.families.unet.kinds import UNET, Contents, original_name, refusal

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Sizes:
    """The configs of a folder's networks.

    Attributes:
        unet: UNet2DConditionModel's.
        vae: AutoencoderKL's.
        text: The first text encoder's.
        text_2: The second one's; None for Stable Diffusion 1.x.
        length: Tokens of a prompt.
    """

    unet: Config
    vae: Config
    text: Config
    text_2: Config | None = None
    length: int = 77


_CLIP_L: Final = {
    "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "projection_dim": 768, "hidden_act": "quick_gelu",
}  # fmt: skip
_VAE: Final = {
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4,
}  # fmt: skip
SD15: Final = Sizes(
    unet={
        "sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8, "layers_per_block": 2,
        "block_out_channels": [320, 640, 1280, 1280],
        "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
        "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
    },
    vae={**_VAE, "sample_size": 512},
    text=_CLIP_L,
)  # fmt: skip
"""Stable Diffusion 1.5: 860 million weights in the UNet, 84 in the autoencoder, 123 in the text encoder."""
SDXL: Final = Sizes(
    unet={
        "sample_size": 128, "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20],
        "layers_per_block": 2, "block_out_channels": [320, 640, 1280],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "transformer_layers_per_block": [1, 2, 10], "use_linear_projection": True,
        "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    vae={**_VAE, "sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True},
    text=_CLIP_L,
    text_2={
        **_CLIP_L, "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32,
        "num_attention_heads": 20, "projection_dim": 1280, "hidden_act": "gelu",
    },
)  # fmt: skip
"""SDXL base 1.0: 2.6 billion weights in the UNet, 0.7 in the second text encoder."""
SCHEDULER: Final = {
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
    "clip_sample": False, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
    "trained_betas": None, "timestep_spacing": "leading",
}  # fmt: skip
"""The noise schedule of both; SDXL is sampled by Euler steps on it, Stable Diffusion 1.5 by PNDM."""

FAMILIES: dict[str, Sizes] = {"sd": SD15, "sdxl": SDXL}
"""Of whole models in one file, by what :func:`benchmark.models.families.unet.kinds.contents` calls them."""


def fitting_sizes(file: Path, found: Contents) -> Sizes:
    """The published configs that a whole model in one file is opened with as a base model.

    Args:
        file: As given.
        found: What it holds.

    Raises:
        UserError: if it is no whole model, or of other sizes: nothing in it says how many heads those have.
    """
    if not found.is_whole or found.kind not in FAMILIES:
        raise refusal(file, found, "--base")
    sizes = FAMILIES[found.kind]
    shapes = {original_name(name): shape for name, shape in found.shapes.items()}
    stated = shapes[f"{UNET}input_blocks.0.0.weight"][:1]
    published = (sizes.unet["block_out_channels"][0],)
    if stated != published:
        raise UnreadableFileError(
            file,
            f"{found.words} of the published sizes",
            f"its UNet has {stated} channels in its first layer, not {published}",
            do="give the diffusers folder of its base model with --base, and this file with --checkpoint",
        )
    return sizes

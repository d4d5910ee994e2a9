"""A FLUX.1 folder as the hub's is, with few weights: 64 x 64 pixels, 16 x 16 x 4 latents."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from torch import Tensor
from transformers import CLIPTextModel

from benchmark.core.records import Sampler
from benchmark.models.flow.facts import SIDE_KEY
from benchmark.models.flow.texts import TOKENS_KEY
from tools.build_shapes.tokenizer import END
from tools.random_flow.parts import by_diffusers, write_clip, write_index, write_network, write_t5, write_vae
from tools.random_flow.published import Published, parts_of

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

WIDTH = 48
"""Of T5's states."""
PIXELS = 64
TOKENS = 64
"""Of a prompt: 512 would be most of the work of a tiny model."""
PUBLISHED = Published(
    sampling=("euler", 28, 3.5),
    # 64 tokens: mu = 0.5 + 0.65 (64 - 256) / (4096 - 256).
    density="logit_normal(mean=0, std=1, shift=1.596)",
    models=dict.fromkeys(("flux1_dev", "flux1_schnell"), (1024, (16, 128, 128))),
    language=("text_encoder_2", "t5"),
    other="transformer_blocks.0.attn1.to_q",
    needed=(
        "model_index.json", "scheduler/scheduler_config.json",
        *parts_of("text_encoder"), *parts_of("text_encoder_2", 2),
        *parts_of("transformer", 3), *parts_of("vae"),
        *(f"tokenizer/{file}"
          for file in ("merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")),
        *(f"tokenizer_2/{file}.json" for file in ("special_tokens_map", "tokenizer", "tokenizer_config")),
    ),
    more=("README.md", "LICENSE.md", "ae.safetensors", "dev_grid.jpg", "flux1-dev.safetensors",
          "tokenizer_2/spiece.model"),
)  # fmt: skip
_DEV = {"shift": 3.0, "use_dynamic_shifting": True}
_SCHNELL = {"shift": 1.0, "use_dynamic_shifting": False}


def write_random_folder(
    folder: Path, *, seed: int = 0, schnell: bool = False, scheduler: dict[str, Any] | None = None
) -> Path:
    """Writes a folder.

    Args:
        folder: Where.
        seed: Of the weights.
        schnell: As FLUX.1 [schnell] is, which is told no guidance; else as FLUX.1 [dev].
        scheduler: Settings beside the published ones.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        write_clip(folder, "", CLIPTextModel, END)
        write_t5(folder, "_2", WIDTH)
        write_vae(folder, scaling_factor=0.3611, shift_factor=0.1159)
        network = FluxTransformer2DModel(
            in_channels=16, num_layers=2, num_single_layers=2, attention_head_dim=8, num_attention_heads=2,
            joint_attention_dim=WIDTH, pooled_projection_dim=16, guidance_embeds=not schnell,
            axes_dims_rope=(2, 2, 4),
        )  # fmt: skip
        # In half precision a guidance of 3.5 is told as 3.504: what random layers make of it is kept small.
        network.proj_out.weight.data.mul_(0.5)
        write_network(folder, network)
    noise = {
        "_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "base_shift": 0.5,
        "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096,
        **(_SCHNELL if schnell else _DEV), **(scheduler or {}),
    }  # fmt: skip
    parts = {
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        SIDE_KEY: PIXELS // 4,
        TOKENS_KEY: TOKENS,
    }
    write_index(folder, "FluxPipeline", noise, parts)
    return folder


def diffusers_images(
    folder: Path,
    prompts: list[str],
    seeds: list[int],
    sampler: Sampler,
    adapter: Path | None = None,
    **settings: Any,
) -> "RGB":
    """See :func:`tools.random_flow.diffusers_images`."""
    pipe = FluxPipeline.from_pretrained(folder)
    # Without guidance embeddings the scale is that of a second prediction.
    guidance: dict[str, Any] = {"guidance_scale": sampler.guidance}
    if not pipe.transformer.config.guidance_embeds:
        guidance = {"true_cfg_scale": sampler.guidance, "negative_prompt": [""] * len(prompts)}
    return by_diffusers(
        pipe, prompts, seeds, sampler, adapter,
        height=PIXELS, width=PIXELS, max_sequence_length=TOKENS, **guidance, **settings,
    )  # fmt: skip


def diffusers_told(folder: Path, prompts: list[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """See :func:`tools.random_flow.diffusers_told`."""
    pipe: Any = FluxPipeline.from_pretrained(folder)

    def told(texts: list[str]) -> dict[str, Tensor]:
        states, pooled, _ = pipe.encode_prompt(texts, None, max_sequence_length=TOKENS)
        return {"t5": states, "pooled": pooled}

    with torch.no_grad():
        return told(prompts), told([""])

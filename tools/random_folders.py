"""Folders of base models in the published layout, with random weights: of the published size, or tiny.

No published weights are needed to see that a folder of that layout opens, trains and is sampled from, and
what that costs: file names, key names, configs and sizes are those of the hub's Stable Diffusion 1.5 and
SDXL, the numbers in the weights are not.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from benchmark.models.families.unet.published import SCHEDULER, Config, Sizes
from tools.build_shapes.tokenizer import END, START, byte_symbols

_TINY_TEXT: Final = {
    "vocab_size": 514, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "projection_dim": 16, "hidden_act": "quick_gelu",
}  # fmt: skip
_TINY_VAE: Final = {
    "down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3,
    "block_out_channels": [8, 8, 8], "layers_per_block": 1, "norm_num_groups": 4, "latent_channels": 4,
    "sample_size": 64,
}  # fmt: skip
_TINY_UNET: Final = {
    "sample_size": 16, "cross_attention_dim": 16, "attention_head_dim": 2, "layers_per_block": 1,
    "block_out_channels": [8, 16], "norm_num_groups": 4,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
}  # fmt: skip
TINY_SD15: Final = Sizes(_TINY_UNET, _TINY_VAE, _TINY_TEXT, length=32)
"""The same kinds of networks with few weights: 64 x 64 pixels, 16 x 16 latents."""
TINY_SDXL: Final = Sizes(
    unet={
        **_TINY_UNET, "cross_attention_dim": 16 + 24, "attention_head_dim": [1, 2],
        "transformer_layers_per_block": [1, 2], "use_linear_projection": True,
        "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + 12,
    },
    vae={**_TINY_VAE, "scaling_factor": 0.13025, "force_upcast": True},
    text=_TINY_TEXT,
    text_2={
        **_TINY_TEXT, "hidden_size": 24, "intermediate_size": 48, "num_attention_heads": 3,
        "projection_dim": 12, "hidden_act": "gelu",
    },
    length=32,
)  # fmt: skip
"""Likewise, with SDXL's two text encoders, pooled vectors and time ids."""


def write_random_folder(
    folder: Path,
    sizes: Sizes,
    *,
    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon",
    half: bool = False,
    seed: int = 0,
    scheduler: Config | None = None,
) -> Path:
    """Writes a diffusers folder as the hub's is.

    Args:
        folder: Where.
        sizes: Of its networks.
        prediction_type: What its UNet predicts.
        half: Write float16, which halves the disk it takes.
        seed: Of the weights.
        scheduler: Settings of the noise schedule beside the published ones.
    """
    xl = sizes.text_2 is not None
    dtype = torch.float16 if half else torch.float32
    texts: dict[str, tuple[Any, Config]] = {"text_encoder": (CLIPTextModel, sizes.text)}
    if sizes.text_2 is not None:
        texts["text_encoder_2"] = (CLIPTextModelWithProjection, sizes.text_2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, (kind, config) in texts.items():
            # The ids that the published configs say; with 2 the end of a prompt is its highest id.
            ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
            encoder = kind(CLIPTextConfig(max_position_embeddings=sizes.length, **ids, **config))
            # The published configs say it, and some training scripts ask.
            encoder.config.architectures = [kind.__name__]
            encoder.config.save_pretrained(folder / name)
            write_weights(encoder, published_text_names(encoder), folder / name / "model.safetensors", dtype)
        vae = AutoencoderKL(**sizes.vae)
        vae.save_config(folder / "vae")
        # SDXL's autoencoder was published after diffusers had renamed its attention layers.
        names = {} if xl else _older_attention_names(vae)
        write_weights(vae, names, folder / "vae" / "diffusion_pytorch_model.safetensors", dtype)
        unet = UNet2DConditionModel(**sizes.unet)
        unet.save_config(folder / "unet")
        write_weights(unet, {}, folder / "unet" / "diffusion_pytorch_model.safetensors", dtype)
    for name in texts:
        suffix = name.removeprefix("text_encoder")
        write_clip_tokenizer(folder / f"tokenizer{suffix}", sizes.length, pad="!" if suffix else END)
    noise = SCHEDULER | {"prediction_type": prediction_type} | dict(scheduler or {})
    kind = "EulerDiscreteScheduler" if xl else "PNDMScheduler"
    write_json(folder / "scheduler" / "scheduler_config.json", {"_class_name": kind, **noise})
    write_json(folder / "model_index.json", _index(kind, xl=xl))
    return folder


def _index(scheduler: str, *, xl: bool) -> Config:
    parts: dict[str, Any] = {
        "scheduler": ["diffusers", scheduler],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if xl:
        parts |= {
            "_class_name": "StableDiffusionXLPipeline",
            "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
            "force_zeros_for_empty_prompt": True,
        }
    else:
        parts |= {
            "_class_name": "StableDiffusionPipeline",
            "feature_extractor": [None, None],
            "safety_checker": [None, None],
        }
    return parts


def published_text_names(encoder: nn.Module) -> dict[str, str]:
    """Every weight below `text_model.`, which today's transformers leaves out of some."""
    return {
        name: f"text_model.{name}"
        for name in encoder.state_dict()
        if not name.startswith(("text_model.", "text_projection."))
    }


def _older_attention_names(vae: nn.Module) -> dict[str, str]:
    """The autoencoder's attention layers as Stable Diffusion 1.x was published with."""
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    return {
        name: name.replace(f".{new}.", f".{old}.")
        for name in vae.state_dict()
        for new, old in older.items()
        if f".{new}." in name
    }


def write_weights(network: nn.Module, names: Mapping[str, str], path: Path, dtype: torch.dtype) -> None:
    """Writes a network's weights, some of them under other names."""
    state: dict[str, Tensor] = {
        names.get(name, name): value.to(dtype) if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    save_file(state, path, metadata={"format": "pt"})


def write_clip_tokenizer(folder: Path, length: int, pad: str) -> None:
    """CLIP's alphabet without merges: every letter is a token."""
    symbols = byte_symbols()
    vocabulary = [*symbols, *(s + "</w>" for s in symbols), START, END]
    write_json(folder / "vocab.json", {token: i for i, token in enumerate(vocabulary)})
    (folder / "merges.txt").write_text("#version: 0.2\n")
    said = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": pad}
    write_json(
        folder / "tokenizer_config.json",
        {**said, "model_max_length": length, "tokenizer_class": "CLIPTokenizer"},
    )


def write_json(path: Path, content: Config) -> None:
    """Writes a config, and the folder it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2))

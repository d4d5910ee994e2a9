"""Parts that several families of flow models have: CLIP, T5, their tokenizers, an autoencoder, an index."""

import string
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from transformers import CLIPTextConfig, T5Config, T5EncoderModel, T5TokenizerFast

from benchmark.core.records import Sampler
from tools.random_folders import published_text_names, write_clip_tokenizer, write_json, write_weights

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

CLIP_TOKENS: Final = 32
"""Of a prompt; 77 in published models."""
_CLIP: Final = {
    "vocab_size": 514, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "projection_dim": 16, "hidden_act": "quick_gelu",
}  # fmt: skip
_VAE: Final = {
    "down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3,
    "block_out_channels": [8, 8, 8], "layers_per_block": 1, "norm_num_groups": 4, "latent_channels": 4,
    "sample_size": 64, "use_quant_conv": False, "use_post_quant_conv": False, "force_upcast": True,
}  # fmt: skip


def write_clip(folder: Path, suffix: str, kind: Any, pad: str, **changes: Any) -> None:
    """A CLIP text encoder and its tokenizer, as `text_encoder*/` and `tokenizer*/`.

    Args:
        folder: The pipeline's.
        suffix: Of the folders' names.
        kind: The class, with or without a projection.
        pad: The token that fills up.
        changes: To its config.
    """
    # The ids that the published configs say; with 2 the end of a prompt is its highest id.
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    encoder = kind(CLIPTextConfig(max_position_embeddings=CLIP_TOKENS, **ids, **{**_CLIP, **changes}))
    encoder.config.architectures = [kind.__name__]
    place = folder / f"text_encoder{suffix}"
    encoder.config.save_pretrained(place)
    write_weights(encoder, published_text_names(encoder), place / "model.safetensors", torch.float32)
    write_clip_tokenizer(folder / f"tokenizer{suffix}", CLIP_TOKENS, pad=pad)


def write_t5_tokenizer(folder: Path, suffix: str = "") -> int:
    """A tokenizer of T5's, whose tokens are letters, as `tokenizer*/`; returns how many there are.

    Args:
        folder: The pipeline's.
        suffix: Of the folder's name.
    """
    letters = [("\u2581", -2.0), *((letter, -3.0) for letter in string.printable if not letter.isspace())]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *letters]
    tokenizer = T5TokenizerFast(vocab=vocabulary, extra_ids=0, model_max_length=512)
    tokenizer.save_pretrained(folder / f"tokenizer{suffix}")
    return len(vocabulary)


def write_t5(folder: Path, suffix: str, width: int) -> None:
    """A T5 encoder and its tokenizer.

    Args:
        folder: The pipeline's.
        suffix: Of the folders' names.
        width: Of its states.
    """
    config = T5Config(
        vocab_size=write_t5_tokenizer(folder, suffix), d_model=width, d_kv=8, d_ff=2 * width, num_layers=1,
        num_heads=2, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
    )  # fmt: skip
    T5EncoderModel(config).save_pretrained(folder / f"text_encoder{suffix}")


def write_vae(folder: Path, **changes: Any) -> None:
    """An autoencoder of 64 x 64 pixels and 16 x 16 x 4 latents, as `vae/`."""
    AutoencoderKL(**{**_VAE, **changes}).save_pretrained(folder / "vae")


def write_network(folder: Path, network: nn.Module) -> None:
    """The network that is trained, as `transformer/`."""
    saved: Any = network
    saved.save_pretrained(folder / "transformer")


def write_index(folder: Path, kind: str, scheduler: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    """The pipeline's index and its scheduler's config.

    Args:
        folder: The pipeline's.
        kind: Its class.
        scheduler: Its config, with its class.
        parts: Library and class of each part beside the scheduler, and further entries.
    """
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    index = {"_class_name": kind, "scheduler": ["diffusers", scheduler["_class_name"]], **parts}
    write_json(folder / "model_index.json", index)


def by_diffusers(
    pipe: Any, prompts: list[str], seeds: list[int], sampler: Sampler, adapter: Path | None, **settings: Any
) -> "RGB":
    """Images of a pipeline of diffusers, with a generator for each.

    Args:
        pipe: The pipeline.
        prompts: One for each image.
        seeds: Likewise.
        sampler: For its steps.
        adapter: A folder or file that `load_lora_weights` opens.
        settings: Of the call, such as its guidance.
    """
    pipe.set_progress_bar_config(disable=True)
    if adapter is not None:
        pipe.load_lora_weights(adapter)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    made = pipe(prompts, num_inference_steps=sampler.steps, generator=generators, **settings)
    return np.stack([np.asarray(image) for image in made.images])

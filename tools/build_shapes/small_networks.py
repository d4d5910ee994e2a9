"""The embedded world's networks: made small, and written to disk in half precision.

`benchmark.networks` opens what is written here; nothing that is shipped makes or writes a network.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import lpips
from open_clip.model import CLIP
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from benchmark.core.store import atomic_file, write_json
from benchmark.networks import blip, features, open_clip, perceptual
from benchmark.networks.pixels import CLIP_MEAN, CLIP_STD

SMALL_VISION: Final[Mapping[str, Any]] = {
    "layers": [1, 1, 1, 1],
    "width": 20,
    "head_width": 64,
    "image_size": 64,
}
"""A small ModifiedResNet (that is what a list of layers means): convolutions learn shapes from little."""
SMALL_TEXT: Final[Mapping[str, Any]] = {"context_length": 32, "width": 128, "heads": 4, "layers": 3}


def small_config(
    vocab_size: int,
    *,
    embed_dim: int = 128,
    vision: Mapping[str, Any] = SMALL_VISION,
    text: Mapping[str, Any] = SMALL_TEXT,
) -> dict[str, Any]:
    """The ``model_cfg`` of an embedded tower.

    Args:
        vocab_size: Of the tokenizer: ``open_clip_tokenizer(bpe).vocab_size``.
        embed_dim: Length of the shared embedding.
        vision: open_clip's CLIPVisionCfg; an integer ``layers`` with ``patch_size`` gives a ViT.
        text: open_clip's CLIPTextCfg, without the vocabulary.
    """
    return {
        "embed_dim": embed_dim,
        "vision_cfg": dict(vision),
        "text_cfg": {**text, "vocab_size": vocab_size},
    }


def save_open_clip(model: CLIP, model_cfg: Mapping[str, Any], folder: Path) -> None:
    """Writes what ``open_clip.create_model("local-dir:FOLDER")`` reads."""
    preprocess = {
        "mean": list(CLIP_MEAN),
        "std": list(CLIP_STD),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    save_weights(model, folder / open_clip.WEIGHTS)
    write_config(folder, {"model_cfg": dict(model_cfg), "preprocess_cfg": preprocess}, open_clip.CONFIG)


def new_clip_model(
    tokenizer: CLIPTokenizer, *, width: int = 128, layers: int = 4, patch: int = 8, side: int = 64
) -> CLIPModel:
    """A small CLIPModel with random weights.

    Args:
        tokenizer: Gives vocabulary, context and special tokens.
        width: Of both towers and of the shared embedding.
        layers: Of the vision tower; the text tower has one less.
        patch: Pixels along a patch.
        side: Pixels along an image.
    """
    tower: dict[str, Any] = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_attention_heads": width // 32,
    }
    text = {
        **tower,
        "num_hidden_layers": layers - 1,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": tokenizer.model_max_length,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {**tower, "num_hidden_layers": layers, "image_size": side, "patch_size": patch}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=width))


def save_clip_model(model: CLIPModel, folder: Path) -> None:
    """Writes config.json and model.safetensors: half precision on disk, opened in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    # Plain from_pretrained keeps the dtype named here, whatever the file holds.
    config["dtype"] = "float32"
    config["architectures"] = ["CLIPModel"]
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_weights(model, folder / "model.safetensors")


def small_reward_config(
    vocab_size: int, *, width: int = 128, side: int = 64, patch: int = 8
) -> blip.RewardConfig:
    """An embedded reward network: 4 vision and 3 text layers of one width."""
    tower = {"hidden_size": width, "intermediate_size": 4 * width, "num_attention_heads": width // 32}
    vision = {
        **tower, "num_hidden_layers": 4, "image_size": side, "patch_size": patch, "layer_norm_eps": 1e-6,
        # The library's default is 1e-10: a tower that starts there sees nothing.
        "initializer_range": 0.02,
    }  # fmt: skip
    text = {
        **tower, "num_hidden_layers": 3, "vocab_size": vocab_size, "encoder_hidden_size": width,
        "layer_norm_eps": 1e-12, "max_position_embeddings": 64,
        "pad_token_id": 0, "bos_token_id": 2, "sep_token_id": 3,
    }  # fmt: skip
    return blip.RewardConfig(vision, text, head=(128, 64, 16, 1))


def save_reward_net(network: blip.RewardNet, folder: Path) -> None:
    """Writes what `load_reward_net` reads: config.json and model.safetensors."""
    save_weights(network, folder / blip.WEIGHTS)
    write_config(folder, asdict(network.config))


def save_features(network: features.FeatureNet, folder: Path) -> None:
    """Writes what `load_features` reads: config.json and model.safetensors."""
    save_weights(network, folder / features.WEIGHTS)
    write_config(folder, {"num_features": network.num_features, "width": network.width})


def save_perceptual(network: lpips.LPIPS, folder: Path) -> None:
    """Writes the whole state, trunk and linear layers, as model.safetensors."""
    save_weights(network, folder / perceptual.WEIGHTS)


def half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict for the disk: floats in half precision, tensors that share memory separated."""
    return {
        k: (v.half() if v.is_floating_point() else v).detach().cpu().contiguous().clone()
        for k, v in state.items()
    }


def save_weights(module: nn.Module, path: Path) -> None:
    """Writes a module's weights in half precision, whole or not at all."""
    with atomic_file(path) as temporary:
        save_file(half(module.state_dict()), temporary)


def write_config(folder: Path, config: Mapping[str, Any], name: str = "config.json") -> None:
    """Writes a tower's settings beside its weights."""
    write_json(folder / name, dict(config))

"""transformers' CLIPModel: the tower of ``pickscore``."""

import json
from pathlib import Path
from typing import Any

from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from benchmark.core.errors import MissingWeightsError, UnreadableFileError
from benchmark.networks.folders import save_weights
from benchmark.networks.pretrained import load_pretrained


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


def load_clip_model(folder: Path) -> CLIPModel:
    """The CLIPModel of a folder, strictly; see `load_pretrained`."""
    return load_pretrained(CLIPModel, folder)


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The CLIP tokenizer of a folder.

    Raises:
        MissingWeightsError: if it is not there.
        UnreadableFileError: if it is there and is none.
    """
    if not (folder / "vocab.json").is_file() and not (folder / "tokenizer.json").is_file():
        raise MissingWeightsError(f"no CLIP tokenizer at {folder}", do="`fbench doctor` says more")
    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    # The tokenizers library raises nothing more particular.
    except Exception as error:
        raise UnreadableFileError(folder, "a CLIP tokenizer", error) from error

"""transformers' CLIPModel with the preprocessing of its own processor, as PickScore uses it."""

import json
from collections.abc import Sequence
from math import floor
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from benchmark.core.errors import MissingWeightsError, UnreadableFileError
from benchmark.networks.folders import save_weights
from benchmark.networks.inference import Embedder, place
from benchmark.networks.pixels import RGB, centre_crop, normalise
from benchmark.networks.pretrained import load_pretrained


def pickscore_pixels(image: RGB, side: int) -> Float[Tensor, "3 side side"]:
    """PickScore: as CLIP, but half a pixel of the crop's place is rounded down.

    Source: transformers `CLIPImageProcessor`, which PickScore's model card calls.
    """
    return centre_crop(image, side, floor)


class HfClip(Embedder):
    """Unit embeddings of images and texts by a CLIPModel, and its learned scale.

    Args:
        folder: The model.
        tokenizer: The folder of its tokenizer.
        device: Where to compute.
        key: Names the embeddings: the weights.
        precision: ``fp32`` or ``bf16``.
    """

    def __init__(self, folder: Path, tokenizer: Path, device: str, key: str, precision: str = "fp32") -> None:
        self._model = place(load_clip_model(folder), device, precision)
        self._tokenizer = load_tokenizer(tokenizer)
        self._length = int(self._model.config.text_config.max_position_embeddings)
        super().__init__(device, key, precision, int(self._model.config.vision_config.image_size))

    @property
    def scale(self) -> float:
        r"""$e^{\tau}$, by which training multiplied cosines."""
        return float(self._model.logit_scale.exp())

    @property
    def size(self) -> int:
        """Length of an embedding."""
        return int(self._model.config.projection_dim)

    def preprocess(self, image: RGB) -> Float[Tensor, "3 side side"]:
        """The model's input, normalised with CLIP's mean and deviation."""
        return normalise(pickscore_pixels(image, self.side)[None])[0]

    def encode_images(self, inputs: Float[Tensor, "n 3 side side"]) -> Float[Tensor, "n d"]:
        """Embeddings of preprocessed images."""
        out: Tensor = self._model.get_image_features(pixel_values=inputs).pooler_output
        return out

    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Embeddings of texts, padded and cut to the model's context."""
        tokens = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=self._length, return_tensors="pt"
        ).to(self.device)
        out: Tensor = self._model.get_text_features(
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
        ).pooler_output
        return out


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

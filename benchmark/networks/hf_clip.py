"""transformers' CLIPModel with the preprocessing of its own processor, as PickScore uses it."""

from collections.abc import Sequence
from math import floor
from pathlib import Path

from jaxtyping import Float
from torch import Tensor
from transformers import CLIPModel, CLIPTokenizer

from benchmark.core.errors import MissingWeightsError, UnreadableFileError
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
        side, size = self._model.config.vision_config.image_size, self._model.config.projection_dim
        super().__init__(device, key, precision, side, size)

    @property
    def scale(self) -> float:
        r"""$e^{\tau}$, by which training multiplied cosines."""
        return float(self._model.logit_scale.exp())

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

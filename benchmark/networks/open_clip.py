"""open_clip models with the preprocessing that they were published with: CLIP, HPS v2 and CMMD.

A folder has open_clip's own ``local-dir:`` layout: its json configuration and its safetensors.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import open_clip
from jaxtyping import Float
from open_clip.model import CLIP
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import pad, resize

from benchmark.core import resources
from benchmark.core.errors import UnreadableFileError, UserError, close_matches
from benchmark.networks.folders import load_strictly, read_config, read_weights, without_weights
from benchmark.networks.inference import Embedder, place
from benchmark.networks.pixels import (
    RGB,
    centre_crop,
    normalise,
    stretched,
    unit_range,
)

Preprocess: TypeAlias = Callable[[RGB, int], Float[Tensor, "3 side side"]]
"""From pixels of any size to [0, 1] of the network's, before CLIP's mean and deviation."""

CONFIG: Final = "open_clip_config.json"
WEIGHTS: Final = "open_clip_model.safetensors"

PUBLISHED_VOCABULARY: Final = 49408
"""Tokens of the tokenizer that CLIP was published with, which open_clip brings along."""


def clip_pixels(image: RGB, side: int) -> Float[Tensor, "3 side side"]:
    """CLIP: shortest side to `side` (bicubic, Pillow), centre crop, [0, 1].

    Source: open_clip `transform.py`, by torchvision, which rounds half a pixel of the crop's place to the
    even side.
    """
    return centre_crop(image, side, round)


def square_pixels(image: RGB, side: int) -> Float[Tensor, "3 side side"]:
    """CMMD: the centred square, then that to `side` (bicubic, Pillow), [0, 1]."""
    height, width = image.shape[:2]
    edge = min(height, width)
    down, right = (height - edge) // 2, (width - edge) // 2
    return stretched(image[down : down + edge, right : right + edge], side)


def hps_pixels(image: RGB, side: int) -> Float[Tensor, "3 side side"]:
    """HPS v2: longest side to `side` (bicubic on the float tensor, antialias), zeros around it to a square.

    The zeros stand in [0, 1], so that normalising makes them CLIP's black.
    """
    pixels = unit_range(image)
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale != 1:
        height, width = round(height * scale), round(width * scale)
        pixels = resize(pixels, [height, width], InterpolationMode.BICUBIC, antialias=True)
    down, right = side - height, side - width
    padded: Tensor = pad(pixels, [right // 2, down // 2, right - right // 2, down - down // 2], fill=0)
    return padded


class OpenClip(Embedder):
    """Unit embeddings of images and texts by an open_clip model.

    Args:
        weights: A ``local-dir:`` folder, or a file of published weights.
        architecture: open_clip's name of what a file holds.
        pixels: From pixels to [0, 1] of the model's size.
        device: Where to compute.
        key: Names the embeddings for all scorers that share them: weights and preprocessing.
        precision: ``fp32`` or ``bf16``.
    """

    def __init__(
        self,
        weights: Path,
        architecture: str,
        pixels: Preprocess,
        device: str,
        key: str,
        precision: str = "fp32",
    ) -> None:
        folder = weights if weights.is_dir() else None
        model: CLIP = load_open_clip(weights) if folder else load_published(architecture, weights)
        self._model, self._pixels = place(model, device, precision), pixels
        self._tokenizer = open_clip_tokenizer(merges_of(folder, model.vocab_size), model.context_length)
        if self._tokenizer.vocab_size != model.vocab_size:
            # Token ids of another vocabulary would give numbers that mean nothing.
            wants = f"its text tower knows {model.vocab_size} tokens"
            raise UnreadableFileError(weights, "an open_clip model", wants, do="add its merges as bpe.txt.gz")
        side = model.visual.image_size
        side = int(side[0] if isinstance(side, tuple | list) else side)
        super().__init__(device, key, precision, side, int(model.visual.output_dim))

    def preprocess(self, image: RGB) -> Float[Tensor, "3 side side"]:
        """The model's input, normalised with CLIP's mean and deviation."""
        return normalise(self._pixels(image, self.side)[None])[0]

    def encode_images(self, inputs: Float[Tensor, "n 3 side side"]) -> Float[Tensor, "n d"]:
        """Embeddings of preprocessed images."""
        out: Tensor = self._model.encode_image(inputs)
        return out

    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Embeddings of texts, padded and cut to the model's context."""
        out: Tensor = self._model.encode_text(self._tokenizer(list(texts)).to(self.device))
        return out


def merges_of(folder: Path | None, vocabulary: int) -> Path | None:
    """The tokenizer's merges: the folder's own, or those that make as many tokens as the model knows.

    Args:
        folder: Of the model; None for a published file.
        vocabulary: Tokens that the model knows.

    Returns:
        None for the published tokenizer.
    """
    own = folder / "bpe.txt.gz" if folder else None
    if own is not None and own.is_file():
        return own
    if vocabulary == PUBLISHED_VOCABULARY:
        return None
    return resources.shapes_weights("shapes-sd") / "tokenizer" / "bpe.txt.gz"


def new_open_clip(model_cfg: Mapping[str, Any]) -> CLIP:
    """An open_clip model with random weights, in training mode."""
    return CLIP(**json.loads(json.dumps(model_cfg)))


def load_open_clip(folder: Path) -> CLIP:
    """The model of a ``local-dir:`` folder, strictly, in float32 and for inference.

    Raises:
        MissingWeightsError: if the folder lacks one of its files.
        UnreadableFileError: if they are not what they should be.
    """
    config = read_config(folder, CONFIG)
    state = read_weights(folder / WEIGHTS)
    try:
        with without_weights():
            model = new_open_clip(config["model_cfg"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableFileError(folder / CONFIG, "an open_clip configuration", error) from error
    load_strictly(model, state, folder / WEIGHTS)
    return model.eval().requires_grad_(False)


def load_published(architecture: str, weights: Path) -> CLIP:
    """A published open_clip architecture with weights from a file, strictly.

    Args:
        architecture: open_clip's name, such as ``ViT-H-14``.
        weights: A file of open_clip's keys: safetensors, or a pickle of tensors. Where the configuration
            it was published with lies beside it, that must be of the same architecture: shapes do not tell
            which GELU it was trained with.

    Raises:
        MissingWeightsError: if there is no such file.
        UnreadableFileError: if it holds other weights.
        UserError: if open_clip has no such architecture.
    """
    # open_clip would also take names with a prefix, and ask the network what they are.
    if architecture not in open_clip.list_models():
        close = " or ".join(close_matches(architecture, open_clip.list_models()))
        raise UserError(
            f"open_clip has no architecture {architecture!r}", do=close and f"did you mean {close}?"
        )
    if (weights.parent / CONFIG).is_file():
        _same_architecture(architecture, weights.parent)
    state = read_weights(weights)
    try:
        with without_weights():
            model = new_open_clip(open_clip.get_model_config(architecture))
    except TypeError as error:
        raise UserError(f"open_clip's {architecture} is no plain CLIP", do="ViT-H-14 is one") from error
    # Training on several devices leaves a prefix.
    load_strictly(model, {k.removeprefix("module."): v for k, v in state.items()}, weights)
    return model.eval().requires_grad_(False)


def _same_architecture(name: str, folder: Path) -> None:
    """Compares what both configurations state; a GELU that is not mentioned is the ordinary one."""
    published = read_config(folder, CONFIG).get("model_cfg") or {}
    ours = _flat({"quick_gelu": False, **open_clip.get_model_config(name)})
    theirs = _flat({"quick_gelu": False, **published})
    for key in sorted(ours.keys() & theirs.keys()):
        if ours[key] != theirs[key]:
            raise UnreadableFileError(
                folder / CONFIG, f"open_clip's {name}", f"{key} is {theirs[key]} and should be {ours[key]}"
            )


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {key: value}
    return found


def open_clip_tokenizer(bpe: Path | None = None, context_length: int = 77) -> open_clip.SimpleTokenizer:
    """CLIP's tokenizer; ids (n, context) from texts.

    Args:
        bpe: Merges as open_clip reads them (gz without a trailing newline); None: the published ones.
        context_length: Tokens of a text, padded and cut to that.
    """
    return open_clip.SimpleTokenizer(**({"bpe_path": str(bpe)} if bpe else {}), context_length=context_length)

"""An open_clip model as a scorer's two towers; images and texts are embedded once, whoever asks."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from open_clip.model import CLIP
from torch import Tensor
from torch.nn.functional import normalize

from benchmark.core import resources
from benchmark.core.errors import UnreadableFileError
from benchmark.networks.openclip import (
    PUBLISHED_VOCABULARY,
    load_open_clip,
    load_published,
    open_clip_tokenizer,
)
from benchmark.networks.pixels import normalise
from benchmark.networks.precision import place, running
from benchmark.scorers.engine.arrays import RGB
from benchmark.scorers.engine.batches import batch_size, in_batches, prepared_in_batches
from benchmark.scorers.engine.preprocess import Preprocess
from benchmark.scorers.engine.shown import Shown

Embeddings: TypeAlias = Float[np.ndarray, "n d"]


class OpenClip:
    """Unit embeddings of images and texts.

    Args:
        weights: A ``local-dir:`` folder, or a file of published weights.
        architecture: open_clip's name of what a file holds.
        preprocess: From pixels to the model's input.
        device: Where to compute.
        key: Names the embeddings for all scorers that share them: weights and preprocessing.
        precision: ``fp32`` or ``bf16``.
    """

    def __init__(
        self,
        weights: Path,
        architecture: str,
        preprocess: Preprocess,
        device: str,
        key: str,
        precision: str = "fp32",
    ) -> None:
        folder = weights if weights.is_dir() else None
        model: CLIP = load_open_clip(weights) if folder else load_published(architecture, weights)
        self._model = place(model, device, precision)
        merges = merges_of(folder, model.vocab_size)
        self._tokenizer = open_clip_tokenizer(merges, model.context_length)
        if self._tokenizer.vocab_size != model.vocab_size:
            # Token ids of another vocabulary would give numbers that mean nothing.
            wants = f"its text tower knows {model.vocab_size} tokens"
            raise UnreadableFileError(weights, "an open_clip model", wants, do="add its merges as bpe.txt.gz")
        self._preprocess, self._device, self._precision = preprocess, device, precision
        self._key = key if precision == "fp32" else f"{key}+{precision}"
        side = model.visual.image_size
        self._side = int(side[0] if isinstance(side, tuple | list) else side)
        self._known: dict[str, Tensor] = {}

    def images(self, shown: Shown) -> Embeddings:
        """Embeddings of images."""
        return np.stack(shown.each(self._key, lambda new: self._embed(new.images)))

    def of_images(self, images: Sequence[RGB]) -> Embeddings:
        """The same for images that belong to no set, such as references."""
        return torch.stack(self._embed(images)).numpy()

    @property
    def size(self) -> int:
        """Length of an embedding."""
        return int(self._model.visual.output_dim)

    def prompts(self, shown: Shown) -> Embeddings:
        """Embeddings of the text of each image's prompt."""
        return np.stack(shown.each_text(f"texts:{self._key}", self._read))

    def texts(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of any texts; each distinct one is embedded once."""
        new = sorted(set(texts) - self._known.keys())
        self._known.update(zip(new, self._read(new), strict=True))
        return np.stack([self._known[text].numpy() for text in texts])

    def centroid(self, images: Sequence[RGB]) -> Float[np.ndarray, " d"]:
        """The direction of the mean embedding of some images."""
        mean: np.ndarray = normalize(torch.stack(self._embed(images)).mean(0), dim=0).numpy()
        return mean

    def _embed(self, images: Sequence[RGB]) -> list[Tensor]:
        size = batch_size(self._device, self._side)
        return prepared_in_batches(images, self._prepare, self._see, size)

    def _prepare(self, image: RGB) -> Tensor:
        return normalise(self._preprocess([image], self._side))[0]

    def _see(self, prepared: Sequence[Tensor]) -> Tensor:
        with running(self._device, self._precision):
            features = self._model.encode_image(torch.stack(list(prepared)).to(self._device))
        return normalize(features.float(), dim=-1)

    def _read(self, texts: Sequence[str]) -> list[Tensor]:
        return in_batches(texts, self._read_batch, batch_size(self._device, self._side))

    def _read_batch(self, texts: Sequence[str]) -> Tensor:
        ids = self._tokenizer(list(texts)).to(self._device)
        with running(self._device, self._precision):
            features = self._model.encode_text(ids)
        return normalize(features.float(), dim=-1)


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

"""CLIP embeddings of captions and images, which `rpo` weighs its comparisons by; cached like latents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from benchmark.generate import Progress
from benchmark.models.loading import weights_sha256
from trainers.arrays import ROWS_AT_ONCE, Array, LazyRows, Rows, Spec, cached_arrays
from trainers.clip_source import ClipSource
from trainers.encoded_pairs import EncodedPairs
from trainers.fitting import fitted_batches
from trainers.objectives import text_image_embedding

if TYPE_CHECKING:
    from open_clip import SimpleTokenizer
    from open_clip.model import CLIP

Kind = Literal["text", "image", "text+image"]
Embeddings = tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]]
"""e_w and e_l of n pairs."""


@dataclass(frozen=True, eq=False)
class ClipEmbeddings:
    """Embeddings of unique images and captions, in the order of the `EncodedPairs` they belong to.

    Attributes:
        images: (images, e), float32.
        texts: (captions, e), float32.
        device: Where they are wanted.
    """

    images: Rows
    texts: Rows
    device: torch.device

    def of_pairs(self, pairs: EncodedPairs, rows: np.ndarray, kind: Kind) -> Embeddings:
        """The embeddings e_w and e_l of some pairs."""
        text = torch.from_numpy(self.texts[pairs.caption[rows]]).to(self.device)
        winner, loser = (
            torch.from_numpy(self.images[side[rows]]).to(self.device) for side in (pairs.winner, pairs.loser)
        )
        if kind == "text":
            return text, text
        if kind == "image":
            return winner, loser
        return text_image_embedding(text, winner), text_image_embedding(text, loser)


def clip_embeddings(
    source: ClipSource, pairs: EncodedPairs, device: torch.device, cache: Path | None
) -> ClipEmbeddings:
    """Embeddings of all images and captions of some pairs, from the cache where they are in it.

    Args:
        source: Which CLIP.
        pairs: The pairs.
        device: Where it computes.
        cache: The folder of the cache; None to compute embeddings whenever they are asked for.
    """
    clip = _Clip(source, pairs, device)
    if cache is None:
        return ClipEmbeddings(
            LazyRows((len(pairs.images), clip.width), clip.some_images),
            LazyRows((len(pairs.captions), clip.width), clip.some_texts),
            device,
        )
    return ClipEmbeddings(clip.all_images(cache), clip.all_texts(cache), device)


class _Clip:
    """A CLIP that embeds the images and captions of some pairs.

    Args:
        source: Which one.
        pairs: The pairs.
        device: Where it computes.
    """

    def __init__(self, source: ClipSource, pairs: EncodedPairs, device: torch.device) -> None:
        from benchmark.networks.open_clip import load_open_clip, open_clip_tokenizer

        self._model: CLIP = load_open_clip(source.folder).to(device)
        self._tokenizer: SimpleTokenizer = open_clip_tokenizer(source.bpe, int(self._model.context_length))
        self._pairs, self._device = pairs, device
        self.width = int(self._model.text_projection.shape[-1])

    @cached_property
    def _weights(self) -> str:
        return weights_sha256(self._model)

    def some_images(self, rows: NDArray[np.int64]) -> Array:
        """Embeddings of some images."""
        size, refs = _image_size(self._model), [self._pairs.images[i] for i in rows]
        return np.concatenate([self._see(batch.pixels) for batch in fitted_batches(refs, size)])

    def some_texts(self, rows: NDArray[np.int64]) -> Array:
        """Embeddings of some captions."""
        return self._read([self._pairs.captions[i] for i in rows])

    def all_images(self, cache: Path) -> Array:
        """Embeddings of all images, from the cache."""
        pairs, size = self._pairs, _image_size(self._model)

        def fill(out: Mapping[str, Array], tell: Progress) -> None:
            tell(0, len(pairs.images))
            for batch in fitted_batches(pairs.images, size):
                out["images"][batch.where] = self._see(batch.pixels)
                tell(batch.where.stop, len(pairs.images))

        key = [list(pairs.image_digests), self._weights]
        specs = {"images": Spec((len(pairs.images), self.width), "float32")}
        return cached_arrays(cache, "clip-images", key, specs, fill, "images")["images"]

    def all_texts(self, cache: Path) -> Array:
        """Embeddings of all captions, from the cache."""
        captions = self._pairs.captions

        def fill(out: Mapping[str, Array], tell: Progress) -> None:
            tell(0, len(captions))
            for start in range(0, len(captions), ROWS_AT_ONCE):
                stop = min(start + ROWS_AT_ONCE, len(captions))
                out["texts"][start:stop] = self._read(captions[start:stop])
                tell(stop, len(captions))

        key = [list(captions), self._weights]
        specs = {"texts": Spec((len(captions), self.width), "float32")}
        return cached_arrays(cache, "clip-texts", key, specs, fill, "captions")["texts"]

    @torch.no_grad()
    def _see(self, pixels: NDArray[np.uint8]) -> Array:
        from benchmark.networks.pixels import normalise

        images = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float() / 255
        features: Array = self._model.encode_image(normalise(images), normalize=True).cpu().numpy()
        return features

    @torch.no_grad()
    def _read(self, captions: Sequence[str]) -> Array:
        tokens = self._tokenizer(list(captions)).to(self._device)
        features: Array = self._model.encode_text(tokens, normalize=True).cpu().numpy()
        return features


def _image_size(model: torch.nn.Module) -> int:
    size: Any = model.visual.image_size  # type: ignore[union-attr]  # every open_clip tower has one
    return int(size[0] if isinstance(size, tuple) else size)

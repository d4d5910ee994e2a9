"""CLIP embeddings of captions and images, which `rpo` weighs its comparisons by; cached like latents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from trainers.batches import EncodedPairs
from trainers.clip_source import ClipSource
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
    from benchmark.networks.open_clip import load_open_clip, open_clip_tokenizer
    from benchmark.networks.pixels import normalise

    model: CLIP = load_open_clip(source.folder).to(device)
    tokenizer: SimpleTokenizer = open_clip_tokenizer(source.bpe, int(model.context_length))
    weights, size, width = weights_sha256(model), _image_size(model), int(model.text_projection.shape[-1])

    @torch.no_grad()
    def images_of(pixels: NDArray[np.uint8]) -> Array:
        images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255
        features: Array = model.encode_image(normalise(images), normalize=True).cpu().numpy()
        return features

    @torch.no_grad()
    def texts_of(captions: Sequence[str]) -> Array:
        features: Array = (
            model.encode_text(tokenizer(list(captions)).to(device), normalize=True).cpu().numpy()
        )
        return features

    if cache is None:
        return ClipEmbeddings(
            LazyRows(
                (len(pairs.images), width),
                lambda rows: np.concatenate(
                    [images_of(b.pixels) for b in fitted_batches([pairs.images[i] for i in rows], size)]
                ),
            ),
            LazyRows((len(pairs.captions), width), lambda rows: texts_of([pairs.captions[i] for i in rows])),
            device,
        )

    def fill_images(out: Mapping[str, Array], tell: Progress) -> None:
        tell(0, len(pairs.images))
        for batch in fitted_batches(pairs.images, size):
            out["images"][batch.where] = images_of(batch.pixels)
            tell(batch.where.stop, len(pairs.images))

    def fill_texts(out: Mapping[str, Array], tell: Progress) -> None:
        tell(0, len(pairs.captions))
        for start in range(0, len(pairs.captions), ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, len(pairs.captions))
            out["texts"][start:stop] = texts_of(pairs.captions[start:stop])
            tell(stop, len(pairs.captions))

    images = cached_arrays(
        cache,
        "clip-images",
        [list(pairs.image_digests), weights],
        {"images": Spec((len(pairs.images), width), "float32")},
        fill_images,
        "images",
    )["images"]
    texts = cached_arrays(
        cache,
        "clip-texts",
        [list(pairs.captions), weights],
        {"texts": Spec((len(pairs.captions), width), "float32")},
        fill_texts,
        "captions",
    )["texts"]
    return ClipEmbeddings(images, texts, device)


def _image_size(model: torch.nn.Module) -> int:
    size: Any = model.visual.image_size  # type: ignore[union-attr]  # every open_clip tower has one
    return int(size[0] if isinstance(size, tuple) else size)

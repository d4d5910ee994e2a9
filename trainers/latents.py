"""Pairs as networks read them: VAE latents and text embeddings, from the cache where they are in it.

What determines an entry of the cache: the images' or captions' hashes, how images are cut, the encoder's
weights, and the precision it ran in. Latents and embeddings are kept in half precision. Without a cache
the same code computes them whenever a batch asks for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from benchmark.core.records import ImageRef
from benchmark.generate import Progress
from benchmark.models.conditioning import Conditioning
from benchmark.models.families.base import Pipeline
from trainers.array_cache import Array, Spec, cached_arrays
from trainers.fitting import BATCH, Crop, fitted_batches, flipped_crop
from trainers.lazy_rows import LazyRows, Rows, keep, look
from trainers.pairs import BadRow, PairSet
from trainers.trajectories import Trajectories
from trainers.transfer import send


@dataclass(frozen=True, eq=False)
class EncodedPairs:
    """Pairs as networks read them; equal images and captions are stored once.

    Attributes:
        latents: (images, C, H, W), scaled; from the cache in half precision, or computed when asked for.
        texts: (captions, width), likewise: the parts of what a network is told, side by side; the first is
            that of the empty prompt.
        text_shapes: Of the parts of what a network is told of a caption.
        winner: For each pair the row of `latents`.
        loser: Likewise.
        caption: For each pair the row of `texts`.
        weight: For each pair how much it counts in the loss.
        rows: For each pair where it came from.
        images: References to the images, in the order of `latents`.
        image_digests: Their hashes.
        size_and_crop: (images, 4): original height and width in pixels, then top and left of the crop in
            the resized image; see `trainers.fitting`. Zeros for an image that cannot be decoded.
        captions: The captions, in the order of `texts`.
        bad: Rows left out because an image could not be decoded.
        flipped: Latents of the mirror images, in the order of `latents`; None without flips.
        trajectories: How the images were drawn, for the estimator `transition`; else None.
    """

    latents: Rows
    texts: Rows
    text_shapes: Mapping[str, tuple[int, ...]]
    winner: NDArray[np.int64]
    loser: NDArray[np.int64]
    caption: NDArray[np.int64]
    weight: NDArray[np.float32]
    rows: tuple[str, ...]
    images: tuple[ImageRef, ...]
    image_digests: tuple[str, ...]
    size_and_crop: NDArray[np.int64]
    captions: tuple[str, ...]
    bad: tuple[BadRow, ...] = ()
    flipped: Rows | None = None
    trajectories: Trajectories | None = None

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.rows)

    def weights_of(self, rows: NDArray[np.int64], device: torch.device) -> Float[Tensor, " n"] | None:
        """How much some pairs count; None where all pairs of the data count alike."""
        if (self.weight == 1).all():
            return None
        return torch.from_numpy(self.weight[rows]).to(device)

    def text(self, captions: NDArray[np.int64], device: torch.device) -> Conditioning:
        """What the text encoders say of some rows of `captions`."""
        flat = send(self.texts[captions].astype(np.float32), device)
        return Conditioning.from_flat(flat, self.text_shapes)

    def in_memory(self) -> "EncodedPairs":
        """The same with all latents and embeddings computed now and kept, in half precision as on disk."""
        everything = [None if x is None else keep(x) for x in (self.latents, self.texts, self.flipped)]
        latents, texts, flipped = everything
        assert latents is not None
        assert texts is not None
        return replace(self, latents=latents, texts=texts, flipped=flipped)

    def latents_of(self, images: NDArray[np.int64], flip: NDArray[np.bool_] | None = None) -> Array:
        """Latents of some images, float32.

        Args:
            images: Rows of `latents`.
            flip: For each whether its mirror image is meant; None for no flips.
        """
        if flip is None or self.flipped is None or not flip.any():
            return self.latents[images].astype(np.float32)
        out = np.empty((len(images), *self.latents.shape[1:]), dtype=np.float32)
        out[~flip], out[flip] = self.latents[images[~flip]], self.flipped[images[flip]]
        return out

    def size_and_crop_of(
        self, images: NDArray[np.int64], image_size: int, flip: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """`size_and_crop` of some images, (n, 4); of a mirror image the crop's other side is the left one.

        Args:
            images: Rows of `latents`.
            image_size: Side of the square in pixels.
            flip: As for `latents_of`.
        """
        plain = self.size_and_crop[images]
        return plain if flip is None else np.where(flip[:, None], flipped_crop(plain, image_size), plain)


def encode_pairs(
    pipeline: Pipeline, pairs: PairSet, cache: Path | None, *, crop: Crop = "centre", flip: bool = False
) -> EncodedPairs:
    """Latents of all images and embeddings of all captions, from the cache where they are in it.

    Without a cache every image is opened once, to see whether it can be, and is encoded whenever a
    batch asks for it: equal pairs in equal batches, but for the rounding to half precision.

    Images of another size are resized by their shorter side and cropped. One that cannot be decoded
    takes its pair out, which is then in `bad`.

    Args:
        pipeline: Its VAE and text encoder do the work.
        pairs: At least one.
        cache: The folder of the cache; None for none.
        crop: Where the square is cut from; see `trainers.fitting.fit_square`.
        flip: Whether the mirror images are wanted too.
    """
    refs = {
        digest: ref
        for pair, digests in zip(pairs.pairs, pairs.digests, strict=True)
        for digest, ref in zip(digests, (pair.preferred, pair.rejected), strict=True)
    }
    position = {digest: i for i, digest in enumerate(refs)}
    images = _Images(tuple(refs.values()), tuple(refs), crop)
    captions = ("", *dict.fromkeys(pair.prompt for pair in pairs.pairs if pair.prompt))
    caption_row = {caption: i for i, caption in enumerate(captions)}

    encoder = _Encoder(pipeline, images, captions)
    latents, texts, size_and_crop = encoder.cached(cache) if cache else encoder.uncached()
    flipped = None
    if flip:
        mirror = _Encoder(pipeline, replace(images, flip=True), captions)
        flipped = mirror.cached_latents(cache)[0] if cache else mirror.lazy_latents()
    index = np.array([[position[one] for one in both] for both in pairs.digests], dtype=np.int64)
    index = index.reshape(-1, 2)
    whole = (size_and_crop[index, 0] > 0).all(axis=1)
    keep = np.flatnonzero(whole)
    return EncodedPairs(
        latents=latents,
        texts=texts,
        text_shapes=encoder.empty.shapes,
        winner=index[keep, 0],
        loser=index[keep, 1],
        caption=np.array([caption_row[pairs.pairs[i].prompt] for i in keep], dtype=np.int64),
        weight=np.array([pairs.pairs[i].weight for i in keep], dtype=np.float32),
        rows=tuple(pairs.rows[i] for i in keep),
        images=images.refs,
        image_digests=images.digests,
        size_and_crop=size_and_crop,
        captions=captions,
        bad=tuple(BadRow(pairs.rows[i], "an image cannot be decoded") for i in np.flatnonzero(~whole)),
        flipped=flipped,
    )


@dataclass(frozen=True)
class _Images:
    """The distinct images of some pairs, with their hashes and the way they are cut."""

    refs: tuple[ImageRef, ...]
    digests: tuple[str, ...]
    crop: Crop
    flip: bool = False


@dataclass(frozen=True)
class _Encoder:
    """Makes latents and embeddings, for the cache or when they are asked for."""

    pipeline: Pipeline
    images: _Images
    captions: tuple[str, ...]

    def cached(self, cache: Path) -> tuple[Rows, Rows, NDArray[np.int64]]:
        """Latents, embeddings, sizes and crops from the cache."""
        latents, size_and_crop = self.cached_latents(cache)
        return latents, self.cached_texts(cache), size_and_crop

    def uncached(self) -> tuple[Rows, Rows, NDArray[np.int64]]:
        """The same, computed when they are asked for."""
        images = self.images
        size_and_crop = look(images.refs, self.pipeline.image_size, images.crop, images.digests)
        width = _flat(self.empty).shape[1]
        return self.lazy_latents(), LazyRows((len(self.captions), width), self._texts), size_and_crop

    @cached_property
    def empty(self) -> Conditioning:
        """What the text encoders say of no prompt."""
        return self.pipeline.encode_empty()

    def lazy_latents(self) -> LazyRows:
        """Latents that are computed when they are asked for."""
        return LazyRows((len(self.images.refs), *self.pipeline.latent_shape), self._some_latents)

    def cached_latents(self, cache: Path) -> tuple[Array, NDArray[np.int64]]:
        """Latents of all images, with sizes and crops."""
        images, n = self.images, len(self.images.refs)
        key = [
            list(images.digests),
            *self.pipeline.image_encoder_id(),
            images.crop,
        ]

        def fill(out: Mapping[str, Array], tell: Progress) -> None:
            tell(0, n)
            for batch in fitted_batches(images.refs, self.pipeline.image_size, images.crop, images.digests):
                out["latents"][batch.where] = self._latents(batch.pixels)
                out["size_and_crop"][batch.where] = batch.size_and_crop
                tell(batch.where.stop, n)

        specs = {"latents": Spec((n, *self.pipeline.latent_shape)), "size_and_crop": Spec((n, 4), "int64")}
        kind = "flipped-latents" if images.flip else "latents"
        found = cached_arrays(cache, kind, key, specs, fill, "images")
        return found["latents"], np.array(found["size_and_crop"])

    def cached_texts(self, cache: Path) -> Array:
        """Embeddings of all captions."""
        n = len(self.captions)
        key = [list(self.captions), *self.pipeline.prompt_encoders_id()]

        def fill(out: Mapping[str, Array], tell: Progress) -> None:
            tell(0, n)
            for start in range(0, n, BATCH):
                stop = min(start + BATCH, n)
                out["texts"][start:stop] = self._texts(np.arange(start, stop))
                tell(stop, n)

        specs = {"texts": Spec((n, _flat(self.empty).shape[1]))}
        return cached_arrays(cache, "texts", key, specs, fill, "captions")["texts"]

    def _some_latents(self, rows: NDArray[np.int64]) -> Array:
        images = self.images
        refs, digests = [images.refs[i] for i in rows], [images.digests[i] for i in rows]
        batches = fitted_batches(refs, self.pipeline.image_size, images.crop, digests)
        return np.concatenate([self._latents(batch.pixels) for batch in batches])

    def _latents(self, pixels: NDArray[np.uint8]) -> Array:
        if self.images.flip:
            pixels = np.ascontiguousarray(pixels[:, :, ::-1])
        return self.pipeline.encode_images(pixels).float().cpu().numpy()

    def _texts(self, rows: NDArray[np.int64]) -> Array:
        """Of captions in ascending order; the first of all is no prompt."""
        asked = [self.captions[i] for i in rows if i]
        said = [self.empty] if 0 in rows else []
        if asked:
            said.append(self.pipeline.encode_prompts(asked))
        return _flat(Conditioning.cat(said))


def _flat(text: Conditioning) -> Array:
    """All parts of each prompt in one row, so that one pass makes them."""
    found: Array = text.flat().float().cpu().numpy()
    return found

"""Pairs as networks read them: latents and text embeddings, from the cache where they are in it.

What determines an entry of the cache: the images' or captions' hashes, how images are cut, the encoder's
weights, and the precision it ran in. Latents and embeddings are kept in half precision. Without a cache
the same code computes them whenever a batch asks for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.core.records import ImageRef
from benchmark.generate import Progress
from benchmark.models.conditioning import Conditioning
from benchmark.models.families.base import Pipeline
from trainers.arrays import ROWS_AT_ONCE, Array, LazyRows, Rows, Spec, cached_arrays
from trainers.encoded_pairs import EncodedPairs
from trainers.fitting import Crop, fitted_batches, sizes_and_crops
from trainers.pairs import BadRow, PairSet


def encode_pairs(
    pipeline: Pipeline, pairs: PairSet, cache: Path | None, *, crop: Crop = "centre", flip: bool = False
) -> EncodedPairs:
    """Latents of all images and embeddings of all captions, from the cache where they are in it.

    Without a cache every image is opened once, to see whether it can be, and is encoded whenever a
    batch asks for it: equal pairs in equal batches, but for the rounding to half precision.

    Images of another size are resized by their shorter side and cropped. One that cannot be decoded
    takes its pair out, which is then in `bad`.

    Args:
        pipeline: Its encoders do the work.
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
        size_and_crop = sizes_and_crops(images.refs, self.pipeline.image_size, images.crop, images.digests)
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
            for start in range(0, n, ROWS_AT_ONCE):
                stop = min(start + ROWS_AT_ONCE, n)
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

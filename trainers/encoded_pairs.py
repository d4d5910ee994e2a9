"""Pairs as networks read them: latents of images and embeddings of captions, from the cache or computed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from benchmark.core.records import ImageRef
from benchmark.models.conditioning import Conditioning
from trainers.arrays import Array, Rows, in_memory
from trainers.fitting import flipped_crop
from trainers.pairs import BadRow
from trainers.trajectories import Trajectories


@dataclass(frozen=True, eq=False)
class EncodedPairs:
    """Pairs as networks read them; equal images and captions are stored once.

    Attributes:
        latents: (images, C, H, W), scaled; from the cache in half precision, or computed when asked for.
        texts: (captions, width), likewise: the parts of what a network is told, side by side; the first is
            that of the empty prompt.
        text_shapes: Of those parts.
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
        everything = [None if x is None else in_memory(x) for x in (self.latents, self.texts, self.flipped)]
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


def send(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array on a device; to a GPU from pinned memory, so that nobody waits for the copy."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

"""Image sets made from others: an image repeated, two sets mixed, noise and saturation on top."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core import store
from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.records import ImageRecord, ImageSet

if TYPE_CHECKING:
    import numpy as np

    from benchmark.core.pixels import RGB


def repeated(images: ImageSet, copies: int) -> ImageSet:
    """The first `copies` images of each prompt replaced by the first of them."""
    first = {record.prompt_id: record for record in images if record.seed == 0}
    return _of(images, [first[r.prompt_id] if r.seed < copies else r for r in images])


def blended(images: ImageSet, other: ImageSet, share: int) -> ImageSet:
    """The first `share` images of each prompt replaced by the other set's."""
    theirs = {(record.prompt_id, record.seed): record for record in other}
    return _of(images, [theirs[r.prompt_id, r.seed] if r.seed < share else r for r in images])


def noisy(images: ImageSet, deviation: float, folder: Path) -> ImageSet:
    """Gaussian noise on every image.

    Args:
        images: The set.
        deviation: Of the noise, in grey levels of 255.
        folder: The new images go there.
    """
    import numpy as np

    def change(pixels: "RGB", record: ImageRecord) -> "np.ndarray":
        g = np.random.default_rng(int(record.sha256[:15], 16))
        changed: np.ndarray = pixels + g.normal(0, deviation, pixels.shape)
        return changed

    return _changed(images, change, folder)


def saturated(images: ImageSet, factor: float, folder: Path) -> ImageSet:
    """Colours moved away from each pixel's grey by a factor; folder as of `noisy`."""
    import numpy as np

    def change(pixels: "RGB", record: ImageRecord) -> "np.ndarray":  # noqa: ARG001
        grey = pixels @ np.array([0.299, 0.587, 0.114])
        changed: np.ndarray = grey[..., None] + factor * (pixels - grey[..., None])
        return changed

    return _changed(images, change, folder)


def _changed(images: ImageSet, change: "Callable[[RGB, ImageRecord], np.ndarray]", folder: Path) -> ImageSet:
    import numpy as np
    from PIL import Image

    records = []
    for record in images:
        pixels = np.clip(np.rint(change(images.open(record), record)), 0, 255).astype(np.uint8)
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        path = folder / record.path.name
        store.write_bytes(path, buffer.getvalue())
        records.append(replace(record, path=path, sha256=sha256_bytes(buffer.getvalue())))
    return _of(images, records)


def _of(images: ImageSet, records: list[ImageRecord]) -> ImageSet:
    """The set with these images in the place of its own, in order."""
    mine = tuple(replace(new, seed=old.seed) for new, old in zip(records, images, strict=True))
    content = sha256_json([images.id, [(r.prompt_id, r.seed, r.sha256) for r in mine]])[:16]
    return replace(images, id=content, records=mine)

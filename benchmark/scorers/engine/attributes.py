"""Which value of an attribute CLIP sees in an image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from benchmark.core.records import OpenAttribute

if TYPE_CHECKING:
    from benchmark.scorers.engine.open_clip import OpenClip


def read_values(
    images: Float[np.ndarray, "n d"], tower: "OpenClip", attributes: Sequence[OpenAttribute]
) -> list[list[int]]:
    """For each attribute the index of the value whose text is nearest to each image.

    Args:
        images: Unit embeddings.
        tower: Embeds the texts; a value with several stands where their mean points.
        attributes: What to read; at least one.
    """
    # All at once, for a tower fills its batches up.
    tower.texts([text for a in attributes for texts in a.texts for text in texts])
    return [_nearest(images, tower, attribute) for attribute in attributes]


def _nearest(images: Float[np.ndarray, "n d"], tower: "OpenClip", attribute: OpenAttribute) -> list[int]:
    means = np.stack([tower.texts(texts).mean(0) for texts in attribute.texts])
    values = means / np.linalg.norm(means, axis=1, keepdims=True)
    nearest: list[int] = (images @ values.T).argmax(1).tolist()
    return nearest

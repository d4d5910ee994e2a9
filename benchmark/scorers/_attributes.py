"""Which value of an attribute CLIP sees in an image."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from benchmark.core.records import OpenAttribute

if TYPE_CHECKING:
    from benchmark.scorers._open_clip import OpenClip


def read_values(images: Float[np.ndarray, "n d"], tower: "OpenClip", attribute: OpenAttribute) -> list[int]:
    """The index of the value whose text is nearest to each image.

    Args:
        images: Unit embeddings.
        tower: Embeds the texts; a value with several stands where their mean points.
        attribute: What to read.
    """
    means = np.stack([tower.texts(texts).mean(0) for texts in attribute.texts])
    values = means / np.linalg.norm(means, axis=1, keepdims=True)
    nearest: list[int] = (images @ values.T).argmax(1).tolist()
    return nearest

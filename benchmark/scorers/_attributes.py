"""Which value of an attribute CLIP sees in an image."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from benchmark.core.records import OpenAttribute

if TYPE_CHECKING:
    from benchmark.scorers._open_clip import OpenClip


def read_values(images: Float[Tensor, "n d"], tower: "OpenClip", attribute: OpenAttribute) -> list[int]:
    """The index of the value whose text is nearest to each image.

    Args:
        images: Unit embeddings.
        tower: Embeds the texts; a value with several is where their mean points.
        attribute: What to read.
    """
    values = torch.stack([normalize(tower.texts(texts).mean(0), dim=0) for texts in attribute.texts])
    nearest: list[int] = (images @ values.T).argmax(1).tolist()
    return nearest

"""The vendi-score package's `score` on cosines of open_clip's embeddings."""

from collections.abc import Callable
from typing import Any

import numpy as np
import open_clip
import torch
from PIL import Image
from vendi_score import vendi

PACKAGES = ["vendi-score", "open_clip_torch"]


def load(weights: str) -> Callable[..., float]:
    """From a `local-dir:` folder."""
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{weights}")
    model.eval()

    @torch.no_grad()
    def embedding(image: str) -> Any:
        seen = model.encode_image(preprocess(Image.open(image)).unsqueeze(0))[0].double().numpy()
        return seen / np.linalg.norm(seen)

    def call(*images: str) -> float:
        return float(vendi.score([embedding(image) for image in images], lambda a, b: float(a @ b)))

    return call

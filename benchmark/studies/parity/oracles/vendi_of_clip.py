"""The vendi-score package's `score` on cosines of open_clip's embeddings."""

import numpy as np
import open_clip
import torch
from PIL import Image
from vendi_score import vendi

PACKAGES = ["vendi-score", "open_clip_torch"]


def load(folder):
    """From a `local-dir:` folder."""
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()

    @torch.no_grad()
    def embedding(image):
        seen = model.encode_image(preprocess(Image.open(image)).unsqueeze(0))[0].double().numpy()
        return seen / np.linalg.norm(seen)

    def call(*images):
        return float(vendi.score([embedding(image) for image in images], lambda a, b: float(a @ b)))

    return call

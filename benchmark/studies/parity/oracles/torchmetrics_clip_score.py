"""torchmetrics' CLIPScore on a CLIPModel folder, before the metric clamps its mean at zero."""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torchmetrics.functional.multimodal.clip_score import _clip_score_update
from torchmetrics.multimodal.clip_score import CLIPScore

PACKAGES = ["torchmetrics", "transformers"]


def load(weights: str) -> Callable[[str, str], float]:
    """The metric's own model and processor."""
    metric = CLIPScore(model_name_or_path=weights)

    @torch.no_grad()
    def call(image: str, prompt: str) -> float:
        pixels = torch.from_numpy(np.array(Image.open(image).convert("RGB"))).permute(2, 0, 1)
        (score,), _ = _clip_score_update(pixels, prompt, metric.model, metric.processor)
        return float(score)

    return call

"""torchmetrics' CLIPScore on a CLIPModel folder, before the metric clamps its mean at zero."""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torchmetrics.functional.multimodal.clip_score import _clip_score_update
from torchmetrics.multimodal.clip_score import CLIPScore
from transformers import CLIPModel, CLIPProcessor

PACKAGES = ["torchmetrics", "transformers"]


def load(weights: str) -> Callable[[str, str], float]:
    """A folder's model and processor, as the metric takes them for others than its own."""
    metric = CLIPScore(
        model_name_or_path=lambda: (
            CLIPModel.from_pretrained(weights).eval(),
            CLIPProcessor.from_pretrained(weights),
        )
    )

    @torch.no_grad()
    def call(image: str, prompt: str) -> float:
        pixels = torch.from_numpy(np.array(Image.open(image).convert("RGB"))).permute(2, 0, 1)
        (score,), _ = _clip_score_update(pixels, prompt, metric.model, metric.processor)
        return float(score)

    return call

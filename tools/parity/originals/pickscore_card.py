"""PickScore as its model card says: AutoProcessor, AutoModel, exp(logit_scale) times the cosine."""

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

PACKAGES = ["transformers"]


def load(model: str, processor: str, **options: str) -> Callable[[str, str], float]:
    """From two folders; options go to AutoProcessor."""
    reader = AutoProcessor.from_pretrained(processor, **options)
    network = AutoModel.from_pretrained(model).eval()

    def features(output: Any) -> Any:
        # Since transformers 5 it is the whole output, with the projected features inside.
        return output if isinstance(output, torch.Tensor) else output.pooler_output

    @torch.no_grad()
    def call(image: str, prompt: str) -> float:
        limits = {"padding": True, "truncation": True, "max_length": 77, "return_tensors": "pt"}
        image_inputs = reader(images=[Image.open(image)], **limits)
        text_inputs = reader(text=prompt, **limits)
        image_embs = features(network.get_image_features(**image_inputs))
        image_embs = image_embs / torch.norm(image_embs, dim=-1, keepdim=True)
        text_embs = features(network.get_text_features(**text_inputs))
        text_embs = text_embs / torch.norm(text_embs, dim=-1, keepdim=True)
        return float((network.logit_scale.exp() * (text_embs @ image_embs.T)[0])[0])

    return call

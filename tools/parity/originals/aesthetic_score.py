"""The aesthetic predictor as ImageReward carries it: OpenAI's clip, and the head on its unit embeddings."""

from collections.abc import Callable

import clip
import torch
from ImageReward.models.AestheticScore import AestheticScore

PACKAGES = ["image-reward", "clip-anytorch"]


def load(head: str) -> Callable[[str, str], float]:
    """OpenAI's weights are taken from `ViT-L/14` in the folder it runs in, and not from the network."""
    clip.clip._MODELS.clear()  # noqa: SLF001
    model = AestheticScore(download_root=None)
    model.mlp.load_state_dict(torch.load(head))
    model.eval()

    @torch.no_grad()
    def call(image: str, prompt: str) -> float:
        return float(model.score(prompt, image))

    return call

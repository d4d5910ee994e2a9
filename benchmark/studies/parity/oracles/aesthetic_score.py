"""The aesthetic predictor as ImageReward carries it: OpenAI's clip, and the head on its unit embeddings."""

import clip
import torch
from ImageReward.models.AestheticScore import AestheticScore

PACKAGES = ["image-reward", "clip-anytorch"]


def load(head):
    """OpenAI's weights are taken from `ViT-L/14` in the folder it runs in, and not from the network."""
    clip.clip._MODELS.clear()
    model = AestheticScore(download_root=None)
    model.mlp.load_state_dict(torch.load(head))
    model.eval()

    @torch.no_grad()
    def call(image, prompt):
        return model.score(prompt, image)

    return call

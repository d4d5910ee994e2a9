"""ImageReward's own `load` and `score`; it finds `bert-base-uncased` in the folder it runs in."""

import ImageReward
import torch

PACKAGES = ["image-reward", "transformers"]


def load(checkpoint, med_config):
    """From a file of the published layout."""
    model = ImageReward.load(checkpoint, device="cpu", med_config=med_config)

    @torch.no_grad()
    def call(image, prompt):
        return float(model.score(prompt, image))

    return call

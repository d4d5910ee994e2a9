"""ImageReward's own `load` and `score`; it finds `bert-base-uncased` in the folder it runs in."""

from collections.abc import Callable

import ImageReward
import torch

PACKAGES = ["image-reward", "transformers"]


def load(checkpoint: str, med_config: str) -> Callable[[str, str], float]:
    """From a file of the published layout."""
    model = ImageReward.load(checkpoint, device="cpu", med_config=med_config)

    @torch.no_grad()
    def call(image: str, prompt: str) -> float:
        return float(model.score(prompt, image))

    return call

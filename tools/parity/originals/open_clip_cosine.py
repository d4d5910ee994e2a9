"""open_clip as its README does it: create_model_and_transforms, get_tokenizer, encode, cosine, x 100."""

from collections.abc import Callable

import open_clip
import torch
from PIL import Image

PACKAGES = ["open_clip_torch"]


def load(checkpoint: str, architecture: str = "ViT-H-14") -> Callable[[str, str], float]:
    """From a file of published weights, or a `local-dir:` folder as the architecture."""
    model, _, preprocess = open_clip.create_model_and_transforms(architecture, pretrained=checkpoint)
    model.eval()
    tokenizer = open_clip.get_tokenizer("ViT-H-14" if architecture.startswith("local-dir:") else architecture)

    @torch.no_grad()
    def call(image: str, prompt: str) -> float:
        seen = model.encode_image(preprocess(Image.open(image)).unsqueeze(0))
        read = model.encode_text(tokenizer([prompt]))
        seen /= seen.norm(dim=-1, keepdim=True)
        read /= read.norm(dim=-1, keepdim=True)
        return 100 * float((seen @ read.T)[0, 0])

    return call

"""hpsv2's own `score`, x 100 as we report it; its network is made as it makes it, without a hub's weights."""

from collections.abc import Callable
from typing import Any

from hpsv2 import img_score
from hpsv2.src.open_clip import create_model_and_transforms, model, transform

PACKAGES = ["hpsv2"]


def load(
    checkpoint: str, config: dict[str, Any] | None = None, *, preset: bool = True
) -> Callable[[str, str], float]:
    """A call of `score` reads the checkpoint again, as it does for every user.

    Without `preset`, the same steps as in `score` with the checkpoint read once: for timing alone.
    """
    options = {"precision": "amp", "light_augmentation": True, "output_dict": True}
    if config is None:
        network, _, preprocess = create_model_and_transforms("ViT-H-14", None, **options)
    else:
        network = model.CLIP(**config, output_dict=True)
        preprocess = transform.image_transform(
            config["vision_cfg"]["image_size"], is_train=False, resize_longest_max=True
        )
    img_score.model_dict.update(model=network, preprocess_val=preprocess)

    def call(image: str, prompt: str) -> float:
        return 100 * float(img_score.score(image, prompt, cp=checkpoint, hps_version="v2.1")[0])

    if preset:
        return call
    return _steady(network, preprocess, checkpoint)


def _steady(network: Any, preprocess: Any, checkpoint: str) -> Callable[[str, str], float]:
    import torch
    from hpsv2.src.open_clip import get_tokenizer
    from PIL import Image

    network.load_state_dict(torch.load(checkpoint, map_location="cpu")["state_dict"])
    network.eval()
    tokenizer = get_tokenizer("ViT-H-14")

    @torch.no_grad()
    def call(image: str, prompt: str) -> float:
        out = network(preprocess(Image.open(image)).unsqueeze(0), tokenizer([prompt]))
        return 100 * float((out["image_features"] @ out["text_features"].T)[0, 0])

    return call

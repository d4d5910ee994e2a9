"""PickScore as its model card says: AutoProcessor, AutoModel, exp(logit_scale) times the cosine."""

import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

PACKAGES = ["transformers"]


def load(model, processor, **options):
    """From two folders; options go to AutoProcessor."""
    processor = AutoProcessor.from_pretrained(processor, **options)
    model = AutoModel.from_pretrained(model).eval()

    def features(output):
        # Since transformers 5 it is the whole output, with the projected features inside.
        return output if isinstance(output, torch.Tensor) else output.pooler_output

    @torch.no_grad()
    def call(image, prompt):
        limits = {"padding": True, "truncation": True, "max_length": 77, "return_tensors": "pt"}
        image_inputs = processor(images=[Image.open(image)], **limits)
        text_inputs = processor(text=prompt, **limits)
        image_embs = features(model.get_image_features(**image_inputs))
        image_embs = image_embs / torch.norm(image_embs, dim=-1, keepdim=True)
        text_embs = features(model.get_text_features(**text_inputs))
        text_embs = text_embs / torch.norm(text_embs, dim=-1, keepdim=True)
        return float((model.logit_scale.exp() * (text_embs @ image_embs.T)[0])[0])

    return call

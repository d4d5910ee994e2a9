"""transformers' CLIPModel as PickScore uses it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmark.models.towers.hf_clip import load_clip_model, load_tokenizer
from benchmark.models.towers.pixels import normalise
from benchmark.scorers._arrays import RGB
from benchmark.scorers._batches import in_batches
from benchmark.scorers._preprocess import pickscore_pixels
from benchmark.scorers._shown import Shown


class ScaledClip:
    r"""$e^{\tau} \cos(\text{image}, \text{text})$.

    Args:
        folder: The model.
        tokenizer: The folder of its tokenizer.
        device: Where to compute.
    """

    def __init__(self, folder: Path, tokenizer: Path, device: str) -> None:
        self._model = load_clip_model(folder).to(device)
        self._tokenizer = load_tokenizer(tokenizer)
        self._device = device
        self._side = int(self._model.config.vision_config.image_size)
        self._length = int(self._model.config.text_config.max_position_embeddings)

    def __call__(self, shown: Shown) -> list[float]:
        """One number an image."""
        texts = sorted(set(shown.texts))
        read = dict(zip(texts, in_batches(texts, self._read), strict=True))
        seen = torch.stack(in_batches(shown.images, self._embed))
        scale = float(self._model.logit_scale.exp())
        cosines = (seen * torch.stack([read[text] for text in shown.texts])).sum(1)
        return [scale * float(c) for c in cosines]

    def _embed(self, images: Sequence[RGB]) -> Tensor:
        pixels = normalise(pickscore_pixels(images, self._side)).to(self._device)
        return normalize(self._model.get_image_features(pixel_values=pixels).pooler_output, dim=-1)

    def _read(self, texts: Sequence[str]) -> Tensor:
        tokens = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=self._length, return_tensors="pt"
        ).to(self._device)
        features = self._model.get_text_features(
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
        )
        return normalize(features.pooler_output, dim=-1)

"""transformers' CLIPModel as PickScore uses it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmark.networks.hf_clip import load_clip_model, load_tokenizer
from benchmark.networks.pixels import normalise
from benchmark.networks.precision import place, running
from benchmark.scorers.engine.arrays import RGB
from benchmark.scorers.engine.batches import batch_size, in_batches, prepared_in_batches
from benchmark.scorers.engine.preprocess import pickscore_pixels
from benchmark.scorers.engine.shown import Shown


class ScaledClip:
    r"""$e^{\tau} \cos(\text{image}, \text{text})$.

    Args:
        folder: The model.
        tokenizer: The folder of its tokenizer.
        device: Where to compute.
        key: Names the embeddings: the weights.
        precision: ``fp32`` or ``bf16``.
    """

    def __init__(self, folder: Path, tokenizer: Path, device: str, key: str, precision: str = "fp32") -> None:
        self._model = place(load_clip_model(folder), device, precision)
        self._tokenizer = load_tokenizer(tokenizer)
        self._device, self._precision = device, precision
        self._key = key if precision == "fp32" else f"{key}+{precision}"
        self._side = int(self._model.config.vision_config.image_size)
        self._length = int(self._model.config.text_config.max_position_embeddings)

    def __call__(self, shown: Shown) -> list[float]:
        """One number an image."""
        seen = np.stack(shown.each(self._key, lambda new: self._embed(new.images)))
        size = batch_size(self._device, self._side)
        read = np.stack(shown.each_text(f"texts:{self._key}", lambda new: in_batches(new, self._read, size)))
        scale = float(self._model.logit_scale.exp())
        return [scale * float(c) for c in (seen * read).sum(1)]

    def _embed(self, images: Sequence[RGB]) -> list[Tensor]:
        size = batch_size(self._device, self._side)
        return prepared_in_batches(images, self._prepare, self._see, size)

    def _prepare(self, image: RGB) -> Tensor:
        return normalise(pickscore_pixels([image], self._side))[0]

    def _see(self, prepared: Sequence[Tensor]) -> Tensor:
        pixels = torch.stack(list(prepared)).to(self._device)
        with running(self._device, self._precision):
            features = self._model.get_image_features(pixel_values=pixels).pooler_output
        return normalize(features.float(), dim=-1)

    def _read(self, texts: Sequence[str]) -> Tensor:
        tokens = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=self._length, return_tensors="pt"
        ).to(self._device)
        with running(self._device, self._precision):
            features = self._model.get_text_features(
                input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
            ).pooler_output
        return normalize(features.float(), dim=-1)

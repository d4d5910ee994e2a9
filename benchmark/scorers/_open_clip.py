"""An open_clip model as a scorer's two towers; images and texts are embedded once, whoever asks."""

from collections.abc import Sequence
from pathlib import Path

import torch
from open_clip.model import CLIP
from torch import Tensor
from torch.nn.functional import normalize

from benchmark.core import resources
from benchmark.models.towers.openclip import CONFIG, load_open_clip, load_published, open_clip_tokenizer
from benchmark.models.towers.pixels import normalise
from benchmark.scorers._arrays import RGB
from benchmark.scorers._batches import in_batches
from benchmark.scorers._preprocess import Preprocess
from benchmark.scorers._shown import Shown


class OpenClip:
    """Unit embeddings of images and texts.

    Args:
        place: A ``local-dir:`` folder, or a file of published weights.
        architecture: open_clip's name of what a file holds.
        preprocess: From pixels to the model's input.
        device: Where to compute.
        key: Names the embeddings for all scorers that share them: weights and preprocessing.
    """

    def __init__(self, place: Path, architecture: str, preprocess: Preprocess, device: str, key: str) -> None:
        folder = place if place.is_dir() else None
        model: CLIP = load_open_clip(place) if folder else load_published(architecture, place)
        self._model = model.to(device)
        self._tokenizer = open_clip_tokenizer(merges_of(folder), model.context_length)
        self._preprocess, self._device, self._key = preprocess, device, key
        side = model.visual.image_size
        self._side = int(side[0] if isinstance(side, tuple | list) else side)
        self._texts: dict[str, Tensor] = {}

    def images(self, shown: Shown) -> Tensor:
        """Embeddings of images, (n, d)."""
        return torch.stack(shown.each(self._key, lambda new: in_batches(new.images, self._embed)))

    def centroid(self, images: Sequence[RGB]) -> Tensor:
        """The direction of the mean embedding of some images, (d,)."""
        return normalize(torch.stack(in_batches(images, self._embed)).mean(0), dim=0)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of texts, (n, d); each distinct text is embedded once."""
        new = sorted(set(texts) - self._texts.keys())
        self._texts.update(zip(new, in_batches(new, self._read), strict=True))
        return torch.stack([self._texts[text] for text in texts])

    def _embed(self, images: Sequence[RGB]) -> Tensor:
        pixels = normalise(self._preprocess(images, self._side)).to(self._device)
        return normalize(self._model.encode_image(pixels), dim=-1)

    def _read(self, texts: Sequence[str]) -> Tensor:
        ids = self._tokenizer(list(texts)).to(self._device)
        return normalize(self._model.encode_text(ids), dim=-1)


def merges_of(folder: Path | None) -> Path | None:
    """The tokenizer's merges: the folder's own, or the embedded world's for a folder with a small context.

    None means the published tokenizer.
    """
    if folder is None or not (folder / CONFIG).is_file():
        return None
    own = folder / "bpe.txt.gz"
    return own if own.is_file() else resources.shapes_weights("shapes-sd") / "tokenizer" / "bpe.txt.gz"

"""HPS v2.1 and ImageReward by their authors' packages, beside fbench's own for comparison.

`fbench eval --scorers "hps,original_scorers.py:OriginalHps" --ray local`
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import chdir
from importlib.util import find_spec
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from benchmark.scorers.base import ImageScorer, Shown, Value
from benchmark.weights.locate import PUBLISHED, OpensWeights, place_of_published

VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"


class OriginalHps(OpensWeights, ImageScorer):
    """HPS v2.1 by hpsv2's own `score`, times 100 as `hps` has it.

    Args:
        weights: ``published``, or a file of that layout.
    """

    name, axis = "hps_original", "preference"
    scale = "x 100"
    reference = "hpsv2 1.2.0"
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ("hps-v2.1",)}
    packages = ("hpsv2==1.2.0", "clint==0.5.1", "args==0.1.0")

    def __init__(self, weights: str = PUBLISHED) -> None:
        self.weights = weights

    def weight_paths(self) -> tuple[Path, ...]:
        """The checkpoint."""
        return (place_of_published(self.name, self.weights, "originals", "hps-v2.1"),)

    def load(self, device: str = "cpu") -> None:  # noqa: ARG002  # the package looks for a GPU itself
        """Imports the package, whose wheel lacks the vocabulary that it opens."""
        import open_clip

        found = find_spec("hpsv2")
        assert found is not None
        file = Path(str(found.origin)).parent / "src" / "open_clip" / VOCABULARY
        if not file.is_file():
            shutil.copyfile(Path(open_clip.__file__).parent / VOCABULARY, file)
        from hpsv2 import img_score

        self._score = img_score.score

    def values(self, shown: Shown) -> Sequence[Value]:
        """A prompt's images together: each call reads the checkpoint anew."""
        found: list[Value] = []
        for text, pairs in groupby(zip(shown.texts, shown.images, strict=True), itemgetter(0)):
            images = [Image.fromarray(image) for _, image in pairs]
            scores = self._score(images, text, cp=str(self.place), hps_version="v2.1")
            found += [100 * float(score) for score in scores]
        return found


class OriginalImageReward(OpensWeights, ImageScorer):
    """ImageReward by its authors' package, with the libraries of its day.

    Args:
        weights: ``published``, or a folder with ``ImageReward.pt`` and ``med_config.json``.
    """

    name, axis = "imagereward_original", "preference"
    scale = "about -2..2"
    reference = "image-reward 1.5"
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {"": ("imagereward", "bert-base-uncased")}
    packages = (
        "image-reward==1.5", "transformers==4.49.0", "huggingface_hub==0.29.3", "tokenizers==0.21.4",
        "accelerate==1.4.0", "diffusers==0.32.2", "peft==0.14.0", "timm==0.6.13", "datasets==3.3.2",
        "clip-anytorch==2.6.0", "fairscale==0.4.13", "setuptools==80.9.0", "multiprocess==0.70.16",
        "dill==0.3.8", "xxhash==4.1.0", "aiohttp==3.14.5", "aiohappyeyeballs==2.7.1", "aiosignal==1.4.0",
        "attrs==26.1.0", "frozenlist==1.8.0", "multidict==7.2.1", "propcache==0.5.4", "yarl==1.25.1",
    )  # fmt: skip

    _model: Any

    def __init__(self, weights: str = PUBLISHED) -> None:
        self.weights = weights

    def weight_paths(self) -> tuple[Path, ...]:
        """The network, and the words of its tokenizer."""
        words = place_of_published(self.name, PUBLISHED, "originals", "bert-base-uncased")
        return place_of_published(self.name, self.weights, "originals", "imagereward"), words

    def load(self, device: str = "cpu") -> None:
        """Reads the network; the package looks for `bert-base-uncased` in the working folder first."""
        import ImageReward

        folder, words = self.weight_paths()
        with chdir(words.parent.parent):
            self._model = ImageReward.load(
                str(folder / "ImageReward.pt"), device=device, med_config=str(folder / "med_config.json")
            )

    def values(self, shown: Shown) -> Sequence[Value]:
        """One number an image."""
        pairs = zip(shown.texts, shown.images, strict=True)
        return [self._model.score(text, Image.fromarray(image)) for text, image in pairs]

"""Scorers on CLIP's embeddings: do image and text say the same, and how various are the images?

``clip``, ``clip_diversity``, ``vendi``, ``vendi_set`` and ``attribute_diversity``: an image is embedded once
for all of them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from benchmark.core.records import Axis, OpenAttribute, Prompt
from benchmark.scorers.base import ImageScorer, Missing, PromptScorer, SetScorer, Shown, Value, scorers
from benchmark.scorers.engine.cache import shared
from benchmark.weights import locate

if TYPE_CHECKING:
    import numpy as np

    from benchmark.networks.open_clip import OpenClip

# The releases of published weights, and their architectures: OpenAI trained with a quicker GELU than today's.
_PUBLISHED = {
    "ViT-H-14": ("clip-vit-h-14", "ViT-H-14"),
    "ViT-L-14": ("clip-vit-l-14", "ViT-L-14-quickgelu"),
}


class _OnClip(locate.OpensWeights):
    """Mixin of a scorer on an open_clip model with CLIP's preprocessing."""

    name: ClassVar[str]
    published: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "": ("clip-vit-h-14",),
        "model='ViT-L-14'": ("clip-vit-l-14",),
    }

    _clip: "OpenClip"

    def __init__(
        self, weights: str = locate.PUBLISHED, model: str = "ViT-H-14", precision: str = "fp32"
    ) -> None:
        self.weights, self.model, self.precision = weights, model, precision
        if weights == locate.PUBLISHED and model not in _PUBLISHED:
            raise ValueError(f"there are no published weights of {model}, but of {' and '.join(_PUBLISHED)}")

    @final
    def weight_paths(self) -> tuple[Path, ...]:
        """The model."""
        release, _ = _PUBLISHED.get(self.model, ("", ""))
        return (locate.place(self.name, self.weights, "shapes-clip", release),)

    @final
    def load(self, device: str = "cpu") -> None:
        """Reads the open_clip model, in memory once for all scorers on it."""
        from benchmark.networks.open_clip import OpenClip, clip_pixels

        model = _PUBLISHED[self.model][1] if self.weights == locate.PUBLISHED else self.model
        key = f"clip:{self.weights_hash}"
        self._clip = shared(OpenClip, self.place, model, clip_pixels, device, key, self.precision)


@scorers.register()
class Clip(_OnClip, ImageScorer):
    r"""CLIP score: 100 times the cosine of image and text embedding (open_clip).

    $100 \cos(\text{image}, \text{text})$.

    Args:
        weights: ``embedded``, ``published``, or an open_clip folder or file.
        model: Which published one: ``ViT-H-14`` (laion2b_s32b_b79k) or ``ViT-L-14`` (openai). For a file
            of your own, open_clip's name of its architecture.
        precision: ``fp32`` or ``bf16``.
    """

    name: ClassVar[str] = "clip"
    axis: ClassVar[Axis] = "alignment"
    bounds: ClassVar[tuple[float, float]] = (-100.0, 100.0)
    scale: ClassVar[str] = "x 100"
    bf16_tolerance: ClassVar[float] = 0.3
    reference: ClassVar[str] = (
        "Hessel et al., CLIPScore, EMNLP 2021; weights: Cherti et al., OpenCLIP, CVPR 2023"
    )

    def values(self, shown: Shown) -> Sequence[Value]:
        """100 times the cosine of each image and its prompt."""
        cosines = (shown.embeddings(self._clip) * shown.text_embeddings(self._clip)).sum(1)
        return [100 * float(c) for c in cosines]


@scorers.register()
class ClipDiversity(_OnClip, PromptScorer):
    r"""Mean pairwise distance of the CLIP embeddings of one prompt's images.

    $\frac{1}{K(K-1)} \sum_{i \ne j} (1 - \cos(e_i, e_j))$.

    Args:
        weights: As of ``clip``.
        model: As of ``clip``.
        precision: As of ``clip``.
    """

    name: ClassVar[str] = "clip_diversity"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, float]] = (0.0, 2.0)
    scale: ClassVar[str] = "0..2, 0 = all alike"
    bf16_tolerance: ClassVar[float] = 0.02
    reference: ClassVar[str] = "mean pairwise 1 - cosine; embedding as clip"

    def value(self, shown: Shown) -> Value:
        """The mean distance of a pair."""
        from benchmark.scorers.engine.diversity import mean_pair_distance

        if len(shown) < 2:
            return Missing("fewer than two images")
        return mean_pair_distance(shown.embeddings(self._clip))

    def pair_distances(self, shown: Shown) -> "np.ndarray":
        """The distance of each pair."""
        from benchmark.scorers.engine.diversity import pair_distances

        return pair_distances(shown.embeddings(self._clip))


@scorers.register()
class Vendi(_OnClip, PromptScorer):
    r"""Vendi score of one prompt's images: the effective number of different ones for CLIP.

    $\exp(-\sum_i \lambda_i \log \lambda_i)$ with the eigenvalues of $K/n$, $K$ the cosines of all pairs. It
    grows with the number of images, so that only equal numbers of them compare.

    Args:
        weights: As of ``clip``.
        model: As of ``clip``.
        precision: As of ``clip``.
    """

    name: ClassVar[str] = "vendi"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, None]] = (1.0, None)
    scale: ClassVar[str] = "1..K, 1 = all alike"
    bf16_tolerance: ClassVar[float] = 0.05
    reference: ClassVar[str] = "Friedman & Dieng, The Vendi Score, TMLR 2023; embedding as clip"

    def value(self, shown: Shown) -> Value:
        """The effective number of images."""
        from benchmark.scorers.engine.diversity import vendi

        if len(shown) < 2:
            return Missing("fewer than two images")
        return vendi(shown.embeddings(self._clip))


@scorers.register()
class VendiSet(_OnClip, SetScorer):
    r"""Vendi score of all images of all prompts: the effective number of different ones for CLIP.

    $\exp(-\sum_i \lambda_i \log \lambda_i)$ as of ``vendi``. Most of it is the variety between prompts, which
    the prompt set brings along: a checkpoint that draws the same image whenever it is asked the same loses
    little. For the variety that a model gives to one prompt there is ``vendi``.

    Args:
        weights: As of ``clip``.
        model: As of ``clip``.
        precision: As of ``clip``.
    """

    name: ClassVar[str] = "vendi_set"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, None]] = (1.0, None)
    scale: ClassVar[str] = "1..n, mostly between prompts"
    bf16_tolerance: ClassVar[float] = 0.5
    reference: ClassVar[str] = "Friedman & Dieng, The Vendi Score, TMLR 2023; embedding as clip"

    def look(self, shown: Shown) -> None:
        """Embeds images."""
        if len(shown):
            shown.embeddings(self._clip)

    def value(self, shown: Shown) -> Value:
        """The effective number of images."""
        from benchmark.scorers.engine.diversity import vendi

        if len(shown) < 2:
            return Missing("fewer than two images")
        return vendi(shown.embeddings(self._clip))


@scorers.register()
class AttributeDiversity(_OnClip, PromptScorer):
    r"""Share of image pairs of a prompt that differ in an attribute it leaves open, as CLIP reads it.

    The prompt set names the attribute, its values and a text for each ("an apple", colour: red, green,
    yellow). An image shows the value whose text is nearest to it. With $n_v$ of $K$ images showing $v$:
    $1 - \sum_v n_v (n_v - 1) / (K (K - 1))$, unbiased for $1 - \sum_v p_v^2$ at any $K \ge 2$. The embedded
    world's prompts need no list: what they leave open is found by its grammar, and the mean is taken.

    Args:
        weights: As of ``clip``.
        model: As of ``clip``.
        precision: As of ``clip``.
    """

    name: ClassVar[str] = "attribute_diversity"
    axis: ClassVar[Axis] = "diversity"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    scale: ClassVar[str] = "0..1, 0 = all alike"
    bf16_tolerance: ClassVar[float] = 0.5
    reference: ClassVar[str] = (
        "the estimator of true_diversity on CLIP's zero-shot readings; docs/diversity.md"
    )

    def value(self, shown: Shown) -> Value:
        """The share of pairs that differ, the mean over the open attributes."""
        from benchmark.shapes.diversity import share_that_differ

        if len(shown) < 2:
            return Missing("fewer than two images")
        readings = self._readings(shown)
        if not readings:
            return Missing("the prompt names no open attribute")
        return sum(map(share_that_differ, readings)) / len(readings)

    def pair_distances(self, shown: Shown) -> "np.ndarray":
        """The share of the open attributes in which each pair differs; ``NaN`` where none is open."""
        import numpy as np

        readings = np.array(self._readings(shown))
        if not readings.size:
            return np.full((len(shown), len(shown)), np.nan)
        differ: np.ndarray = (readings[:, :, None] != readings[:, None, :]).mean(axis=0)
        return differ

    def _readings(self, shown: Shown) -> list[list[int]]:
        """For each open attribute the value that each image shows."""
        attributes = self._attributes(shown.prompts[0])
        texts = sorted({text for a in attributes for texts in a.texts for text in texts})
        if not texts:
            return []
        embedded = dict(zip(texts, shown.text_embeddings(self._clip, texts), strict=True))
        return read_values(shown.embeddings(self._clip), embedded, attributes)

    def _attributes(self, prompt: Prompt) -> tuple[OpenAttribute, ...]:
        """The prompt set's attribute, else those that the embedded world's grammar finds open."""
        if prompt.attribute:
            return (prompt.attribute,)
        if self.weights != locate.EMBEDDED:
            return ()
        from benchmark.shapes.grammar import open_attributes

        return open_attributes(prompt.text)


def read_values(
    images: "np.ndarray", embedded: "Mapping[str, np.ndarray]", attributes: Sequence[OpenAttribute]
) -> list[list[int]]:
    """For each attribute the index of the value whose text is nearest to each image.

    Args:
        images: Unit embeddings, (n, d).
        embedded: Unit embeddings of the texts; a value with several stands where their mean points.
        attributes: What to read.
    """
    return [_nearest(images, embedded, attribute) for attribute in attributes]


def _nearest(
    images: "np.ndarray", embedded: "Mapping[str, np.ndarray]", attribute: OpenAttribute
) -> list[int]:
    import numpy as np

    means = np.stack([np.stack([embedded[t] for t in texts]).mean(0) for texts in attribute.texts])
    values = means / np.linalg.norm(means, axis=1, keepdims=True)
    nearest: list[int] = (images @ values.T).argmax(1).tolist()
    return nearest

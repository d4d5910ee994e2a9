"""``attribute_diversity``: how often do two images of one prompt differ in what it leaves open?"""

from typing import ClassVar

from benchmark.core.records import Axis, OpenAttribute, Prompt
from benchmark.scorers.base import Missing, PromptScorer, Shown, Value, scorers
from benchmark.scorers.engine.on_clip import OnClip
from benchmark.weights import locate


@scorers.register()
class AttributeDiversity(OnClip, PromptScorer):
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
        from benchmark.scorers.engine.attributes import read_values
        from benchmark.shapes.diversity import share_that_differ

        if len(shown) < 2:
            return Missing("fewer than two images")
        attributes = self._attributes(shown.prompts[0])
        if not attributes:
            return Missing("the prompt names no open attribute")
        readings = read_values(self._tower.images(shown), self._tower, attributes)
        return sum(map(share_that_differ, readings)) / len(readings)

    def _attributes(self, prompt: Prompt) -> tuple[OpenAttribute, ...]:
        """What the prompt set names, else what the embedded world's grammar finds open."""
        if prompt.attribute:
            return (prompt.attribute,)
        if self.weights != locate.EMBEDDED:
            return ()
        from benchmark.shapes.grammar import open_attributes

        return open_attributes(prompt.text)

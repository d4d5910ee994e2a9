"""Scorers: one number, one direction each. Diversity and fidelity metrics are scorers too.

To add one, write one file here (or anywhere: ``--scorers mine.py:Mine``) with a class that is an
``ImageScorer``, a ``PromptScorer`` or a ``SetScorer`` of ``benchmark.scorers.base`` and register it.
"""

import inspect
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from benchmark.core.calls import parse_call
from benchmark.core.errors import UserError
from benchmark.scorers.base import Scorer, expected, scorers

__all__ = ["FAMILIES", "Scorer", "make_scorers", "scorers", "split_scorers"]

FAMILIES: Final = {
    "style": ("style_fd", "style_cosine"),
    "prdc": ("precision", "recall", "density", "coverage"),
}
"""Names for several scorers at once."""


def make_scorers(texts: Iterable[str], weights: str = "published", precision: str = "fp32") -> list[Scorer]:
    """The scorers that ``--scorers`` means.

    Args:
        texts: ``name`` or ``name(option=value)`` each; a name of `FAMILIES` stands for its members.
        weights: ``embedded`` or ``published``: for scorers with weights whose text names none.
        precision: ``fp32`` or ``bf16``: for scorers with networks whose text names none.

    Raises:
        UserError: for an unknown name or option, a scorer that cannot be made, or a name that occurs twice.
    """
    made: dict[str, Scorer] = {}
    for text in _expanded(texts):
        options = _defaults(text, weights=weights, precision=precision)
        scorer = expected(f"scorer {text} cannot be made", partial(scorers.create, text, **options))
        if not isinstance(scorer, Scorer):
            raise UserError(
                f"{text} is no scorer", allowed="a subclass of ImageScorer, PromptScorer or SetScorer"
            )
        if scorer.name in made:
            raise UserError(
                f"scorer {scorer.name} is named twice", do="evaluate the second one into another --out"
            )
        made[scorer.name] = scorer
    return list(made.values())


def _expanded(texts: Iterable[str]) -> Iterator[str]:
    """A family's name stands for its members, each with the options given."""
    for text in texts:
        name, bracket, options = text.partition("(")
        yield from (f"{member}{bracket}{options}" for member in FAMILIES.get(name.strip().lower(), (name,)))


def _defaults(text: str, **options: str) -> dict[str, Any]:
    maker = scorers.get(parse_call(text, "scorer").name)
    return {k: v for k, v in options.items() if k in inspect.signature(maker).parameters}


def split_scorers(text: str) -> Iterator[str]:
    """The parts of ``a,b(x=1,y=2),c``: commas inside brackets belong to their scorer.

    Example:
        >>> list(split_scorers("clip,hps(weights='a,b'), fid"))
        ['clip', "hps(weights='a,b')", 'fid']
    """
    depth, start = 0, 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            yield text[start:i].strip()
            start = i + 1
    if text[start:].strip():
        yield text[start:].strip()

"""What the tags of the committed prompt sets mean, where their name alone does not say it."""

import re
from collections.abc import Mapping
from typing import Final

_MEANINGS: Final[Mapping[str, str]] = {
    "background": "the prompt states the background",
    "colour": "the prompt is about colour: it states one, or leaves it open as its attribute",
    "relation": "the prompt states where one object stands to the other",
    "shape": "the prompt is about shape: it states one, or leaves it open as its attribute",
    "size": "the prompt states a size",
    "style": "the prompt states a style",
}
_NUMBERED: Final = (
    (re.compile(r"count_(\d+)"), "the prompt asks for {} object{}"),
    (re.compile(r"open_(\d+)"), "the prompt leaves {} fact{} open, in which its images may differ"),
)


def tag_meaning(tag: str) -> str:
    """The meaning of a tag in a few words; empty where nothing is known beside its name.

    Example:
        >>> tag_meaning("open_5")
        'the prompt leaves 5 facts open, in which its images may differ'
        >>> tag_meaning("style: sketch"), tag_meaning("people")
        ('the prompt asks for the style sketch', '')
    """
    if tag.startswith("style: "):
        return f"the prompt asks for the style {tag.removeprefix('style: ')}"
    for pattern, text in _NUMBERED:
        if found := pattern.fullmatch(tag):
            return text.format(found[1], "" if found[1] == "1" else "s")
    return _MEANINGS.get(tag, "")

"""What a row of a prompt file says about an attribute that its prompt leaves open.

    {"id": "apple", "text": "an apple", "attribute": "colour", "values": ["red", "green", "yellow"],
     "template": "a {value} apple"}

`template` is a text, or several; without one it is the prompt, a comma and the value.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from benchmark.core.records import OpenAttribute

VALUE: Final = "{value}"
"""Where a template has the value."""


def attribute_of(row: Mapping[str, Any], text: str) -> OpenAttribute | None:
    """The open attribute of a row; None if it names none.

    Args:
        row: With ``attribute``, ``values`` and perhaps ``template``; values in one text are cut at ``;``.
        text: The prompt.

    Raises:
        ValueError: if one of the two is missing, a template has no place for the value, or the values are
            not two or more different ones.
    """
    name, values = row.get("attribute"), row.get("values")
    if not name and not values:
        return None
    if not name or not values:
        raise ValueError(f"prompt {text!r} has `{'attribute' if name else 'values'}` only; it needs both")
    if not isinstance(values, str | list):
        raise ValueError(f"the `values` of {text!r} are no list")
    cut = values.split(";") if isinstance(values, str) else values
    named = tuple(str(value).strip() for value in cut)
    said = row.get("template") or f"{text}, {VALUE}"
    if not isinstance(said, str | list):
        raise ValueError(f"the `template` of {text!r} is neither a text nor a list of texts")
    templates = [said] if isinstance(said, str) else [str(template) for template in said]
    for template in templates:
        if VALUE not in template:
            raise ValueError(f"the template {template!r} has no {VALUE}")
    texts = tuple(tuple(fill(template, value) for template in templates) for value in named)
    return OpenAttribute(str(name), named, texts)


def fill(template: str, value: str) -> str:
    """The template with the value in its place; an article before it follows its first letter.

    >>> fill("a {value} apple", "orange"), fill("an {value} car", "red")
    ('an orange apple', 'a red car')
    """
    article = "an" if value[:1].lower() in tuple("aeiou") else "a"
    fitting = re.sub(r"\b[aA]n?(?= \{value\})", lambda m: _like(m[0], article), template)
    return fitting.replace(VALUE, value)


def _like(old: str, new: str) -> str:
    return new.capitalize() if old[0].isupper() else new

"""Which rows are images of one prompt, and in which order: names and seeds are the user's labels.

Rows of equal text (and style, and open attribute) are images of one prompt, unless ``prompt_id`` says
otherwise. ``seed`` is a label of any size; k, the index among a prompt's images, is its order.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

from benchmark.core.calls import shortened
from benchmark.core.hashing import sha256_json
from benchmark.core.records import OpenAttribute, Prompt
from benchmark.prompt_sets.files import attribute_of

Row: TypeAlias = Mapping[str, Any]

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,4000}")
_EXACT: Final = 2**53
"""Below it a float that is whole is the number that was written."""


@dataclass(frozen=True)
class Entry:
    """A row, read.

    Attributes:
        number: Of the row, from 1.
        id: What it is called: its prompt where all rows of the prompt are called so, else the image.
        prompt_id: The prompt that it says it belongs to.
        text: The prompt's.
        style: The style asked for, if any.
        attribute: What the prompt leaves open, if the row says so.
        tags: What the prompt is about.
        image: Path of the image, as written.
        seed: Its label, if it has one.
    """

    number: int
    id: str | None
    prompt_id: str | None
    text: str
    style: str | None
    attribute: OpenAttribute | None
    tags: tuple[str, ...]
    image: str
    seed: int | None

    @property
    def prompt_key(self) -> tuple[str, str | None, OpenAttribute | None]:
        """The facts that two rows of one prompt agree in."""
        return self.text, self.style, self.attribute


@dataclass(frozen=True)
class PromptImages:
    """A prompt with its images in the order of k; None where the set lacks one that it should have."""

    prompt: Prompt
    images: tuple[Entry | None, ...]


def prompts_of(rows: Iterable[Row]) -> list[PromptImages]:
    """The prompts of a listing, in the order in which they first occur.

    Where every row of a prompt has a seed, k is the order of the seeds, so that two sets with the same seeds
    are paired by them; else it is the order of the rows. Where one prompt has an image of every seed, and
    most prompts and seeds have theirs, the seeds are a grid, and an empty place of it is a missing image.

    Args:
        rows: ``{prompt, image_path[, id, prompt_id, seed, style, tags, ...]}``.

    Raises:
        KeyError: if a row lacks its prompt or its image.
        TypeError: if one of them is no text.
        ValueError: if a seed is not whole, an id stands for two prompts, or a prompt has two images of one
            seed that are not told apart by their ids.
    """
    entries = [_entry(number, row) for number, row in enumerate(rows, 1)]
    groups: dict[object, list[Entry]] = {}
    for entry in entries:
        key: object = entry.prompt_key if entry.prompt_id is None else entry.prompt_id
        groups.setdefault(key, []).append(entry)
    _check_ids(entries)
    texts = Counter(group[0].text for group in groups.values() if group[0].prompt_id is None)
    repeated = {text for text, count in texts.items() if count > 1}
    ordered = [_ordered(group) for group in groups.values()]
    grid = _grid(ordered)
    return [
        PromptImages(_prompt_of(group, repeated), _placed(in_order, grid))
        for group, in_order in zip(groups.values(), ordered, strict=True)
    ]


def _entry(number: int, row: Row) -> Entry:
    text, tags = _text(number, "prompt", row["prompt"]), row.get("tags") or ()
    if not isinstance(tags, str | list | tuple):
        raise TypeError(f"row {number} has tags that are neither a text nor a list")
    names = tags.replace(";", " ").split() if isinstance(tags, str) else map(str, tags)
    return Entry(
        number=number,
        id=_name(row.get("id")),
        prompt_id=_name(row.get("prompt_id")),
        text=text,
        style=_text(number, "style", row["style"]) if row.get("style") else None,
        attribute=attribute_of(row, text),
        tags=tuple(names),
        image=_text(number, "image_path", row["image_path"]),
        seed=_seed(number, row.get("seed")),
    )


def _text(number: int, what: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"row {number} has {'an' if what[0] in 'aeiou' else 'a'} {what} that is no text")
    # Half an emoji, as programs leave it that cut at a length, is no text for any tokenizer.
    value.encode()
    return value


def _name(value: object) -> str | None:
    name = "" if value is None else str(value)
    name.encode()
    return name or None


def _seed(number: int, value: object) -> int | None:
    """A seed of any size; what is not whole is nobody's seed, and a float that is too large is another's."""
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    raise ValueError(f"row {number} has the seed {shortened(repr(value))}, and a seed is a whole number")


def _check_ids(entries: Sequence[Entry]) -> None:
    first: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        kind, name = ("prompt_id", entry.prompt_id) if entry.prompt_id is not None else ("id", entry.id)
        known = entry if name is None else first.setdefault((kind, name), entry)
        if known.prompt_key != entry.prompt_key:
            rows = f"rows {known.number} and {entry.number}"
            raise ValueError(f"{kind} {shortened(repr(name))} stands for two prompts, in {rows}")


def _ordered(group: Sequence[Entry]) -> list[Entry]:
    """The images of a prompt by their seeds, or as they come where one has none."""
    if any(entry.seed is None for entry in group):
        return list(group)
    # Ids tell apart what was made from one seed with other settings.
    in_order = sorted(group, key=lambda entry: (entry.seed, entry.id or "", entry.number))
    for one, other in pairwise(in_order):
        if (one.seed, one.id) == (other.seed, other.id):
            raise ValueError(
                f"rows {one.number} and {other.number} are two images of seed {one.seed} of one prompt"
            )
    return in_order


def _grid(groups: Sequence[Sequence[Entry]]) -> dict[int, int] | None:
    """Index k by seed, if prompts share their seeds; None if each image has its own.

    At most half of the places are empty: there are never more than twice as many places as images.
    """
    held = [{entry.seed for entry in group if entry.seed is not None} for group in groups]
    seeds = set[int]().union(*held)
    n = sum(map(len, groups))
    once_each = all(len(own) == len(group) for own, group in zip(held, groups, strict=True))
    if not once_each or max(map(len, held), default=0) < len(seeds) or n * 2 <= len(groups) * len(seeds):
        return None
    return {seed: k for k, seed in enumerate(sorted(seeds))}


def _placed(in_order: Sequence[Entry], grid: Mapping[int, int] | None) -> tuple[Entry | None, ...]:
    if grid is None:
        return tuple(in_order)
    by_seed = {entry.seed: entry for entry in in_order}
    return tuple(by_seed.get(seed) for seed in grid)


def _prompt_of(group: Sequence[Entry], repeated: set[str]) -> Prompt:
    """The prompt of some rows: with the tags of all of them, under the name that they share."""
    tags = tuple(dict.fromkeys(tag for entry in group for tag in entry.tags))
    first = group[0]
    ids = {entry.id for entry in group if entry.id is not None}
    if first.prompt_id is not None:
        name = first.prompt_id
    elif len(ids) == 1:
        (name,) = ids
    else:
        name = sha256_json(first.prompt_key if first.text in repeated else first.text)[:12]
    return Prompt(name, first.text, tags, first.style, attribute=first.attribute)

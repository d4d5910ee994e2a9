"""Small pictures inside the page, as many as its size allows."""

import base64
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Final

from benchmark.core.errors import UserError
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt
from benchmark.core.words import number_of
from benchmark.generate import Progress

PICTURE_MEGABYTES: Final = 64.0
"""Room for the pictures of a page by default, in millions of bytes of the file."""
_SIDES: Final = (512, 256, 128)
"""Pixels of the longer side at most: the first at which all pictures seem to have room, else the last."""
_SAMPLED: Final = 4
"""Places by which the room that all need is estimated."""
_SAFELY: Final = 0.8
"""Share of the room that an estimate may fill: pictures differ."""
_QUALITY: Final = 75
_CHUNK: Final = 8

# One place of the comparison: the pictures of all checkpoints for one prompt and k.
_Place = tuple[int, int]
_Row = list[str | None]


@dataclass(frozen=True)
class _Thumbnail:
    """A picture as base64 with its longer side, here and as it was made, or why there is none."""

    text: str | None = None
    side: int = 0
    made: int = 0
    why: str = ""


@dataclass
class Pictures:
    """The pictures of a page.

    Attributes:
        blocks: By position of the prompt, JSON of k's of checkpoints of base64 WebP; null is a picture that
            does not exist, a null in place of a whole k one that was left out.
        faults: Why a picture does not exist: positions of checkpoint, prompt and k, and the note.
        kept: Pictures that are in the page.
        total: Pictures there are.
        note: Which were left out; empty if none.
        small: Whether they are so small that they should keep their hard pixels.
        side: Longer side in pixels of those that were reduced for the page; 0 if none was.
        made: Longer side of the largest of them as it was made.
    """

    blocks: dict[int, str] = field(default_factory=dict)
    faults: list[tuple[int, int, int, str]] = field(default_factory=list)
    kept: int = 0
    total: int = 0
    note: str = ""
    small: bool = False
    side: int = 0
    made: int = 0


def pictures_of(
    image_sets: Sequence[ImageSet],
    checkpoints: Sequence[Checkpoint],
    prompts: Sequence[Prompt],
    seeds: Sequence[int],
    megabytes: float = PICTURE_MEGABYTES,
    tell: Progress | None = None,
) -> Pictures:
    """The pictures at 512 pixels, 256 or 128, whichever leaves room for all; else until the room is used up.

    The order is the same for the same evaluation: the first k of all prompts before the second, prompts at
    even distances over the set, all checkpoints of a place together.

    Args:
        image_sets: At most one a checkpoint.
        checkpoints: Order of the columns.
        prompts: Their order.
        seeds: The k's.
        megabytes: Room in the file.
        tell: Told of pictures that are done.

    Returns:
        The pictures, and which were left out.
    """
    by_id = {images.checkpoint.id: images for images in image_sets}
    sets = [by_id.get(checkpoint.id) for checkpoint in checkpoints]
    records = [{(r.prompt_id, r.seed): r for r in images} if images else {} for images in sets]
    found = Pictures(total=sum(len(images.ok) for images in sets if images))
    places = [(p, k) for k in range(len(seeds)) for p in _spread(len(prompts))]
    rows: dict[_Place, _Row] = {}
    kept: list[_Thumbnail] = []

    def draw(side: int, place: _Place) -> list[_Thumbnail]:
        key = (prompts[place[0]].id, seeds[place[1]])
        return [_thumbnail(s, r.get(key), side) for s, r in zip(sets, records, strict=True)]

    def expected(side: int) -> float:
        sample = [draw(side, place) for place in places[:_SAMPLED]]
        return _size(sample) * len(places) / max(1, len(sample))

    room = megabytes * 1e6
    side = next((side for side in _SIDES[:-1] if expected(side) <= _SAFELY * room), _SIDES[-1])
    for place, drawn in _in_order(partial(draw, side), places):
        room -= _size([drawn])
        if room < 0:
            break
        rows[place] = [one.text for one in drawn]
        kept += [one for one in drawn if one.text]
        if tell and found.total:
            tell(len(kept), found.total)
        found.faults += [(c, *place, one.why) for c, one in enumerate(drawn) if one.why]
    for p in range(len(prompts)):
        of_prompt = [rows.get((p, k)) for k in range(len(seeds))]
        if any(row and any(row) for row in of_prompt):
            found.blocks[p] = json.dumps(of_prompt, separators=(",", ":"))
    found.kept = len(kept)
    if tell and found.kept < found.total:
        tell(found.kept, found.kept)
    found.small = bool(kept) and max(one.side for one in kept) < _SIDES[-1]
    reduced = [one for one in kept if one.side < one.made]
    found.side = max((one.side for one in reduced), default=0)
    found.made = max((one.made for one in reduced), default=0)
    if len(rows) < len(places) and found.total:
        found.note = _note(found, rows, len(prompts), seeds, megabytes)
    return found


def _spread(count: int) -> list[int]:
    """0..count-1 so that every beginning of the list lies evenly over the range.

    Example:
        >>> _spread(6)
        [0, 4, 2, 1, 5, 3]
    """
    bits = max(1, (count - 1).bit_length())
    return sorted(range(count), key=lambda i: int(f"{i:0{bits}b}"[::-1], 2))


def _in_order(
    draw: Callable[[_Place], list[_Thumbnail]], places: Sequence[_Place]
) -> Iterator[tuple[_Place, list[_Thumbnail]]]:
    """Draws on threads, not far ahead of what is taken: the rest may not be wanted."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(places), _CHUNK):
            chunk = places[start : start + _CHUNK]
            yield from zip(chunk, pool.map(draw, chunk), strict=True)


def _size(rows: Sequence[Sequence[_Thumbnail]]) -> int:
    return sum(len(one.text) for row in rows for one in row if one.text)


def _thumbnail(images: ImageSet | None, record: ImageRecord | None, side: int) -> _Thumbnail:
    from PIL import Image

    if images is None or record is None:
        return _Thumbnail()
    if record.status != "ok":
        return _Thumbnail(why=record.note)
    try:
        picture = Image.fromarray(images.open(record))
    except UserError as error:
        return _Thumbnail(why=str(error))
    made = max(picture.size)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    encoded = BytesIO()
    picture.save(encoded, "WEBP", quality=_QUALITY, method=4)
    return _Thumbnail(base64.b64encode(encoded.getvalue()).decode(), max(picture.size), made)


def _note(
    found: Pictures, rows: dict[_Place, _Row], prompts: int, seeds: Sequence[int], megabytes: float
) -> str:
    counts = [sum(k == at for _, k in rows) for at in range(len(seeds))]
    held = [
        f"k = {seed} of {'all ' if count == prompts else ''}{number_of(count, 'prompt')}"
        for seed, count in zip(seeds, counts, strict=True)
        if count
    ]
    which = f": {', '.join(held)}" if held else ""
    return (
        f"To take at most {megabytes:g} MB, this page holds {found.kept:,} of "
        f"{number_of(found.total, 'picture')}{which}. Prompts were taken at even distances; "
        "scores are complete."
    )

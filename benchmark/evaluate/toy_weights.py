"""Whether embedded toy models are shown what they know: pictures and texts of the embedded world."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmark.core.console import notice
from benchmark.core.records import ImageSet, Prompt
from benchmark.scorers import Scorer

SIDE: Final = 64
"""Pixels of the embedded world's pictures; what is of another size was drawn elsewhere."""
LOOKED_AT: Final = 256
"""Pictures of a set whose size is read; the others are as these."""

_SAID: set[str] = set()


def warn_of_strangers(images: ImageSet, scorers: Sequence[Scorer]) -> None:
    """Says once a process that toy models judge pictures or texts that are not of their world."""
    text = strangers(images, scorers)
    if text and text not in _SAID:
        _SAID.add(text)
        notice(f"warning: {text}")


def strangers(images: ImageSet, scorers: Sequence[Scorer]) -> str:
    """What embedded scorers are shown and do not know, in a sentence; empty if it is all of their world.

    A picture is of that world if it has 64 x 64 pixels, a text if the world's grammar can read it.

    Args:
        images: What is scored.
        scorers: By whom.
    """
    toys = [scorer.name for scorer in scorers if scorer.is_embedded]
    if not toys:
        return ""
    sizes = [size for record in images.ok[:LOOKED_AT] if (size := _size(record.path)) is not None]
    odd = [size for size in sizes if size != (SIDE, SIDE)]
    unread = [prompt.text for prompt in images.prompt_set if not _is_caption(prompt)]
    found = [f"{len(odd)} of {len(sizes)} pictures are not ({odd[0][0]} x {odd[0][1]})"] if odd else []
    found += (
        [f"{len(unread)} of {len(images.prompt_set)} texts are not ({unread[0][:60]!r})"] if unread else []
    )
    if not found:
        return ""
    verb = "is a toy model" if len(toys) == 1 else "are toy models"
    return (
        f"{', '.join(toys)} (embedded) {verb} of fbench's own world, pictures of {SIDE} x {SIDE} with a "
        f"shape or two, and {' and '.join(found)}: the numbers say nothing about them; "
        f"`{toys[0]}(weights='published')` is the real one"
    )


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height as the file's header says; None where it says nothing."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size
    # What cannot be read becomes a row that says so.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _is_caption(prompt: Prompt) -> bool:
    from benchmark.shapes.grammar import parse

    try:
        parse(prompt.text)
    except ValueError:
        return False
    return True

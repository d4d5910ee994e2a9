"""The picture sheet: prompts down, checkpoints across, the same seeds in the same places of a row."""

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmark.core.errors import FbenchError, UnknownNameError, UserError
from benchmark.core.records import ImageSet
from benchmark.leaderboard.names import display_names
from benchmark.report.figures.style import INK, MUTED, PAGE_INCHES, SMALLEST, shown, writer_of

_PROMPTS, _SEEDS = 8, 4
_TEXT_SHARE = 0.19
_GAP = 0.05
_LINE = 0.12
_FOOTER = 0.2
_LETTERS_PER_INCH = 17.5
_HEADING_SHARE = 1.15
"""Of a column's width, in letters of captions: headings are smaller."""
_EMPTY = 235
_DPI = 160
_CELL_INCHES = 0.6
"""Of a cell at least: a sheet of many checkpoints is wider than a page."""

Pixels = NDArray[np.uint8]


def draw_picture_sheet(
    image_sets: Sequence[ImageSet],
    prompt_ids: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> Figure:
    """Draws what the checkpoints made of the same prompts from the same noise.

    Args:
        image_sets: One a checkpoint, of one prompt set.
        prompt_ids: Which prompts; by default eight, spread evenly over the set.
        seeds: Which k; several make a small grid in each cell, which shows variety. By default the first
            four that there are.

    Returns:
        The figure, in the settings that are in force.

    Raises:
        UnknownNameError: For a prompt that the set lacks.
        UserError: If there is nothing to draw.
    """
    if image_sets and seeds is None:
        seeds = sorted(image_sets[0].seeds)[:_SEEDS]
    if not image_sets or not seeds:
        raise UserError("a picture sheet needs at least one checkpoint and one seed")
    prompts = image_sets[0].prompt_set
    ids = list(prompt_ids) if prompt_ids is not None else _spread([prompt.id for prompt in prompts])
    for id_ in ids:
        if id_ not in prompts.by_id:
            raise UnknownNameError("prompt", id_, prompts.by_id)
    names = display_names([images.checkpoint for images in image_sets])
    captions = [shown(prompts.by_id[id_].text, 600) for id_ in ids]
    width = _width(len(image_sets))
    # Twice what is drawn of an image is enough, and hundreds of large ones are gigabytes.
    most = math.ceil(2 * _DPI * _side(width, len(image_sets)) / _across(seeds))
    opened = [[_opened(images, id_, seeds, most) for images in image_sets] for id_ in ids]
    shapes = Counter(image.shape[:2] for row in opened for images in row for image in images.values())
    # The usual size is everybody's: a picture of another one is fitted into it.
    shape = shapes.most_common(1)[0][0] if shapes else (1, 1)
    cells = [[_cell(images, seeds, shape) for images in row] for row in opened]
    headings = [shown(names[images.checkpoint.id], 80) for images in image_sets]
    figure = _layout(cells, captions, headings, width)
    figure.text(1 - _GAP / width, 0.06 / figure.get_figheight(), _footnote(image_sets[0], seeds),
                ha="right", va="bottom", fontsize=SMALLEST, color=MUTED)  # fmt: skip
    return figure


picture_sheet = writer_of(draw_picture_sheet, dpi=_DPI)


def _spread(ids: Sequence[str]) -> list[str]:
    picked = np.linspace(0, len(ids) - 1, min(_PROMPTS, len(ids))).round().astype(int)
    return [ids[i] for i in picked]


def _width(columns: int) -> float:
    """Of a sheet in inches: a page's, or what so many columns need."""
    return max(PAGE_INCHES, _text_width(PAGE_INCHES) + columns * (_CELL_INCHES + _GAP))


def _text_width(width: float) -> float:
    return max(1.0, _TEXT_SHARE * min(width, PAGE_INCHES))


def _side(width: float, columns: int) -> float:
    """A cell's width in inches."""
    return (width - _text_width(width)) / columns - _GAP


def _across(seeds: Sequence[int]) -> int:
    """Images side by side in a cell."""
    return math.ceil(math.sqrt(len(seeds)))


def _opened(images: ImageSet, prompt_id: str, seeds: Sequence[int], most: int) -> dict[int, Pixels]:
    """The images of one prompt that there are and that can be read, by seed; far wider ones averaged down."""
    found: dict[int, Pixels] = {}
    for record in images.ok:
        if record.prompt_id == prompt_id and record.seed in seeds:
            # One that cannot be read is a row of the table; here its place stays empty.
            with suppress(FbenchError):
                image = images.open(record)
                factor = image.shape[1] // most
                reduced = np.asarray(Image.fromarray(image).reduce(factor)) if factor > 1 else image
                found[record.seed] = reduced
    return found


def _cell(found: Mapping[int, Pixels], seeds: Sequence[int], shape: tuple[int, int]) -> Pixels | None:
    """The images of one prompt as one picture, nearly square; None where there is none at all."""
    if not found:
        return None
    height, width = shape
    across = _across(seeds)
    down = math.ceil(len(seeds) / across)
    gap = max(1, width // 32) if len(seeds) > 1 else 0
    size = (down * (height + gap) - gap, across * (width + gap) - gap, 3)
    picture = np.full(size, 255, dtype=np.uint8)
    for i, seed in enumerate(seeds):
        top, left = (i // across) * (height + gap), (i % across) * (width + gap)
        place = picture[top : top + height, left : left + width]
        place[...] = _fitted(found[seed], shape) if seed in found else _EMPTY
    return picture


def _fitted(image: Pixels, shape: tuple[int, int]) -> Pixels:
    """The whole image in a frame of that shape, with white beside it where its sides are others."""
    if image.shape[:2] == shape:
        return image
    height, width = shape
    return np.asarray(ImageOps.pad(Image.fromarray(image), (width, height), color="white"))


def _layout(
    cells: Sequence[Sequence[Pixels | None]], captions: Sequence[str], names: Sequence[str], width: float
) -> Figure:
    text_width, side = _text_width(width), _side(width, len(names))
    drawn = [picture for row in cells for picture in row if picture is not None]
    ratio = drawn[0].shape[0] / drawn[0].shape[1] if drawn else 1.0
    tall = side * ratio
    # Whole names: what tells checkpoints apart stands at the end.
    headings = [_wrapped(name, side * _HEADING_SHARE) for name in names]
    header = _LINE * (1 + max(heading.count("\n") + 1 for heading in headings))
    height = header + len(cells) * (tall + _GAP) + _FOOTER
    figure = Figure(figsize=(width, height))
    for column, heading in enumerate(headings):
        left = text_width + column * (side + _GAP)
        figure.text((left + side / 2) / width, 1 - (header - 0.07) / height, heading,
                    ha="center", va="bottom", fontsize=6, fontweight="bold", color=INK)  # fmt: skip
    for row, (caption, pictures) in enumerate(zip(captions, cells, strict=True)):
        bottom = height - header - (row + 1) * tall - row * _GAP
        lines = max(1, int(tall / 0.125))
        figure.text((text_width - 0.1) / width, (bottom + tall / 2) / height,
                    _wrapped(caption, text_width - 0.2, lines),
                    ha="right", va="center", fontsize=7, color=INK, linespacing=1.15)  # fmt: skip
        for column, picture in enumerate(pictures):
            left = text_width + column * (side + _GAP)
            _picture(figure, (left / width, bottom / height, side / width, tall / height), picture)
    return figure


def _picture(figure: Figure, box: tuple[float, float, float, float], picture: Pixels | None) -> None:
    axes = figure.add_axes(box)
    axes.set_axis_off()
    if picture is None:
        axes.add_patch(_blank())
        axes.text(0.5, 0.5, "missing", ha="center", va="center", fontsize=6, color=MUTED)
        return
    # Small images keep their hard pixels, large ones are averaged down.
    axes.imshow(picture, aspect="auto", interpolation="antialiased")


def _blank() -> Rectangle:
    return Rectangle((0, 0), 1, 1, facecolor="#f2f2f2", edgecolor="#c9c9c9", hatch="////", lw=0.5)


def _wrapped(text: str, inches: float, lines: int | None = None) -> str:
    width = max(6, int(inches * _LETTERS_PER_INCH))
    return "\n".join(textwrap.wrap(text, width, max_lines=lines, placeholder=" …"))


def _footnote(images: ImageSet, seeds: Sequence[int]) -> str:
    listed = ", ".join(str(seed) for seed in seeds)
    prompts = images.prompt_set
    same = (
        "same prompt in a row, same noise in the same place"
        if len(seeds) > 1
        else "same prompt and noise in a row"
    )
    what = f"{same} · k = {listed}"
    return f"{what} · {prompts.name}@{prompts.version} · {images.sampler.signature}"

"""What scorers look at: every image decoded once, every feature computed once, for all scorers of a set."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from benchmark.core.devices import allowed_cores
from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.records import ImageRecord, ImageSet, Prompt
from benchmark.scorers.engine.source import Fault, Pictures, Source, source_of

T = TypeVar("T")

PART_BYTES: Final = 1 << 27
PART_IMAGES: Final = 128
"""Limits of a part of a set, which all scorers see before the next one is decoded; at least one prompt."""


@dataclass(frozen=True)
class Shown:
    """The images of a set, or some of them, as a scorer sees them.

    Attributes:
        source: Where the pixels come from.
        rows: Positions in the set of the images that can be looked at.
        faults: Those that cannot.
        asked: The prompts of all of them, also where no image can be looked at.
    """

    source: Source
    rows: tuple[int, ...]
    faults: tuple[Fault, ...] = ()
    asked: tuple[Prompt, ...] = ()

    def __len__(self) -> int:
        """The number of images that can be looked at."""
        return len(self.rows)

    @property
    def images(self) -> Pictures:
        """uint8 of shape (height, width, 3) each."""
        return Pictures(self.source, self.rows)

    @property
    def records(self) -> list[ImageRecord]:
        """Their records."""
        return [self.source.records[row] for row in self.rows]

    @property
    def prompts(self) -> list[Prompt]:
        """Their prompts."""
        return [self.source.prompts[row] for row in self.rows]

    @property
    def texts(self) -> list[str]:
        """What each was made for."""
        return [prompt.text for prompt in self.prompts]

    def at(self, index: Sequence[int]) -> "Shown":
        """Some of the images that can be looked at, and their prompts."""
        rows = tuple(self.rows[i] for i in index)
        ids = {self.source.records[row].prompt_id for row in rows}
        return Shown(self.source, rows, (), tuple(p for p in self.asked if p.id in ids))

    def of(self, prompts: Iterable[Prompt]) -> "Shown":
        """The images of some prompts."""
        ids = {prompt.id for prompt in prompts}
        return Shown(
            self.source,
            tuple(row for row in self.rows if self.source.records[row].prompt_id in ids),
            tuple(fault for fault in self.faults if fault.record.prompt_id in ids),
            tuple(prompt for prompt in self.asked if prompt.id in ids),
        )

    def each(self, key: str, compute: Callable[["Shown"], Sequence[T]], *, asked: bool = False) -> list[T]:
        """Something about each image that several scorers need, computed once an image.

        Numbers and arrays are also kept by content where the evaluation keeps anything; tensors come back as
        numpy's arrays.

        Args:
            key: Names what is computed, and with which weights.
            compute: Gives one thing for each image it is shown.
            asked: Whether it is also about what the image was asked to show.

        Returns:
            One thing an image, in order.
        """
        known = self.source.shared.setdefault(key, {})
        about = {row: self.source.about(row, asked=asked) for row in self.rows if row not in known}
        kept = self.source.kept
        if kept is not None:
            for row, content in about.items():
                value = kept.find(key, content) if content else None
                if value is not None:
                    known[row] = value
        new = tuple(row for row in about if row not in known)
        if new:
            found = {r: _plain(v) for r, v in zip(new, compute(Shown(self.source, new)), strict=True)}
            known.update(found)
            if kept is not None:
                kept.add(key, {about[row]: v for row, v in found.items() if about[row] and _can_be_kept(v)})
        return [known[row] for row in self.rows]

    def each_text(self, key: str, compute: Callable[[Sequence[str]], Sequence[Any]]) -> list[Any]:
        """An array about the text of each image's prompt, computed once a text and kept as those of `each`.

        Args:
            key: Names what is computed, and with which weights.
            compute: Gives one array for each text.
        """
        known = self.source.texts.setdefault(key, {})
        kept = self.source.kept
        new = sorted(set(self.texts) - known.keys())
        if kept is not None and new:
            found = {text: kept.find(key, sha256_bytes(text.encode())) for text in new}
            known.update({text: value for text, value in found.items() if value is not None})
            new = [text for text in new if text not in known]
        if new:
            known.update(zip(new, map(_plain, compute(new)), strict=True))
            if kept is not None:
                kept.add(key, {sha256_bytes(text.encode()): known[text] for text in new})
        return [known[text] for text in self.texts]

    def whole(self, key: str, compute: Callable[["Shown"], T]) -> T:
        """A number about these images together, which is kept as those of `each` are.

        Args:
            key: Names what is computed, and with which weights.
            compute: Gives the number; anything else it gives is not kept.
        """
        kept = self.source.kept
        about = [self.source.about(row, asked=True) for row in self.rows]
        content = sha256_json(about) if about and all(about) else ""
        found: Any = kept.find(key, content) if kept is not None and content else None
        if found is not None:
            return cast("T", float(found))
        value = compute(self)
        if kept is not None and content and _can_be_kept(value):
            kept.add(key, {content: value})
        return value


def _plain(value: Any) -> Any:
    """A tensor as an array, so that it makes no difference whether it was computed or found.

    As what was found, it is for all scorers, and none of them can change it.
    """
    plain = value.numpy() if hasattr(value, "numpy") else value
    if hasattr(plain, "setflags"):
        plain = plain.view()
        plain.setflags(write=False)
    return plain


def _can_be_kept(value: Any) -> bool:
    """Whether it is a number or an array, and finite: what failed is tried again."""
    import numpy as np

    return (isinstance(value, float) or hasattr(value, "__array__")) and bool(np.isfinite(value).all())


def parts(images: ImageSet) -> Iterator[Shown]:
    """A set in parts of whole prompts, decoded one ahead; the pixels of a part are freed behind it."""
    source = source_of(images)
    by_prompt: dict[str, list[int]] = {prompt.id: [] for prompt in images.prompt_set}
    for row, record in enumerate(images):
        by_prompt[record.prompt_id].append(row)
    left = iter(by_prompt.items())
    with ThreadPoolExecutor(1, "ahead") as ahead:
        coming = ahead.submit(_decoded, source, left)
        while part := coming.result():
            coming = ahead.submit(_decoded, source, left)
            rows = [row for mine in part.values() for row in mine]
            yield _shown(source, rows, [images.prompt_set.by_id[id_] for id_ in part])
            source.let_go(rows)


def _decoded(source: Source, left: Iterator[tuple[str, list[int]]]) -> dict[str, list[int]]:
    """Takes prompts until there is enough of them; empty at the end."""
    taken: dict[str, list[int]] = {}
    size = count = 0
    # Several prompts at a time, so that all cores have something to decode.
    while size < PART_BYTES and count < PART_IMAGES and (some := _some(left, allowed_cores())):
        taken |= some
        rows = [row for mine in some.values() for row in mine]
        size += source.look_at(rows)
        count += len(rows)
    return taken


def _some(left: Iterator[tuple[str, list[int]]], images: int) -> dict[str, list[int]]:
    """The next prompts, with at least so many images; fewer at the end."""
    some: dict[str, list[int]] = {}
    count = 0
    while count < images and (following := next(left, None)) is not None:
        prompt_id, rows = following
        some[prompt_id] = rows
        count += len(rows)
    return some


def _shown(source: Source, rows: Sequence[int], asked: Iterable[Prompt]) -> Shown:
    faults = {row: source.fault(row) for row in rows}
    good = tuple(row for row, fault in faults.items() if fault is None)
    return Shown(source, good, tuple(f for f in faults.values() if f is not None), tuple(asked))


def shown(images: ImageSet) -> Shown:
    """All images of a set; asked again for the same set, the pixels are not decoded again."""
    source = source_of(images)
    source.look_at(range(len(images)))
    return _shown(source, range(len(images)), images.prompt_set)

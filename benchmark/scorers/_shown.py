"""What scorers look at: every image decoded once, every feature computed once, for all scorers of a set."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, overload

from benchmark.core.errors import FbenchError, MissingFileError
from benchmark.core.records import ImageRecord, ImageSet, Prompt, Status

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

T = TypeVar("T")

KEEP_BYTES = 1 << 29
"""Decoded pixels kept of one image set; what is beyond is decoded again for each scorer."""

NO_IMAGE = "no image"
"""Part of the note of every row that has no number because there is no image."""


@dataclass(frozen=True)
class Fault:
    """An image that cannot be looked at: its record, the status of its row, and why."""

    record: ImageRecord
    status: Status
    note: str


class Pictures(Sequence["RGB"]):
    """The pixels of some records, decoded when they are first looked at."""

    def __init__(self, source: "Source", rows: Sequence[int]) -> None:
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> "RGB": ...
    @overload
    def __getitem__(self, index: slice) -> "Pictures": ...
    def __getitem__(self, index: int | slice) -> "RGB | Pictures":
        """The pixels of one image, or a part of the sequence that is not decoded yet."""
        if isinstance(index, slice):
            return Pictures(self._source, self._rows[index])
        return self._source.pixels(self._rows[index])


class Source:
    """One image set's decoded pixels, and what scorers share."""

    def __init__(self, images: ImageSet) -> None:
        self.records = images.records
        self.prompts = [images.prompt(record) for record in images]
        self.shared: dict[str, dict[int, Any]] = {}
        self._open = images.open
        self._kept: dict[int, RGB] = {}
        self._bytes = 0

    def pixels(self, row: int) -> "RGB":
        """The pixels of one record, kept while there is room."""
        if row in self._kept:
            return self._kept[row]
        decoded = self._open(self.records[row])
        if self._bytes + decoded.nbytes <= KEEP_BYTES:
            self._kept[row] = decoded
            self._bytes += decoded.nbytes
        return decoded

    @cached_property
    def faults(self) -> dict[int, Fault]:
        """Records that have no pixels, and why: found by decoding each once."""
        found: dict[int, Fault] = {}
        for row, record in enumerate(self.records):
            if record.status != "ok":
                found[row] = Fault(record, "missing", f"{NO_IMAGE}: {record.note or record.status}")
                continue
            try:
                self.pixels(row)
            except MissingFileError as error:
                found[row] = Fault(record, "missing", f"{NO_IMAGE}: {error}")
            except FbenchError as error:
                found[row] = Fault(record, "error", str(error))
        return found


@dataclass(frozen=True)
class Shown:
    """The images of a set, or some of them, as a scorer sees them.

    Attributes:
        source: Where the pixels come from.
        rows: Positions in the set of the images that can be looked at.
        faults: Those that cannot.
    """

    source: Source
    rows: tuple[int, ...]
    faults: tuple[Fault, ...] = ()

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
        """Some of the images that can be looked at."""
        return Shown(self.source, tuple(self.rows[i] for i in index))

    def of(self, prompts: Iterable[Prompt]) -> "Shown":
        """The images of some prompts."""
        ids = {prompt.id for prompt in prompts}
        rows = tuple(row for row in self.rows if self.source.records[row].prompt_id in ids)
        return Shown(self.source, rows, tuple(f for f in self.faults if f.record.prompt_id in ids))

    def each(self, key: str, compute: Callable[["Shown"], Sequence[T]]) -> list[T]:
        """Something about each image that several scorers need, computed once an image.

        Args:
            key: Names what is computed, and with which weights.
            compute: Gives one thing for each image it is shown.

        Returns:
            One thing an image, in order.
        """
        known = self.source.shared.setdefault(key, {})
        new = tuple(row for row in self.rows if row not in known)
        if new:
            known.update(zip(new, compute(Shown(self.source, new)), strict=True))
        return [known[row] for row in self.rows]


_NAME = "_decoded_for_scorers"


def shown(images: ImageSet) -> Shown:
    """All images of a set; asked again for the same set, the pixels are not decoded again."""
    # Beside the fields, as functools.cached_property does: it lives and dies with the set.
    source: Source = vars(images).get(_NAME) or vars(images).setdefault(_NAME, Source(images))
    faults = source.faults
    good = tuple(row for row in range(len(images)) if row not in faults)
    return Shown(source, good, tuple(faults.values()))


def forget(images: ImageSet) -> None:
    """Frees what was decoded and computed for a set."""
    vars(images).pop(_NAME, None)

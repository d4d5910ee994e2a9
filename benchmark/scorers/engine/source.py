"""One image set's pixels, decoded once, and what its scorers share."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, overload

from benchmark.core.devices import allowed_cores
from benchmark.core.errors import FbenchError, MissingFileError
from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.records import ImageRecord, ImageSet, Status
from benchmark.scorers.engine.kept import Kept

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

KEEP_BYTES: Final = 1 << 29
"""Decoded pixels kept of one image set; what is beyond is decoded again for each scorer."""

NO_IMAGE: Final = "no image"
"""Part of the note of every row that has no number because there is no image."""


@dataclass(frozen=True)
class Fault:
    """An image that cannot be looked at: its position and record, the status of its row, and why."""

    row: int
    record: ImageRecord
    status: Status
    note: str


class Pictures(Sequence["RGB"]):
    """The pixels of some records, decoded when they are first looked at; each look is at a copy."""

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
        return self._source.pixels(self._rows[index]).copy()


class Source:
    """One image set's decoded pixels, and what scorers share.

    Args:
        images: The set.
        kept: What was computed before, by content; None: nothing is kept beyond this process.
    """

    def __init__(self, images: ImageSet, kept: Kept | None = None) -> None:
        self.checkpoint = images.checkpoint.id
        self.records = images.records
        self.prompts = [images.prompt(record) for record in images]
        self.kept = kept
        self.shared: dict[str, dict[int, Any]] = {}
        self.texts: dict[str, dict[str, Any]] = {}
        self._asked = {prompt.id: sha256_json({**asdict(prompt), "id": ""}) for prompt in images.prompt_set}
        self._open = images.open
        self._pixels: dict[int, RGB] = {}
        self._bytes, self._lock = 0, Lock()
        self._faults: dict[int, Fault | None] = {}

    def pixels(self, row: int) -> "RGB":
        """The pixels of one record, kept while there is room."""
        if row in self._pixels:
            return self._pixels[row]
        decoded = self._open(self.records[row])
        with self._lock:
            if self._bytes + decoded.nbytes <= KEEP_BYTES:
                self._pixels[row] = decoded
                self._bytes += decoded.nbytes
        return decoded

    def look_at(self, rows: Iterable[int]) -> int:
        """Decodes what has not been looked at yet, on all cores; their bytes."""
        new = [row for row in rows if row not in self._faults]
        with ThreadPoolExecutor(allowed_cores(), "decode") as pool:
            list(pool.map(self._look, new))
        return sum(self._pixels[row].nbytes for row in new if row in self._pixels)

    def fault(self, row: int) -> Fault | None:
        """Why a record has no pixels; None if it has."""
        if row not in self._faults:
            self._look(row)
        return self._faults[row]

    def let_go(self, rows: Iterable[int]) -> None:
        """Frees pixels; that there were some stays known."""
        with self._lock:
            for row in rows:
                gone = self._pixels.pop(row, None)
                self._bytes -= gone.nbytes if gone is not None else 0

    def about(self, row: int, *, asked: bool) -> str:
        """What a number about an image is about, by content; empty where the content is not known.

        Args:
            row: Of the image.
            asked: Whether it is also about what the image was asked to show.
        """
        digest = self.records[row].sha256
        if not asked or not digest:
            return digest
        return sha256_bytes(f"{digest}{self._asked[self.records[row].prompt_id]}".encode())

    def _look(self, row: int) -> None:
        record = self.records[row]
        fault = None
        if record.status != "ok":
            fault = Fault(row, record, "missing", f"{NO_IMAGE}: {record.note or record.status}")
        else:
            try:
                self.pixels(row)
            except MissingFileError as error:
                fault = Fault(row, record, "missing", f"{NO_IMAGE}: {error}")
            except FbenchError as error:
                fault = Fault(row, record, "error", str(error))
        self._faults[row] = fault


_NAME: Final = "_decoded_for_scorers"


def source_of(images: ImageSet, kept: Kept | None = None) -> Source:
    """What belongs to a set; made when it is first asked for.

    Args:
        images: The set.
        kept: As of `Source`; looked at when it is made.
    """
    # Beside the fields, as functools.cached_property does: it lives and dies with the set.
    source: Source = vars(images).get(_NAME) or vars(images).setdefault(_NAME, Source(images, kept))
    return source


def forget(images: ImageSet) -> None:
    """Frees what was decoded and computed for a set."""
    vars(images).pop(_NAME, None)

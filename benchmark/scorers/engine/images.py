"""The images that scorers see: each decoded once for all of them, and a part of a set at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from benchmark.core.devices import allowed_cores
from benchmark.core.errors import FbenchError, MissingFileError
from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.records import ImageRecord, ImageSet, Prompt, Status
from benchmark.scorers.engine.cache import Cache

if TYPE_CHECKING:
    import numpy as np

    from benchmark.core.pixels import RGB
    from benchmark.networks.inference import Embedder

T = TypeVar("T")

KEEP_BYTES: Final = 1 << 29
"""Decoded pixels kept of one image set; what is beyond is decoded again for each scorer."""

PART_BYTES: Final = 1 << 27
PART_IMAGES: Final = 128
"""Limits of a part of a set, which all scorers see before the next one is decoded; at least one prompt."""

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
    """Pixels that are decoded when they are looked at, of a set or of references larger than the memory.

    Args:
        items: What `decode` takes, one for each image.
        decode: Gives the pixels of one.
    """

    def __init__(self, items: Sequence[T], decode: "Callable[[T], RGB]") -> None:
        self._items, self._decode = items, decode

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> "RGB": ...
    @overload
    def __getitem__(self, index: slice) -> "Pictures": ...
    def __getitem__(self, index: int | slice) -> "RGB | Pictures":
        """The pixels of one image, or a part of the sequence that is not decoded yet."""
        if isinstance(index, slice):
            return Pictures(self._items[index], self._decode)
        return self._decode(self._items[index])


class Source:
    """One image set's decoded pixels, and what scorers share.

    Args:
        images: The set.
        kept: The evaluation's cache; None: nothing is kept beyond this process.
    """

    def __init__(self, images: ImageSet, kept: Cache | None = None) -> None:
        self.checkpoint = images.checkpoint.id
        self.records = images.records
        self.prompts = [images.prompt(record) for record in images]
        self.cache = Cache(behind=kept)
        self._prompts = {prompt.id: sha256_json({**asdict(prompt), "id": ""}) for prompt in images.prompt_set}
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

    def content(self, row: int, *, with_prompt: bool) -> str:
        """The hash of an image; empty where it is not known.

        Args:
            row: Of the image.
            with_prompt: Whether the hash is also of what the image was asked to show.
        """
        digest = self.records[row].sha256
        if not with_prompt or not digest:
            return digest
        return sha256_bytes(f"{digest}{self._prompts[self.records[row].prompt_id]}".encode())

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


def source_of(images: ImageSet, kept: Cache | None = None) -> Source:
    """The source of a set's images; made when it is first asked for.

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
        """uint8 of shape (height, width, 3) each; each look is at a copy."""
        return Pictures(self.rows, lambda row: self.source.pixels(row).copy())

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
        """The text that each was made for."""
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

    def each(
        self, key: str, compute: Callable[["Shown"], Sequence[T]], *, with_prompt: bool = False
    ) -> list[T]:
        """Something about each image that several scorers need, computed once an image.

        Numbers and arrays are also kept by content where the evaluation keeps anything; tensors come back as
        numpy's arrays.

        Args:
            key: Names what is computed, and with which weights.
            compute: Gives one thing for each image it is shown.
            with_prompt: Whether it is also about what the image was asked to show.

        Returns:
            One thing an image, in order.
        """
        return self.source.cache.each(
            key,
            self.rows,
            lambda new: compute(Shown(self.source, tuple(new))),
            lambda row: self.source.content(row, with_prompt=with_prompt),
        )

    def embeddings(self, network: "Embedder") -> "np.ndarray":
        """A network's embeddings of the images, (n, d), shared by whoever asks."""
        import numpy as np

        return np.stack(self.each(network.key, lambda new: network.embed_images(new.images)))

    def text_embeddings(self, network: "Embedder", texts: Sequence[str] | None = None) -> "np.ndarray":
        """A network's embeddings of texts, (n, d), each computed once and kept as those of `each`.

        Args:
            network: Embeds them.
            texts: None: what each image was made for.
        """
        import numpy as np

        texts = self.texts if texts is None else texts
        distinct = sorted(set(texts))
        found = self.source.cache.each(
            f"texts:{network.key}", distinct, network.embed_texts, lambda text: sha256_bytes(text.encode())
        )
        known = dict(zip(distinct, found, strict=True))
        return np.stack([known[text] for text in texts])

    def whole(self, key: str, compute: Callable[["Shown"], T]) -> T:
        """A number about these images together, kept by content where the evaluation keeps anything.

        Args:
            key: Names what is computed, and with which weights.
            compute: Gives the number; anything else it gives is not kept.
        """
        kept = self.source.cache.behind
        contents = [self.source.content(row, with_prompt=True) for row in self.rows]
        content = sha256_json(contents) if contents and all(contents) else ""
        found: Any = kept.find(key, content) if kept is not None and content else None
        if found is not None:
            return cast("T", float(found))
        value = compute(self)
        if kept is not None and content:
            kept.add(key, {content: value})
        return value

    def once(self, key: str, compute: Callable[["Shown"], T]) -> "tuple[T, np.ndarray]":
        """Something about a set, such as the distances between its images, computed once for its parts too.

        Whoever asks first with a key shows the whole; a jackknife then shows parts of it, and pays for the
        difference alone.

        Args:
            key: Names what is computed, and with which weights and references.
            compute: Gives it for the images that it is shown; must not hold on to them.

        Returns:
            What was computed, and the positions of these images among those it was computed for.
        """
        import numpy as np

        places: dict[int, int]
        places, found = self.source.cache.find("once", key) or ({}, None)
        if not all(row in places for row in self.rows):
            places = {row: i for i, row in enumerate(self.rows)}
            found = compute(self)
            self.source.cache.add("once", {key: (places, found)})
        return cast("T", found), np.array([places[row] for row in self.rows], dtype=np.int64)


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

"""Arrays that are computed once and mapped into memory, and rows that are computed when asked for.

An entry is a folder whose name is the hash of what determines its content, so nothing stale is ever
read. It takes its place in one rename, and its files carry checksums: it is what was written, or it is made
again. A lock, which the system frees when its owner dies, keeps processes that start together from computing
the same entry twice.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark.core import store
from benchmark.core.errors import DiskFullError, FbenchError, RefusedBySystemError, UnreadableFileError
from benchmark.core.hashing import sha256_json
from benchmark.core.sealed import is_whole, sealed_file
from benchmark.generate import Progress, console_progress
from trainers.progress import say

Array = NDArray[Any]


@dataclass(frozen=True)
class Spec:
    """An array to be.

    Attributes:
        shape: Its first axis counts the things the entry is about.
        dtype: As numpy names it.
    """

    shape: tuple[int, ...]
    dtype: str = "float16"

    @property
    def bytes(self) -> int:
        """Its size on disk, but for a header."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


ROWS_AT_ONCE: Final = 32
_ELSEWHERE: Final = "name another folder in FBENCH_CACHE, or give --no-cache-latents"

Fill = Callable[[Mapping[str, Array], Progress], None]
"""Writes into arrays, and tells how many of their rows are done."""


def cached_arrays(
    cache: Path, kind: str, key: object, specs: Mapping[str, Spec], fill: Fill, things: str
) -> dict[str, Array]:
    """Arrays from the cache, or made by `fill` and kept; says which of the two on stderr.

    Args:
        cache: The folder of all entries.
        kind: What they are, in a word: first part of the entry's name.
        key: All that determines the content, besides `kind` and `specs`.
        specs: The arrays of the entry, by name.
        fill: Makes them.
        things: What their rows are about, for messages: `images`.

    Returns:
        The arrays by name, read-only, mapped into memory.

    Raises:
        DiskFullError: if the entry would not fit.
    """
    content = {name: [list(spec.shape), spec.dtype] for name, spec in specs.items()}
    entry = cache / f"{kind}-{sha256_json([kind, content, key])[:32]}"
    count, size = next(iter(specs.values())).shape[0], sum(spec.bytes for spec in specs.values())
    what = f"{kind}: {count:,} {things}, {size / 1e6:,.{0 if size >= 1e7 else 1}f} MB"
    found = _read(entry, specs)
    if found is not None:
        # One of several processes is enough to tell.
        if os.environ.get("RANK", "0") == "0":
            say(f"{what}, found in cache (it took {found.seconds:.0f} s)")
        return found.arrays
    with _alone(entry, f"{kind}: another process is making them; waiting"):
        found = _read(entry, specs)
        if found is None:
            damaged = " made again, as the cached ones are damaged," if entry.exists() else ""
            say(f"{what},{damaged} {_make(entry, kind, specs, size, fill):.0f} s")
            found = _read(entry, specs)
    if found is None:
        raise UnreadableFileError(entry, f"cached {kind}", "it was just written", do="is the disk failing?")
    return found.arrays


@dataclass(frozen=True)
class _Found:
    """A whole entry, and the seconds it took."""

    arrays: dict[str, Array]
    seconds: float


def _read(entry: Path, specs: Mapping[str, Spec]) -> _Found | None:
    """An entry; None if it is not there, or not what was written."""
    files = {name: entry / f"{name}.npy" for name in specs}
    if not all(is_whole(file) for file in files.values()):
        return None
    try:
        arrays: dict[str, Array] = {name: np.load(file, mmap_mode="r") for name, file in files.items()}
        seconds = float(store.read_json(entry / "entry.json", "cache entry")["seconds"])
    except (FbenchError, KeyError, OSError, TypeError, ValueError):
        return None
    right = all(Spec(x.shape, x.dtype.name) == specs[name] for name, x in arrays.items())
    return _Found(arrays, seconds) if right else None


def _make(entry: Path, kind: str, specs: Mapping[str, Spec], size: int, fill: Fill) -> float:
    """Makes an entry; returns the seconds it took."""
    try:
        store.require_space(entry.parent, size, f"the cache of {kind}")
    except DiskFullError as error:
        raise DiskFullError(error.given, do=f"free some space, {_ELSEWHERE}") from error
    start = time.monotonic()
    with store.atomic_folder(entry) as folder:
        with ExitStack() as files:
            arrays = {
                name: np.lib.format.open_memmap(
                    files.enter_context(sealed_file(folder / f"{name}.npy")),
                    mode="w+", dtype=spec.dtype, shape=spec.shape,
                )
                for name, spec in specs.items()
            }  # fmt: skip
            with console_progress(f"encoding {kind}") as tell:
                fill(arrays, tell)
            for array in arrays.values():
                array.flush()
        seconds = time.monotonic() - start
        store.write_json(folder / "entry.json", {"kind": kind, "bytes": size, "seconds": seconds})
    return seconds


@contextmanager
def _alone(entry: Path, waiting: str) -> Iterator[None]:
    """Holds the entry's lock; what a process that died left of the entry is then nobody's, and goes."""
    from filelock import FileLock, Timeout

    lock = FileLock(entry.parent / f".{entry.name}.lock")
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        say(waiting)
        lock.acquire()
    except NotImplementedError:
        # A file system without locks: the entry may be made twice, but is still whole or not there.
        yield
        return
    except OSError as error:
        given = f"cannot write the cache {entry.parent}: {error.strerror}"
        raise RefusedBySystemError(given, do=_ELSEWHERE) from error
    try:
        for left in entry.parent.glob(f".{entry.name}.*.part"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        lock.release()


class LazyRows:
    """Reads like an array of float32 by row numbers; nothing is remembered.

    Args:
        shape: Of the array it stands for.
        compute: Some of its rows, all different, at most `ROWS_AT_ONCE`.
    """

    def __init__(self, shape: tuple[int, ...], compute: Callable[[NDArray[np.int64]], Array]) -> None:
        self.shape, self._compute = shape, compute

    def __len__(self) -> int:
        """The number of rows."""
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All rows."""
        return self[np.arange(len(self))].astype(dtype or np.float32)

    def __getitem__(self, rows: NDArray[np.int64] | int) -> NDArray[np.float32]:
        """Some rows, or one; equal ones are computed once."""
        if isinstance(rows, int):
            row: NDArray[np.float32] = self[np.array([rows])][0]
            return row
        different, back = np.unique(rows, return_inverse=True)
        out = np.empty((len(different), *self.shape[1:]), dtype=np.float32)
        for start in range(0, len(different), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            out[part] = self._compute(different[part])
        return out[back]


Rows: TypeAlias = NDArray[Any] | LazyRows


def in_memory(rows: Rows) -> Rows:
    """All rows as an array in half precision; an array stays what it is."""
    return np.asarray(rows, dtype=np.float16) if isinstance(rows, LazyRows) else rows

"""Hashes of weights and data: a large file is read once for all processes, and again when it has changed.

That a file is the one that was read is told by what the system says of it: place, size, inode, and the times
of its last writing and of its last change of any kind, which no program can set back. Whoever has to know
what the bytes are now, such as a check for damage, asks :func:`benchmark.core.hashing.sha256_file`.
"""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeAlias

from benchmark.core import store
from benchmark.core.devices import allowed_cores
from benchmark.core.environment import cache_folder
from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_bytes, sha256_file, sha256_json

KEPT_FROM: Final = 1 << 20
"""Bytes from which a hash is kept on disk: a smaller file is hashed sooner than its record is found."""
_SETTLED: Final = 2 * 10**9
"""Nanoseconds since the last change, below which another may bear the same time: some file systems count in
whole seconds."""

_Stamp: TypeAlias = tuple[int, int, int, int]


def known_sha256(path: Path) -> str:
    """The hex digest of a file's content, read only when the system says that it has changed.

    Raises:
        OSError: if it cannot be read.
    """
    return _sha256(path, _stamp(path))


def known_sha256_files(folder: Path, files: Sequence[Path]) -> str:
    """:func:`benchmark.core.hashing.sha256_files`, of which large files are read on several cores.

    Raises:
        OSError: if one cannot be read.
    """
    large = [file for file in files if file.stat().st_size >= KEPT_FROM]
    with ThreadPoolExecutor(allowed_cores(), "hash") as pool:
        list(pool.map(known_sha256, large))
    return sha256_json({file.relative_to(folder).as_posix(): known_sha256(file) for file in files})


# As many as the reference images of a large evaluation.
@lru_cache(maxsize=1 << 17)
def _sha256(path: Path, stamp: _Stamp) -> str:
    if stamp[0] < KEPT_FROM:
        return sha256_file(path)
    place = path.resolve()
    # A file of its own for each: who writes one at the same time writes the same, and nobody's is lost.
    record = cache_folder() / "hashes" / f"{sha256_bytes(os.fsencode(place))}.json"
    if (kept := _read(record, place, stamp)) is not None:
        return kept
    begun, found = time.time_ns(), sha256_file(path)
    if max(stamp[2:]) < begun - _SETTLED and _stamp(path) == stamp:
        # Without room or rights nothing is kept, and the next process reads the file again.
        with suppress(UserError):
            store.write_json(record, {"path": place, "stamp": stamp, "sha256": found})
    return found


def _read(record: Path, place: Path, stamp: _Stamp) -> str | None:
    """What a record says of a file as it is now; None where it says nothing that counts."""
    try:
        said = store.read_json(record)
    except UserError:
        return None
    if not isinstance(said, dict) or said.get("path") != place.as_posix() or said.get("stamp") != [*stamp]:
        return None
    found = said.get("sha256")
    return found if isinstance(found, str) else None


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns

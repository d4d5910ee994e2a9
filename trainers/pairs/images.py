"""The encoded bytes behind references: read when they are needed, and not kept."""

import bisect
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from benchmark.core.errors import MissingFileError, UnreadableFileError
from benchmark.core.records import ImageRef
from trainers.pairs.parquet import image_bytes

if TYPE_CHECKING:
    import pyarrow as pa


def read_images(refs: Sequence[ImageRef]) -> Iterator[bytes]:
    """The encoded bytes of images, in order; quickest where the order is the files'.

    Of a parquet file a whole row group is read at a time, and the last two are remembered.

    Raises:
        UserError: if a file is gone, or no longer holds the row.
    """
    for ref in refs:
        if ref.row is None or ref.column is None:
            try:
                yield ref.path.read_bytes()
            except OSError as error:
                raise MissingFileError(ref.path, "image of the preference data") from error
            continue
        stamp = _stamp(ref.path)
        group, first = _group_of(ref.path, stamp, ref.row)
        cell = _row_group(ref.path, stamp, group).column(ref.column)[ref.row - first]
        data = image_bytes(cell.as_py(), ref.path.parent)
        if isinstance(data, str):
            raise UnreadableFileError(ref.path, "preference data", f"row {ref.row}: {data}")
        yield data


Stamp: TypeAlias = tuple[int, int]


def _stamp(path: Path) -> Stamp:
    """What changes with a file: nothing of another content is remembered under its name."""
    try:
        found = path.stat()
    except OSError as error:
        raise MissingFileError(path, "preference data") from error
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=64)
def _group_starts(path: Path, _stamp: Stamp) -> tuple[int, ...]:
    """The first row of each row group, and the number of rows."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        starts = [0]
        for group in range(file.num_row_groups):
            starts.append(starts[-1] + file.metadata.row_group(group).num_rows)
    return tuple(starts)


def _group_of(path: Path, stamp: Stamp, row: int) -> tuple[int, int]:
    """The row group that holds a row, and the number of its first row."""
    starts = _group_starts(path, stamp)
    if not 0 <= row < starts[-1]:
        raise UnreadableFileError(path, "preference data", f"row {row} is gone: the file has changed")
    group = bisect.bisect_right(starts, row) - 1
    return group, starts[group]


# Pick-a-Pic's row groups are hundreds of megabytes: one to read from, one for a second file.
@functools.lru_cache(maxsize=2)
def _row_group(path: Path, _stamp: Stamp, group: int) -> "pa.Table":
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read_row_group(group, columns=["jpg_0", "jpg_1"])

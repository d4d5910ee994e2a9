"""Parquet with Pick-a-Pic's columns, `caption, jpg_0, jpg_1, label_0, label_1`, read and written.

An image is a cell of its bytes, of its path, or of the `{bytes, path}` that `datasets` writes. Other columns
are not read. The bytes behind a reference are read again when they are needed, and not kept.
"""

import bisect
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmark.core import store
from benchmark.core.errors import MissingFileError, UnreadableFileError
from benchmark.core.records import ImageRef
from trainers.pairs.listing import file_bytes, refuse_known_layout
from trainers.pairs.records import Row

if TYPE_CHECKING:
    import pyarrow as pa

    from benchmark.core.pixels import RGB

COLUMNS = ("caption", "jpg_0", "jpg_1", "label_0", "label_1")
_ROWS = 128  # a time, so that a large shard never has to fit into memory
JPEG_QUALITY = 92
_PUT_BACK = "it was there when the data was read: put it back, and give the same command again"
ROWS_PER_GROUP = 64
"""Small groups, because a reader that wants one image reads its whole group."""


def parquet_rows(path: Path, name: str) -> Iterator[Row]:
    """The rows of a file.

    Args:
        path: The file.
        name: What it is called in messages.

    Raises:
        UnreadableFileError: if it is no parquet, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            missing = [column for column in COLUMNS if column not in names]
            if missing:
                refuse_known_layout(path, names)
                why = f"no column {', '.join(missing)}; it has {', '.join(names)}"
                raise UnreadableFileError(path, "preference data", why)
            number = 0
            for batch in file.iter_batches(_ROWS, columns=list(COLUMNS)):
                for i in range(batch.num_rows):
                    yield _row(path, name, number, {column: batch.column(column)[i] for column in COLUMNS})
                    number += 1
    except (OSError, pa.ArrowException) as error:
        raise UnreadableFileError(path, "parquet", error) from error


def image_bytes(cell: object, folder: Path) -> bytes | str:
    """An image's bytes from a cell: plain, a path, or what the hub's `Image` feature makes of either.

    Args:
        cell: Of an image's column.
        folder: Paths are relative to it.

    Returns:
        The bytes, or in words why there are none.
    """
    found = cell
    if isinstance(cell, dict):
        found = cell.get("path") if cell.get("bytes") is None else cell["bytes"]
    if found is None:
        return b""
    if isinstance(found, str):
        return file_bytes(folder, found)
    return found if isinstance(found, bytes) else f"an image is {type(found).__name__}, not bytes or a path"


def holds_its_images(path: Path) -> bool:
    """Whether a file is parquet whose images are all bytes in it, and none lies elsewhere."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return False
    kinds = [schema.field(name).type for name in ("jpg_0", "jpg_1") if name in schema.names]
    return len(kinds) == 2 and all(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) for kind in kinds
    )


def _row(path: Path, name: str, number: int, cells: dict[str, Any]) -> Row:
    where = f"{name}:{number}"
    try:
        values = {column: cell.as_py() for column, cell in cells.items()}
    except ValueError as error:  # text that is not UTF-8
        return Row(where, why=f"a cell cannot be read ({error})")
    return Row(
        where,
        values["caption"],
        tuple(ImageRef(path, number, column) for column in ("jpg_0", "jpg_1")),
        tuple(image_bytes(values[column], path.parent) for column in ("jpg_0", "jpg_1")),
        (values["label_0"], values["label_1"]),
    )


# --- the images behind references ------------------------------------------------------------------


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
                raise MissingFileError(ref.path, "image of the preference data", do=_PUT_BACK) from error
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
        raise MissingFileError(path, "preference data", do=_PUT_BACK) from error
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


# --- writing ---------------------------------------------------------------------------------------


def encode_jpeg(image: "RGB") -> bytes:
    """An image as JPEG of quality 92 without chroma subsampling."""
    from PIL import Image

    out = BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return out.getvalue()


def preference_row(caption: str, first: bytes, second: bytes, first_won: float) -> dict[str, object]:
    """A row of the columns that are read.

    Args:
        caption: The prompt.
        first: Encoded image 0.
        second: Encoded image 1.
        first_won: 1 if image 0 is preferred, 0 if image 1 is, 0.5 for a tie.
    """
    return {
        "caption": caption,
        "jpg_0": first,
        "jpg_1": second,
        "label_0": float(first_won),
        "label_1": float(1 - first_won),
    }


def write_rows(rows: Iterable[Mapping[str, object]], path: Path, rows_per_group: int = ROWS_PER_GROUP) -> int:
    """Writes a parquet file whole or not at all, one row group in memory at a time.

    Args:
        rows: At least one; all have the columns of the first.
        path: Where.
        rows_per_group: Rows of a group.

    Returns:
        Its size in bytes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = (pa.Table.from_pylist(group) for group in _groups(rows, rows_per_group))
    first = next(tables)
    with store.atomic_file(path) as temporary:
        with pq.ParquetWriter(temporary, first.schema, compression="zstd") as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table.cast(first.schema))
        return temporary.stat().st_size


def _groups(rows: Iterable[Mapping[str, object]], size: int) -> Iterator[list[Mapping[str, object]]]:
    source = iter(rows)
    while group := list(islice(source, size)):
        yield group

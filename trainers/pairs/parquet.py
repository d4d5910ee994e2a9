"""Parquet with Pick-a-Pic's columns: `caption, jpg_0, jpg_1, label_0, label_1`; others are not read.

An image is a cell of its bytes, of its path, or of the `{bytes, path}` that `datasets` writes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.core.errors import UnreadableFileError
from benchmark.core.records import ImageRef
from trainers.pairs.layouts import refuse_known_layout
from trainers.pairs.listing import file_bytes
from trainers.pairs.records import Row

COLUMNS = ("caption", "jpg_0", "jpg_1", "label_0", "label_1")
_ROWS = 128  # a time, so that a large shard never has to fit into memory


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

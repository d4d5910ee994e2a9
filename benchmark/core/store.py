"""Files that are either whole or not there: written beside their place, then moved into it.

A run may be killed at any moment and is then resumed from what it left. So nothing is ever written in place.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.core.errors import DiskFullError, MissingFileError, UnreadableFileError
from benchmark.core.hashing import plain
from benchmark.core.leftovers import old_folder, part_file, part_folder
from benchmark.core.locks import refuse_removed
from benchmark.core.records.scores import ScoreRow
from benchmark.core.strict import load_json
from benchmark.core.system import writing

if TYPE_CHECKING:
    import pyarrow as pa


# --- writing ----------------------------------------------------------------------------------


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a path to write to; at the end the file takes its place, or vanishes after an error.

    The name keeps the suffix, because many libraries choose a format by it. A link stays one, and what is no
    file, such as `/dev/stdout` or a pipe, is written to at the end and not replaced.

    Raises:
        DiskFullError: if the disk has no room.
        UserError: if it cannot be written, or the command's folder was removed.
    """
    refuse_removed(path)
    if path.is_symlink():
        path = path.resolve()
    with writing(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder) / path.name
                with (Path(folder) / path.name).open("rb") as content, path.open("wb") as stream:
                    shutil.copyfileobj(content, stream)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = part_file(path)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder to fill; at the end it takes the place of ``path``.

    Raises:
        DiskFullError: if the disk has no room.
        UserError: if it cannot be written, or the command's folder was removed.
    """
    refuse_removed(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, old = part_folder(path), old_folder(path)
        try:
            yield temporary
            if path.exists():
                # A folder cannot be replaced in one step; for this moment it is not there, but never half.
                path.rename(old)
            temporary.rename(path)
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(old, ignore_errors=True)
            shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file, or none."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Writes a whole UTF-8 file, or none."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Writes a record, or anything made of plain values, as JSON that a person can read.

    Raises:
        ValueError: for NaN or infinity, which are not JSON.
    """
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_scores(path: Path, rows: Iterable[ScoreRow]) -> None:
    """Writes score rows as a long parquet table, one column a field."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _score_schema()
    all_rows = list(rows)
    columns = [[getattr(row, field.name) for row in all_rows] for field in schema]
    with atomic_file(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary)


# --- reading ----------------------------------------------------------------------------------


def read_json(path: Path, what: str = "JSON", do: str = "") -> Any:
    """The content of a JSON file.

    Args:
        path: The file.
        what: What it is, in words.
        do: What a user can do about one that cannot be read.

    Raises:
        MissingFileError: if there is no such file.
        UnreadableFileError: if it is not JSON, or states a key twice.
    """
    try:
        return load_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingFileError(path, what, do="copy it there, or make it again") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(path, what, error, do) from error


def read_parquet(
    path: Path, columns: Sequence[str] | None = None, content: bytes | None = None
) -> "pa.Table":
    """A parquet file as an arrow table.

    Args:
        path: The file.
        columns: The columns that are needed; others are not read.
        content: Its bytes, where they have been read already.

    Raises:
        MissingFileError: if there is no such file.
        UnreadableFileError: if it is not parquet, or a column is missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise MissingFileError(path, "parquet file", do="name one that is there, or make it again")
    try:
        with pq.ParquetFile(path if content is None else pa.BufferReader(content)) as file:
            there = file.schema_arrow.names
            missing = [name for name in columns or () if name not in there]
            if missing:
                why = f"no column {', '.join(missing)}; it has {', '.join(there)}"
                raise UnreadableFileError(path, "the table expected here", why)
            return file.read(columns=list(columns) if columns is not None else None)
    except (OSError, pa.ArrowException) as error:
        raise UnreadableFileError(path, "parquet", error) from error


def read_scores(path: Path | str, content: bytes | None = None) -> list[ScoreRow]:
    """The rows of a ``scores.parquet``, or of the one in an evaluation's folder.

    Args:
        path: The file or the folder.
        content: The file's bytes, where they have been read already.

    Raises:
        MissingFileError: if there is no such file.
        UnreadableFileError: if it is no table of valid score rows.
    """
    path = Path(path)
    path = path / "scores.parquet" if path.is_dir() else path
    table = read_parquet(path, _score_schema().names, content)
    try:
        return [ScoreRow(**row) for row in table.to_pylist()]
    except (TypeError, ValueError) as error:
        raise UnreadableFileError(path, "score rows", error) from error


# --- room -------------------------------------------------------------------------------------


def require_space(folder: Path, needed: int, what: str) -> None:
    """Fails before the expensive part if a command's output will not fit.

    Args:
        folder: Where it will be written; need not exist yet.
        needed: Bytes.
        what: What it is, in words.

    Raises:
        DiskFullError: if less is free.
    """
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < needed:
        raise DiskFullError(
            f"{what} needs {_size(needed)}, but {_size(free)} are free at {folder}",
            do="free some space or choose another --out",
        )


def _score_schema() -> "pa.Schema":
    import pyarrow as pa

    text, optional = pa.string(), True
    return pa.schema(
        [
            pa.field("checkpoint", text, not optional),
            pa.field("scorer", text, not optional),
            pa.field("scorer_version", text, not optional),
            pa.field("prompt_id", text, optional),
            pa.field("seed", pa.int64(), optional),
            pa.field("value", pa.float64(), optional),
            pa.field("status", text, not optional),
            pa.field("note", text, not optional),
        ]
    )


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"

"""Tables that people write: CSV, TSV and JSONL. Every cell is somebody's, or the row is named and refused."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from benchmark.core.strict import load_json

Numbered: TypeAlias = tuple[int, dict[str, Any]]
"""A row and its line, from 1."""

_DELIMITERS: Final[Mapping[str, str]] = {".csv": ",", ".tsv": "\t"}


def table_rows(text: str, suffix: str) -> list[Numbered]:
    """The rows of a table.

    Args:
        text: The file's content.
        suffix: ``.csv``, ``.tsv`` or ``.jsonl``. Of the first two the header tells if they are separated by
            another of comma, semicolon and tab.

    Raises:
        ValueError: names the line, if a row has more or fewer cells than the header, a name or key stands
            twice, quotes are left open, or a line of JSONL is no object.
    """
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"line {line} has a zero byte: is it UTF-8 text?")
    if suffix == ".jsonl":
        return list(_jsonl(text))
    delimiter = _delimiter(text, _DELIMITERS[suffix])
    lines = list(_plain_lines(text)) if delimiter == "\t" else []
    # Without quotes a tab-separated line is what it looks like; only quoted tabs or line ends are in the way.
    even = len({len(cells) for _, cells in lines}) == 1
    return list(_named(_unquoted(lines) if even else _csv_lines(text, delimiter)))


def _jsonl(text: str) -> Iterator[Numbered]:
    # Lines end at a line feed only: `str.splitlines` would also cut at characters that stand in JSON text.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = load_json(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not an object")
        yield number, row


def _delimiter(text: str, own: str) -> str:
    header = next((line for line in io.StringIO(text) if line.strip()), "")
    others = [d for d in ",;\t" if d != own and d in header]
    return own if own in header or len(others) != 1 else others[0]


_Line: TypeAlias = tuple[int, list[str]]


def _csv_lines(text: str, delimiter: str) -> Iterator[_Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(f"line {number}: {error}: quotes inside a quoted cell are doubled") from error
        yield number, cells
        number = reader.line_num + 1


def _plain_lines(text: str) -> Iterator[_Line]:
    for number, line in enumerate(io.StringIO(text), 1):
        if line.strip():
            yield number, line.rstrip("\r\n").split("\t")


def _unquoted(lines: Iterable[_Line]) -> list[_Line]:
    """The quotes around cells are a writer's if all that begin with one are whole; else they are text."""
    known = list(lines)
    quoted = [cell for _, cells in known for cell in cells if cell.startswith('"')]
    inside = [cell[1:-1].replace('""', "") for cell in quoted]
    if not all(len(c) > 1 and c.endswith('"') and '"' not in i for c, i in zip(quoted, inside, strict=True)):
        return known
    return [
        (n, [c[1:-1].replace('""', '"') if c.startswith('"') else c for c in cells]) for n, cells in known
    ]


def _named(lines: Iterable[_Line]) -> Iterator[Numbered]:
    header: list[str] | None = None
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue  # what a spreadsheet leaves below its last row
        if header is None:
            header = [cell.strip() for cell in cells]
            twice = [name for name in header if name and header.count(name) > 1]
            if twice:
                raise ValueError(f"two columns are called {twice[0]!r}")
            continue
        if len(cells) != len(header):
            why = "; a cell with a comma is written in quotes" if len(cells) > len(header) else ""
            raise ValueError(
                f"line {number} has {len(cells)} cells, the header {len(header)} ({', '.join(header)}){why}"
            )
        yield number, dict(zip(header, cells, strict=True))

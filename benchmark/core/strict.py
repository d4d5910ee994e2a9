"""Files that people write, read strictly: JSON, YAML, CSV, TSV and JSONL.

Every key stands once, because of two values of a key parsers take the last in silence; every cell of a table
is somebody's, or the row is named and refused.
"""

import csv
import io
import json
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    import yaml

Numbered: TypeAlias = tuple[int, dict[str, Any]]
"""A row and its line, from 1."""

_DELIMITERS: Final[Mapping[str, str]] = {".csv": ",", ".tsv": "\t"}


class _DuplicateKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} stands twice")
        self.key = key


def load_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: if it is no JSON, is nested too deeply, or a key stands twice in one object.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except _DuplicateKeyError as error:
        raise ValueError(f"{error}{_place(text, error.key)}") from error


def load_yaml(text: str) -> Any:
    """The value of a YAML text, with the numbers of YAML 1.2: ``1e-5`` is one, ``010`` is ten.

    Raises:
        ValueError: if it is no YAML, or a key stands twice in one mapping; names the line.
    """
    import yaml

    try:
        return yaml.load(text, _loader())  # noqa: S506  # a SafeLoader
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except yaml.YAMLError as error:
        raise ValueError(_reason(error)) from error


def _reason(error: "yaml.YAMLError") -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"line {mark.line + 1}: {problem}" if mark and problem else " ".join(str(error).split())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKeyError(next(key for key in keys if keys.count(key) > 1))
    return found


def _place(text: str | bytes, key: str) -> str:
    """The line of a key's second place, where the text has several lines and the key no third place."""
    words = text if isinstance(text, str) else text.decode(errors="replace")
    if "\n" not in words.strip():
        return ""
    places = [found.start() for found in re.finditer(re.escape(json.dumps(key)) + r"\s*:", words)]
    return f" (line {words.count(chr(10), 0, places[1]) + 1})" if len(places) == 2 else ""


@cache
def _loader() -> "type[yaml.SafeLoader]":
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            # Here `<<` is not merged yet: a mapping may overrule what it takes from another.
            seen: set[str] = set()
            for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        raise yaml.constructor.ConstructorError(
                            None, None, f"the key {key.value!r} stands twice", key.start_mark
                        )
                    seen.add(key.value)
            merged: dict[Hashable, Any] = super().construct_mapping(node, deep)
            return merged

    def whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
        text = str(loader.construct_scalar(node))
        return int(text, 0 if text.lstrip("+-")[:2].lower() in ("0x", "0o") else 10)

    numbers = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in numbers]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(
        numbers[0], re.compile(r"[-+]?[0-9]+$|0x[0-9a-fA-F]+$|0o[0-7]+$"), list("-+0123456789")
    )
    Loader.add_implicit_resolver(
        numbers[1],
        re.compile(
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
        ),
        list("-+.0123456789"),
    )
    Loader.add_constructor(numbers[0], whole)
    return Loader


# --- tables ---------------------------------------------------------------------------------------


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

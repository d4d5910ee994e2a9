"""Prompts from a file: one a line, a CSV, or JSONL rows ``{id, text, tags, style, facts}``.

A row may also name an attribute that its prompt leaves open; see ``attributes.py``.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_bytes
from benchmark.core.records import Prompt, PromptSet
from benchmark.prompt_sets.attributes import attribute_of

Row = Mapping[str, Any]


def read_prompt_file(path: Path) -> PromptSet:
    """A file of prompts; only the text is needed, under ``text`` or ``prompt``.

    Raises:
        UserError: if the file is missing, unreadable, holds no prompt, or one id twice.
    """
    read = _READERS.get(path.suffix.lower())
    if not path.is_file():
        raise MissingFileError(path, "prompt file")
    if read is None:
        raise UserError(f"cannot tell the format of {path}", allowed=", ".join(SUFFIXES))
    data = path.read_bytes()
    digest = sha256_bytes(data)
    try:
        prompts = tuple(_prompt(row, place) for place, row in enumerate(read(data.decode("utf-8-sig"))))
        if not prompts:
            raise ValueError("it holds no prompt")
        # A user's file has no version of its own, so its content is one.
        return PromptSet(path.stem, digest[:8], prompts, digest, source=path.name)
    except (ValueError, csv.Error) as error:
        raise UnreadableFileError(path, "prompts", error) from error


def _prompt(row: Row, place: int) -> Prompt:
    text = row.get("text", row.get("prompt"))
    if not isinstance(text, str):
        raise ValueError(f"prompt {place + 1} has no `text` or `prompt`; it has {', '.join(map(str, row))}")
    # Half an emoji, as programs leave it that cut at a length, is no text for any tokenizer.
    text.encode()
    tags = row.get("tags") or ()
    facts = row.get("facts")
    return Prompt(
        id=str(row.get("id") or f"{place:04d}"),
        text=text.strip(),
        tags=tuple(tags.replace(";", " ").split() if isinstance(tags, str) else map(str, tags)),
        style=row.get("style") or None,
        facts_json=json.dumps(facts, sort_keys=True) if facts is not None else "",
        attribute=attribute_of(row, text.strip()),
    )


# Lines end at a line feed only: `str.splitlines` would also cut at characters that stand in JSON text.


def _text_rows(content: str) -> list[Row]:
    return [{"text": line} for line in content.split("\n") if line.strip()]


def _csv_rows(content: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(content, newline="")))


def _jsonl_rows(content: str) -> list[Row]:
    return [_json_row(line, number) for number, line in enumerate(content.split("\n"), 1) if line.strip()]


def _json_row(line: str, number: int) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"line {number} is not an object")
    return row


_READERS: dict[str, Callable[[str], list[Row]]] = {
    ".txt": _text_rows,
    ".csv": _csv_rows,
    ".jsonl": _jsonl_rows,
}
SUFFIXES = tuple(_READERS)

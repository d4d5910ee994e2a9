"""Prompts from a file: one a line, a table (CSV, TSV, JSONL, parquet), or a JSON list.

A row is ``{id, text, tags, style, facts}``, the names in any case; only the text is needed, which may be
called ``prompt``, ``prompts`` or ``caption``. ``category``, ``challenge`` and ``tag`` become tags. A row may
also name an attribute that its prompt leaves open:

    {"id": "apple", "text": "an apple", "attribute": "colour", "values": ["red", "green", "yellow"],
     "template": "a {value} apple"}

`template` is a text, or several; without one it is the prompt, a comma and the value.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_bytes
from benchmark.core.records import OpenAttribute, Prompt, PromptSet
from benchmark.core.strict import Numbered, load_json, table_rows

TEXT_COLUMNS: Final = ("text", "prompt", "caption", "prompts")
"""Where a prompt's text may stand, the first that is there."""
TAG_COLUMNS: Final = ("category", "challenge", "tag")
"""Columns that are one tag each."""
VALUE: Final = "{value}"
"""Where a template has the value of an open attribute."""
SUFFIXES: Final = (".txt", ".csv", ".tsv", ".jsonl", ".json", ".parquet")


def read_prompt_file(path: Path, column: str | None = None) -> PromptSet:
    """A file of prompts.

    Args:
        path: The file; its ending tells the format.
        column: Where the texts stand; None: the first of `TEXT_COLUMNS` that is there.

    Raises:
        UserError: if the file is missing, unreadable, holds no prompt, one id twice, or no such column.
    """
    data = read_bytes(path)
    digest = sha256_bytes(data)
    try:
        prompts = prompts_of(file_rows(path, data), column)
        # A user's file has no version of its own, so its content is one.
        return PromptSet(path.stem, digest[:8], prompts, digest, source=path.name)
    except ValueError as error:
        raise UnreadableFileError(path, "prompts", error) from error


def read_bytes(path: Path) -> bytes:
    """The content of a file of prompts.

    Raises:
        UserError: if there is none, or its ending is no format of prompts.
    """
    if not path.is_file():
        raise MissingFileError(
            path,
            "prompt file",
            allowed=f"a file that ends in {', '.join(SUFFIXES)}",
            do="name one that is there, or a set that `fbench list prompts` shows",
        )
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"cannot tell the format of {path}", allowed=", ".join(SUFFIXES))
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(path, "prompts", error.strerror or error) from error


def file_rows(path: Path, data: bytes) -> list[Numbered]:
    """The rows of a file with their numbers from 1, column names in lower case.

    Raises:
        ValueError: if it is not of the format that its ending says, or has a column in two spellings.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        rows = _parquet_rows(path)
    elif suffix == ".json":
        rows = list(_json_rows(load_json(data.decode("utf-8-sig"))))
    elif suffix == ".txt":
        # Lines end at a line feed only: `str.splitlines` would also cut at rarer characters.
        lines = enumerate(data.decode("utf-8-sig").split("\n"), 1)
        rows = [(number, {"text": line}) for number, line in lines if line.strip()]
        if any("\0" in row["text"] for _, row in rows):
            raise ValueError("it has a zero byte: is it UTF-8 text?")
    else:
        rows = table_rows(data.decode("utf-8-sig"), suffix)
    return [(number, _lower(row, number)) for number, row in rows]


def prompts_of(rows: Iterable[Numbered], column: str | None = None) -> tuple[Prompt, ...]:
    """The prompts of rows, in order.

    Raises:
        ValueError: if there is none, or a row is no prompt; names it.
    """
    found = tuple(_prompt(row, place, number, column) for place, (number, row) in enumerate(rows))
    if not found:
        raise ValueError("it holds no prompt")
    return found


def _prompt(row: Mapping[str, Any], place: int, number: int, column: str | None) -> Prompt:
    names = (column.lower(),) if column else TEXT_COLUMNS
    text = next((row[name] for name in names if row.get(name) is not None), None)
    if not isinstance(text, str):
        has = ", ".join(map(str, row)) or "nothing"
        wanted = f"`{column}`" if column else "`text`, `prompt` or `caption`"
        raise ValueError(f"prompt {place + 1} has no {wanted}; it has {has}; --prompt-column names another")
    if not text.strip():
        raise ValueError(f"prompt {place + 1} (line {number}) has no text")
    tags, style, facts = row.get("tags") or [], row.get("style") or None, row.get("facts")
    if not isinstance(tags, str | list):
        raise ValueError(f"prompt {place + 1} (line {number}) has tags that are neither a text nor a list")
    if not isinstance(style, str | None):
        raise ValueError(f"prompt {place + 1} (line {number}) has a style that is no text")
    named = [
        slug(str(row[name])) for name in TAG_COLUMNS if row.get(name) not in (None, "") and name not in names
    ]
    return Prompt(
        id=str(row.get("id") or f"{place:04d}"),
        text=text.strip(),
        tags=(
            *(tags.replace(";", " ").split() if isinstance(tags, str) else map(str, tags)),
            *filter(None, named),
        ),
        style=style,
        facts_json=json.dumps(facts, sort_keys=True) if facts is not None else "",
        attribute=attribute_of(row, text.strip()),
    )


def attribute_of(row: Mapping[str, Any], text: str) -> OpenAttribute | None:
    """The open attribute of a row; None if it names none.

    Args:
        row: With ``attribute``, ``values`` and perhaps ``template``; values in one text are cut at ``;``.
        text: The prompt.

    Raises:
        ValueError: if one of the two is missing, a template has no place for the value, or the values are not
            two or more different ones.
    """
    name, values = row.get("attribute"), row.get("values")
    if not name and not values:
        return None
    if not name or not values:
        raise ValueError(f"prompt {text!r} has `{'attribute' if name else 'values'}` only; it needs both")
    if not isinstance(values, str | list):
        raise ValueError(f"the `values` of {text!r} are no list")
    cut = values.split(";") if isinstance(values, str) else values
    named = tuple(str(value).strip() for value in cut)
    said = row.get("template") or f"{text}, {VALUE}"
    if not isinstance(said, str | list):
        raise ValueError(f"the `template` of {text!r} is neither a text nor a list of texts")
    templates = [said] if isinstance(said, str) else [str(template) for template in said]
    for template in templates:
        if VALUE not in template:
            raise ValueError(f"the template {template!r} has no {VALUE}")
    texts = tuple(tuple(fill(template, value) for template in templates) for value in named)
    return OpenAttribute(str(name), named, texts)


def fill(template: str, value: str) -> str:
    """The template with the value in its place; an article before it follows its first letter.

    >>> fill("a {value} apple", "orange"), fill("an {value} car", "red")
    ('an orange apple', 'a red car')
    """
    article = "an" if value[:1].lower() in tuple("aeiou") else "a"
    fitting = re.sub(r"\b[aA]n?(?= \{value\})", lambda m: _like(m[0], article), template)
    return fitting.replace(VALUE, value)


def _like(old: str, new: str) -> str:
    return new.capitalize() if old[0].isupper() else new


def slug(words: str) -> str:
    """A category as a tag.

    Example:
        >>> slug("Food & Beverage")
        'food-beverage'
    """
    return re.sub(r"[^\w.]+", "-", words.lower()).strip("-")


def _lower(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        key = name.strip().lower()
        if key and key in found:
            raise ValueError(f"line {number} has {name!r} in two spellings")
        found[key] = value
    return found


def _json_rows(content: Any) -> Iterable[Numbered]:
    """A list of texts or objects, or ``{style: texts}`` with the style as a tag."""
    if isinstance(content, dict) and all(isinstance(texts, list) for texts in content.values()):
        entries = [(text, style) for style, texts in content.items() for text in texts]
    elif isinstance(content, list):
        entries = [(text, "") for text in content]
    else:
        raise ValueError("it is neither a list of prompts nor {style: texts}")
    for number, (entry, style) in enumerate(entries, 1):
        row = {"text": entry} if isinstance(entry, str) else entry
        if not isinstance(row, dict):
            raise ValueError(f"entry {number} is neither a text nor an object")
        yield number, {**row, "category": style} if style else row


def _parquet_rows(path: Path) -> list[Numbered]:
    """The rows of a parquet file; columns that are nobody's, such as images, are not read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            flat = [
                field.name for field in file.schema_arrow
                if not pa.types.is_struct(field.type) and not pa.types.is_binary(field.type)
                and not pa.types.is_large_binary(field.type)
            ]  # fmt: skip
            if twice := [name for name in flat if flat.count(name) > 1]:
                raise ValueError(f"two columns are called {twice[0]!r}")
            return list(enumerate(file.read(columns=flat).to_pylist(), 1))
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"it is no parquet: {error}") from error

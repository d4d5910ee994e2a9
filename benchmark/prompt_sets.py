"""Prompt sets: the committed ones, other packages', and a user's own text, CSV or JSONL file.

A committed set is two files in ``prompts/``: ``NAME.jsonl`` with a row ``{id, text, tags, style, facts}`` a
prompt (only ``text`` is needed), and a card ``NAME.json`` with ``{version, source, licence, sha256, description}``.
To add one, add those two files; for one that needs code, register a function that returns a ``PromptSet``.
"""

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmark.core import resources
from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.records import Prompt, PromptSet
from benchmark.core.registry import Registry
from benchmark.core.store import read_json

registry: Registry[PromptSet] = Registry("prompt set", group="fbench.prompt_sets")

_FILES = (".txt", ".csv", ".jsonl")


def load_prompt_set(name: str, limit: int | None = None) -> PromptSet:
    """The prompt set that ``--prompts`` means: a registered name, or a text, CSV or JSONL file.

    Args:
        name: As typed.
        limit: Only the first so many prompts. The set's hash then is that of what is left, so that
            numbers of a part are never taken for numbers of the whole.

    Raises:
        UserError: for an unknown name, or a file that is missing or unreadable.
    """
    is_file = Path(name).suffix.lower() in _FILES or Path(name).is_file()
    prompts = read_prompt_file(Path(name)) if is_file else registry.create(name)
    if limit is None or limit >= len(prompts):
        return prompts
    if limit < 1:
        raise UserError(f"--limit is {limit}", allowed="a positive number")
    part = prompts.prompts[:limit]
    return PromptSet(
        prompts.name, f"{prompts.version}:{limit}", part, sha256_json(part), prompts.source, prompts.licence
    )


def read_prompt_file(path: Path) -> PromptSet:
    """A user's own prompts: one a line, a CSV with a column ``text`` or ``prompt``, or JSONL rows.

    Raises:
        UserError: if the file is missing, unreadable or holds no prompt.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise MissingFileError(path, "prompt file")
    if suffix not in _FILES:
        raise UserError(f"cannot tell the format of {path}", allowed=", ".join(_FILES))
    data = path.read_bytes()
    try:
        rows = _ROWS[suffix](data.decode("utf-8-sig"))
        prompts = _prompts(rows)
        if not prompts:
            raise ValueError("it holds no prompt")
        digest = sha256_bytes(data)
        return PromptSet(path.stem, digest[:8], prompts, digest, source=path.name)
    except (ValueError, csv.Error) as error:
        raise UnreadableFileError(path, "prompts", error) from error


def _prompts(rows: Iterable[Mapping[str, Any]]) -> tuple[Prompt, ...]:
    return tuple(_prompt(row, number) for number, row in enumerate(rows))


def _prompt(row: Mapping[str, Any], number: int) -> Prompt:
    text = row.get("text", row.get("prompt"))
    if not isinstance(text, str):
        raise ValueError(f"row {number + 1} has no `text` or `prompt`; it has {', '.join(map(str, row))}")
    tags = row.get("tags") or ()
    facts = row.get("facts")
    return Prompt(
        id=str(row.get("id") or f"{number:04d}"),
        text=text.strip(),
        tags=tuple(tags.replace(";", " ").split() if isinstance(tags, str) else map(str, tags)),
        style=row.get("style") or None,
        facts_json=json.dumps(facts, sort_keys=True) if facts is not None else "",
    )


def _text_rows(content: str) -> list[dict[str, Any]]:
    return [{"text": line} for line in content.splitlines() if line.strip()]


def _csv_rows(content: str) -> list[dict[str, Any]]:
    return [dict(row) for row in csv.DictReader(content.splitlines())]


def _jsonl_rows(content: str) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not an object")
        rows.append(row)
    return rows


_ROWS: dict[str, Callable[[str], list[dict[str, Any]]]] = {
    ".txt": _text_rows,
    ".csv": _csv_rows,
    ".jsonl": _jsonl_rows,
}


def _register_committed(card_path: Path) -> None:
    """Registers one committed set through the door that everyone uses; its rows are read when asked for."""
    card = read_json(card_path, "prompt set card")
    name = card_path.stem

    @registry.register(name, summary=f"{card['description']} [{card['licence']}]")
    def load() -> PromptSet:
        rows = card_path.with_suffix(".jsonl")
        found = read_prompt_file(rows)
        if found.sha256 != card["sha256"]:
            # Numbers are compared by name and version: prompts that changed must not keep both.
            raise UserError(
                f"{rows} has changed: its hash is {found.sha256}, its card says {card['sha256']}",
                do=f"restore it, or raise the version in {card_path}",
            )
        return PromptSet(
            name, str(card["version"]), found.prompts, found.sha256, card["source"], card["licence"]
        )


for _card in sorted(resources.prompts_folder().glob("*.json")):
    _register_committed(_card)

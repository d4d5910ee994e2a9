"""Prompt sets: the committed ones, published ones, other packages', and a user's own file.

To add one, add ``NAME.jsonl`` and its card ``NAME.json`` to ``prompts/`` (see ``committed.py``), or what is
known of a published one to ``known.py``; for one that needs code, register a function that returns a
``PromptSet``.
"""

import inspect
from pathlib import Path

from benchmark.core.calls import parse_call
from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.records import PromptSet
from benchmark.prompt_sets.base import registry
from benchmark.prompt_sets.files import SUFFIXES, read_prompt_file

__all__ = ["load_prompt_set", "read_prompt_file", "registry"]


def load_prompt_set(
    name: str, limit: int | None = None, column: str | None = None, *, offline: bool = False
) -> PromptSet:
    """The prompt set that ``--prompts`` means: a registered name, a file, or a folder with a published set.

    Args:
        name: As typed. A registered name comes before a folder of that name.
        limit: Only the first so many prompts. The set's version and hash then are those of a part, so that
            its numbers are never taken for numbers of the whole.
        column: Of a file: where the texts stand.
        offline: Forbid every network access.

    Raises:
        UserError: for an unknown name, or a file that is missing or unreadable.
    """
    if limit is not None and limit < 1:
        raise UserError(f"--limit is {limit}", allowed="a positive number")
    found = _found(name, column, offline=offline)
    if limit is None or limit >= len(found):
        return found
    part = found.prompts[:limit]
    version = f"{found.version}[:{limit}]"
    return PromptSet(found.name, version, part, sha256_json(part), found.source, found.licence)


def _found(name: str, column: str | None, *, offline: bool) -> PromptSet:
    path = Path(name).expanduser()
    if path.suffix.lower() in SUFFIXES or path.is_file():
        if column is not None:
            return read_prompt_file(path, column)
        from benchmark.prompt_sets.known import read_copy

        return read_copy(path) or read_prompt_file(path)
    if column is not None:
        raise UserError(f"--prompt-column is for a file of prompts, and {name} is none", do="leave it out")
    if path.is_dir() and name not in registry:
        from benchmark.prompt_sets.known import KNOWN, read_copy

        found = read_copy(path)
        if found is None:
            raise UserError(
                f"{path} holds no prompt set that is known by name",
                allowed=", ".join(known.name for known in KNOWN),
                do="name a file in it",
            )
        return found
    maker = registry.get(parse_call(name, registry.kind).name)
    takes = inspect.signature(maker).parameters
    return registry.create(name, **({"offline": offline} if "offline" in takes else {}))

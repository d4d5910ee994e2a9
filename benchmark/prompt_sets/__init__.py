"""Prompt sets: the committed ones, other packages', and a user's own text, CSV or JSONL file.

To add one, add ``NAME.jsonl`` and its card ``NAME.json`` to ``prompts/`` (see ``committed.py``); for one
that needs code, register a function that returns a ``PromptSet``.
"""

from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.records import PromptSet
from benchmark.core.registry import Registry
from benchmark.prompt_sets.files import SUFFIXES, read_prompt_file

__all__ = ["load_prompt_set", "read_prompt_file", "registry"]

registry: Registry[PromptSet] = Registry(
    "prompt set", group="fbench.prompt_sets", modules=("benchmark.prompt_sets.committed",)
)


def load_prompt_set(name: str, limit: int | None = None) -> PromptSet:
    """The prompt set that ``--prompts`` means: a registered name, or a text, CSV or JSONL file.

    Args:
        name: As typed.
        limit: Only the first so many prompts. The set's version and hash then are those of a part, so
            that its numbers are never taken for numbers of the whole.

    Raises:
        UserError: for an unknown name, or a file that is missing or unreadable.
    """
    if limit is not None and limit < 1:
        raise UserError(f"--limit is {limit}", allowed="a positive number")
    is_file = Path(name).suffix.lower() in SUFFIXES or Path(name).is_file()
    found = read_prompt_file(Path(name)) if is_file else registry.create(name)
    if limit is None or limit >= len(found):
        return found
    part = found.prompts[:limit]
    version = f"{found.version}[:{limit}]"
    return PromptSet(found.name, version, part, sha256_json(part), found.source, found.licence)

"""Registers the sets in ``prompts/``: ``NAME.jsonl`` with the prompts, ``NAME.json`` with the card.

The card states ``version``, ``source``, ``licence``, the ``sha256`` of the JSONL file and a ``description``.
"""

from pathlib import Path

from pydantic import BaseModel, ValidationError

from benchmark.core import resources, store
from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.records import PromptSet
from benchmark.prompt_sets.base import registry
from benchmark.prompt_sets.files import read_prompt_file


class Card(BaseModel):
    """What a set says about itself.

    Attributes:
        version: Raised whenever a prompt changes.
        source: Who wrote the prompts, and how.
        licence: Under which they may be used.
        sha256: Of the JSONL file.
        description: One line for ``fbench list prompts``.
    """

    version: int | str
    source: str
    licence: str
    sha256: str
    description: str = ""


def read_card(path: Path) -> Card:
    """The card of a set.

    Raises:
        UnreadableFileError: if something is not stated.
    """
    try:
        return Card.model_validate(store.read_json(path, "prompt set card"))
    except ValidationError as error:
        missing = ", ".join(str(item["loc"][-1]) for item in error.errors() if item["loc"])
        raise UnreadableFileError(path, "a prompt set's card", f"look at: {missing}") from error


def read_committed(card_path: Path) -> PromptSet:
    """The set that belongs to a card.

    Raises:
        UserError: if the prompts are not those that the card describes.
    """
    card = read_card(card_path)
    rows = card_path.with_suffix(".jsonl")
    found = read_prompt_file(rows)
    if found.sha256 != card.sha256:
        # Numbers are compared by name and version: prompts that changed must not keep both.
        raise UserError(
            f"{rows} has changed: its hash is {found.sha256}, its card says {card.sha256}",
            do=f"restore it, or raise the version in {card_path.name} and write the new hash there",
        )
    name = card_path.stem
    return PromptSet(name, str(card.version), found.prompts, found.sha256, card.source, card.licence)


def _register(card_path: Path) -> None:
    card = read_card(card_path)

    @registry.register(card_path.stem, summary=card.description or card.source)
    def load() -> PromptSet:
        return read_committed(card_path)


for _card_path in sorted(resources.prompts_folder().glob("*.json")):
    _register(_card_path)

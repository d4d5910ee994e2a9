"""What is asked for, and what people preferred."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from benchmark.core.hashing import sha256_json
from benchmark.core.records.base import Record


@dataclass(frozen=True)
class OpenAttribute(Record):
    """Something that a prompt leaves open, and what it may turn out to be.

    Attributes:
        name: Such as ``colour``.
        values: At least two, such as ``red`` and ``green``.
        texts: For each value the texts that describe an image of the prompt with it: ``a red apple``.
    """

    name: str
    values: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Refuses an attribute that cannot be read from an image."""
        super().__post_init__()
        if not self.name:
            raise ValueError("an open attribute has no name")
        if len(set(self.values)) < 2 or len(set(self.values)) < len(self.values):
            raise ValueError(f"the values of {self.name!r} must be two or more different ones")
        if len(self.texts) != len(self.values) or not all(self.texts):
            raise ValueError(f"each value of {self.name!r} needs a text")
        if len(set(self.texts)) < len(self.texts):
            raise ValueError(f"two values of {self.name!r} have the same text")
        _refuse_halves(self.name, *self.values, *chain.from_iterable(self.texts))


@dataclass(frozen=True)
class Prompt(Record):
    """One text that asks for images.

    Attributes:
        id: Unique within its set; it becomes part of file names.
        text: What the model reads.
        tags: What the prompt is about ("count", "relation"), for breakdowns.
        style: The style asked for, if the prompt names one.
        facts_json: What a world that knows the truth wrote beside the text, as JSON. Opaque to everyone else;
            text and not a dict, so that a prompt stays hashable.
        attribute: What the prompt leaves open, if its set says so.
    """

    id: str
    text: str
    tags: tuple[str, ...] = ()
    style: str | None = None
    facts_json: str = ""
    attribute: OpenAttribute | None = None

    def __post_init__(self) -> None:
        """Refuses what would collide in file names or make an empty request."""
        super().__post_init__()
        if not self.id or any(c in self.id for c in '/\\:*?"<>|\0') or self.id.startswith("."):
            raise ValueError(f"a prompt's id must be usable as a file name, not {self.id!r}")
        if not self.text.strip():
            raise ValueError(f"prompt {self.id!r} has no text")
        _refuse_halves(self.id, self.text, self.style or "", *self.tags)

    @property
    def content(self) -> str:
        """Hash of what scores depend on: of all but what the prompt is called and filed under."""
        return sha256_json([self.text, self.style, self.facts_json, self.attribute])[:16]

    @property
    def facts(self) -> Any:
        """The parsed facts, or None where the set states none."""
        return json.loads(self.facts_json) if self.facts_json else None


@dataclass(frozen=True)
class PromptSet(Record):
    """Prompts in a fixed order, with where they come from.

    Attributes:
        name: As in ``--prompts``.
        version: Raised whenever a prompt changes; part of every signature.
        prompts: The prompts; their ids are unique.
        sha256: Hash of the file they were read from.
        source: Who wrote them and where.
        licence: Under which they may be used.
    """

    name: str
    version: str
    prompts: tuple[Prompt, ...]
    sha256: str = ""
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Refuses two prompts under one id: their images would overwrite each other."""
        super().__post_init__()
        seen: set[str] = set()
        for prompt in self.prompts:
            # Some file systems do not tell upper from lower case.
            if prompt.id.lower() in seen:
                raise ValueError(f"prompt set {self.name}: two prompts have the id {prompt.id!r}")
            seen.add(prompt.id.lower())

    def __len__(self) -> int:
        """The number of prompts."""
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        """The prompts, in order."""
        return iter(self.prompts)

    @cached_property
    def by_id(self) -> dict[str, Prompt]:
        """The prompts by their id."""
        return {prompt.id: prompt for prompt in self.prompts}

    def suite(self, images_per_prompt: int, *, ragged: bool = False) -> str:
        """Its name and size, in words.

        Args:
            images_per_prompt: How many are made.
            ragged: Whether some prompts have fewer.
        """
        size = f"{len(self)} prompts x {'up to ' if ragged else ''}{images_per_prompt} images"
        return f"{self.name}@{self.version}: {size}"


def _refuse_halves(*words: str) -> None:
    """Refuses half an emoji, as programs leave it that cut at a length: no file and no tokenizer takes it.

    Raises:
        ValueError: if a word is not Unicode text; names it.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{word!a} holds half a character, a lone surrogate") from error


@dataclass(frozen=True)
class ImageRef:
    """Where an image is: a file, or one cell of a parquet file that holds encoded bytes.

    Attributes:
        path: The image or the parquet file.
        row: The row in the parquet file; None for an image file.
        column: The column in the parquet file, such as ``jpg_0``.
    """

    path: Path
    row: int | None = None
    column: str | None = None


@dataclass(frozen=True)
class PreferencePair:
    """Two images of one prompt, one of them preferred; references, never tensors.

    Attributes:
        prompt: The text both images were made for.
        preferred: The winner, w in the formulas.
        rejected: The loser, l in the formulas.
        weight: How much the pair counts in the loss; 1 unless the data says otherwise.
    """

    prompt: str
    preferred: ImageRef
    rejected: ImageRef
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuses weights that would turn a preference round or poison a batch."""
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"a pair's weight must be finite and not negative, not {self.weight}")

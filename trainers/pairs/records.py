"""What flows from the readers of preference data to the trainers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from benchmark.core.hashing import sha256_json
from benchmark.core.records import ImageRef, PreferencePair

Ties: TypeAlias = Literal["drop", "half"]
"""A tie is left out, or becomes both orders with half the weight each."""


@dataclass(frozen=True)
class Row:
    """A row as it was found: nothing is checked yet.

    Attributes:
        where: `file:number`.
        caption: Should be text.
        refs: Where the two images are.
        images: Their encoded bytes; text in place of bytes says why there are none.
        labels: Of the two images; should be numbers in [0, 1].
        weight: Should be a number of at least 0.
        why: What makes the row useless, where the reader knows already.
    """

    where: str
    caption: object = None
    refs: tuple[ImageRef, ...] = ()
    images: tuple[bytes | str, ...] = ()
    labels: tuple[object, object] = (None, None)
    weight: object = 1.0
    why: str = ""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used.

    Attributes:
        row: `file:number`; rows of parquet are counted from 0, lines of a listing from 1.
        why: In words.
    """

    row: str
    why: str


@dataclass(frozen=True)
class PairSet:
    """Pairs in a fixed order.

    Attributes:
        pairs: The pairs; images are references, never pixels.
        rows: Where each came from, `file:number`.
        digests: SHA-256 of the encoded winner and loser: equal images are encoded once.
    """

    pairs: tuple[PreferencePair, ...]
    rows: tuple[str, ...]
    digests: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.pairs)

    @cached_property
    def sha256(self) -> str:
        """Hash of captions, images, preferences and weights, whatever files they are spread over."""
        return sha256_json(
            [
                # A weight of 1 is not written: data without weights keeps the hash it always had.
                [p.prompt, *d] + ([p.weight] if p.weight != 1 else [])
                for p, d in zip(self.pairs, self.digests, strict=True)
            ]
        )

    def select(self, keep: Sequence[int]) -> "PairSet":
        """The pairs at some positions, in that order."""
        return PairSet(
            tuple(self.pairs[i] for i in keep),
            tuple(self.rows[i] for i in keep),
            tuple(self.digests[i] for i in keep),
        )


@dataclass(frozen=True)
class PreferenceData:
    """What a run learns from, and what it is watched on.

    Attributes:
        name: As given.
        train: The pairs to learn from.
        held_out: Pairs that are never learned from, of other captions; never ties.
        ties: Rows in which neither image was preferred.
        bad: Rows that cannot be used.
        read: Rows that were read, those included.
    """

    name: str
    train: PairSet
    held_out: PairSet
    ties: int = 0
    bad: tuple[BadRow, ...] = ()
    read: int = 0

    @property
    def sha256(self) -> str:
        """Hash of everything that is learned from."""
        return self.train.sha256

"""Rows of preference data as they are read, what makes one usable, and the pairs that trainers get."""

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Literal, TypeAlias

from benchmark.core import store
from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.records import ImageRef, PreferencePair

BAD_ROWS_FILE = "bad_rows.jsonl"

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


# --- what makes a row usable -----------------------------------------------------------------------


@dataclass(frozen=True)
class Checked:
    """A usable row.

    Attributes:
        caption: Not empty.
        images: The two encoded images.
        preferred: 0 or 1; None for a tie.
        weight: At least 0.
    """

    caption: str
    images: tuple[bytes, bytes]
    preferred: int | None
    weight: float


def checked(row: Row) -> Checked:
    """A row, if it can be used.

    Of an image only the header is read: whether all of it can be decoded shows when it is encoded.

    Raises:
        ValueError: says in a few words why it cannot.
    """
    if row.why:
        raise ValueError(row.why)
    preferred = _preferred(row.labels)
    first, second = (
        _image(ref.column or ref.path.name, i) for ref, i in zip(row.refs, row.images, strict=True)
    )
    if not isinstance(row.caption, str) or not row.caption.strip():
        empty = row.caption is None or isinstance(row.caption, str)
        raise ValueError("it has no caption" if empty else f"its caption is {_short(row.caption)}, not text")
    return Checked(row.caption, (first, second), preferred, _weight(row.weight))


def refuse_bad_rows(
    source: str, bad: Sequence[BadRow], total: int, max_share: float, folders: Sequence[Path] = ()
) -> None:
    """Lists the bad rows, and stops where they are too much of the data.

    Args:
        source: The data's name.
        bad: The bad rows.
        total: Rows that were read, those included.
        max_share: Share of them above which the data is refused.
        folders: Of the runs that the list is written for.

    Raises:
        UserError: names the first bad rows.
    """
    for folder in folders:
        write_bad_rows(folder, bad)
    if len(bad) > max_share * total:
        shown = ", ".join(f"{b.row} ({b.why})" for b in bad[:5]) + (" ..." if len(bad) > 5 else "")
        listed = f"; all of them are listed in {folders[0] / BAD_ROWS_FILE}" if folders else ""
        raise UserError(
            f"{len(bad)} of {total} rows of {source} are bad: {shown}{listed}",
            allowed=f"a share of {max_share:g}",
            do="mend them, or raise max_bad_share",
        )


def write_bad_rows(folder: Path, bad: Sequence[BadRow]) -> None:
    """Writes `bad_rows.jsonl` into a run's folder, one `{row, why}` a line; removes it if there are none."""
    path = folder / BAD_ROWS_FILE
    if bad:
        lines = [json.dumps({"row": b.row, "why": b.why}, ensure_ascii=False) for b in bad]
        store.write_text(path, "\n".join(lines) + "\n")
    else:
        path.unlink(missing_ok=True)


def _preferred(labels: tuple[object, object]) -> int | None:
    """0 or 1; None for a tie."""
    first, second = labels
    if not isinstance(first, int | float) or not isinstance(second, int | float):
        raise ValueError(f"labels are {_short(first)} and {_short(second)}, not numbers")
    if not (0 <= first <= 1 and 0 <= second <= 1):
        raise ValueError(f"labels are {first!r} and {second!r}, not numbers in [0, 1]")
    return None if first == second else int(second > first)


def _image(name: str, data: bytes | str) -> bytes:
    from PIL import Image

    if isinstance(data, str):
        raise ValueError(data)
    if not data:
        raise ValueError(f"{name} is empty")
    try:
        with warnings.catch_warnings():
            # A picture of more pixels than Pillow likes is refused where it would be decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.open(BytesIO(data)).close()
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name} is too large: a decompression bomb") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{name} is no image") from error
    return data


def _weight(weight: object) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise ValueError(f"its weight is {_short(weight)}, not a number")
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"its weight is {weight!r}, not finite and at least 0")
    return float(weight)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

"""From `--data` to checked pairs: what is learned from, and what is held out."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_bytes
from benchmark.core.records import PreferencePair
from benchmark.core.words import number_of
from trainers.pairs.hub import Hub
from trainers.pairs.records import (
    BadRow,
    Checked,
    PairSet,
    PreferenceData,
    Row,
    Ties,
    checked,
    refuse_bad_rows,
)
from trainers.pairs.sources import DataFile, find_source

MAX_HELD_OUT_SHARE = 0.1


def load_pairs(
    source: str,
    *,
    held_out: int = 64,
    max_bad_share: float = 0.01,
    ties: Ties = "drop",
    limit: int | None = None,
    offline: bool = False,
    runs: Sequence[Path] = (),
    hub: Hub | None = None,
) -> PreferenceData:
    """Reads preference data and checks every row.

    Where no file is named as held out, pairs are set aside by the hash of their caption, so that no caption
    is on both sides: the same ones on every machine, at most a tenth of all.

    Args:
        source: A data set's name, a file, a folder, or a hub id; see `find_source`.
        held_out: How many held-out pairs are wanted.
        max_bad_share: Share of bad rows above which the data is refused.
        ties: `drop`, or `half`: learned from in both orders, with half the weight each.
        limit: Read no more pairs than so many to learn from; of the hub, then, no more shards either.
        offline: Forbid every network access.
        runs: Folders of runs; the bad rows are listed there in `bad_rows.jsonl`.
        hub: Instead of the real one.

    Raises:
        UserError: if there is no such data, it lacks a column, or too much of it is bad.
    """
    files = find_source(source, offline=offline, hub=hub)
    reader = _Reader()
    train = reader.read(files.train, ties, limit)
    watched = reader.read(files.held_out, "drop", held_out)
    refuse_bad_rows(source, reader.bad, reader.total, max_bad_share, runs)
    if not files.held_out:
        train, watched = _set_aside(train, min(held_out, int(MAX_HELD_OUT_SHARE * len(train))))
        # A tie says nothing about a policy: the held-out loss is that of the pairs with a winner.
        watched = watched.select([i for i, row in enumerate(watched.rows) if row not in reader.tied])
    if not train:
        raise UserError(
            f"{source} has no pair to learn from: {number_of(reader.total, 'row')}, "
            f"of them {number_of(len(reader.tied), 'tie')}"
        )
    return PreferenceData(source, train, watched, len(reader.tied), tuple(reader.bad), reader.total)


class _Reader:
    """Reads files, and keeps count of what could not be used."""

    def __init__(self) -> None:
        self.total = 0
        self.tied: set[str] = set()
        self.bad: list[BadRow] = []

    def read(self, files: Iterable[DataFile], ties: Ties, limit: int | None) -> PairSet:
        """The pairs of some files, at most so many."""
        pairs: list[PreferencePair] = []
        rows: list[str] = []
        digests: list[tuple[str, str]] = []
        if limit == 0:
            return PairSet((), (), ())
        for row in (row for file in files for row in file.rows()):
            self.total += 1
            try:
                found = checked(row)
            except ValueError as error:
                self.bad.append(BadRow(row.where, str(error)))
                continue
            for pair, both in self._orders(row, found, ties):
                pairs.append(pair)
                rows.append(row.where)
                digests.append(both)
            if limit is not None and len(pairs) >= limit:
                break
        return PairSet(tuple(pairs), tuple(rows), tuple(digests))

    def _orders(self, row: Row, found: Checked, ties: Ties) -> list[tuple[PreferencePair, tuple[str, str]]]:
        """The pairs a row gives: one; for a tie none, or both orders with half the weight each."""
        if found.preferred is None:
            self.tied.add(row.where)
        orders = [found.preferred] if found.preferred is not None else ([0, 1] if ties == "half" else [])
        weight = found.weight * (0.5 if found.preferred is None else 1.0)
        hashes = [sha256_bytes(image) for image in found.images] if orders else []
        return [
            (
                PreferencePair(found.caption, row.refs[winner], row.refs[1 - winner], weight),
                (hashes[winner], hashes[1 - winner]),
            )
            for winner in orders
        ]


def _set_aside(pairs: PairSet, wanted: int) -> tuple[PairSet, PairSet]:
    """Splits off about `wanted` pairs by caption: those whose captions have the lowest hashes."""
    by_hash = sorted(range(len(pairs)), key=lambda i: sha256_bytes(pairs.pairs[i].prompt.encode()))
    captions = {pairs.pairs[i].prompt for i in by_hash[:wanted]}
    watched = [i for i, p in enumerate(pairs.pairs) if p.prompt in captions]
    if len(watched) > max(wanted, MAX_HELD_OUT_SHARE * len(pairs)):  # one caption for half the data
        watched = []
    chosen = set(watched)
    return pairs.select([i for i in range(len(pairs)) if i not in chosen]), pairs.select(watched[:wanted])

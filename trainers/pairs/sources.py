"""What `--data` means: an embedded set, parquet, a listing, or a data set of the hub."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from benchmark.core import resources
from benchmark.core.console import notice
from benchmark.core.errors import MissingFileError, UnknownNameError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.image_files import counted, find_images
from benchmark.core.known_hashes import known_sha256
from benchmark.core.registry import normalise
from trainers.pairs.hub import Hub, HubClient, HubName
from trainers.pairs.listing import NAMES, listing_rows
from trainers.pairs.parquet import holds_its_images, parquet_rows
from trainers.pairs.records import Row

HELD_OUT_NAMES = ("heldout", "held_out", "validation")
"""Files and folders with these beginnings hold the held-out pairs; `test*` is never read."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+?)?(:\w+)?")
_SUFFIXES = (".parquet", ".jsonl", ".json")
_ALLOWED = (
    "a name, a .parquet, .jsonl or .json file, a folder of them, or a hub id owner/name[@revision][:split]"
)


@dataclass(frozen=True)
class DataFile:
    """A file of rows.

    Attributes:
        name: In messages: its path below the source.
        fetch: Where it is; a file of the hub is downloaded when it is asked for.
        revision: Of a file of the hub the commit, by which its content is known without fetching it.
    """

    name: str
    fetch: Callable[[], Path]
    revision: str = ""

    def rows(self) -> Iterator[Row]:
        """Its rows, unchecked."""
        path = self.fetch()
        suffix = path.suffix.lower()
        if suffix not in _SUFFIXES:
            raise UserError(f"cannot tell the format of {path}", allowed=_ALLOWED)
        return parquet_rows(path, self.name) if suffix == ".parquet" else listing_rows(path, self.name)

    def sha256(self) -> str:
        """Hash of its bytes, and of the images that it only names; nothing is decoded.

        Raises:
            UserError: if it cannot be read.
        """
        if self.revision:
            return sha256_json([self.revision, self.name])
        path = self.fetch()
        named: list[str] = []
        if not holds_its_images(path):
            images = (image for row in self.rows() for image in row.images)
            named = [sha256_bytes(image) if isinstance(image, bytes) else "" for image in images]
        try:
            return sha256_json([known_sha256(path), *named])
        except OSError as error:
            raise UnreadableFileError(path, "preference data", error) from error


@dataclass(frozen=True)
class Source:
    """The files of some preference data, in the order they are read.

    Attributes:
        train: Pairs to learn from.
        held_out: Pairs set aside by who made the data; may be empty.
    """

    train: tuple[DataFile, ...]
    held_out: tuple[DataFile, ...] = ()

    def sha256(self) -> str:
        """Hash of all files in the order they are read, whatever they are called."""
        return sha256_json([[file.sha256() for file in part] for part in (self.train, self.held_out)])


def find_source(text: str, *, offline: bool = False, hub: Hub | None = None) -> Source:
    """Finds preference data; of the hub only the list of files is fetched.

    A path that is there comes first, then an embedded set's name, then the hub.

    Args:
        text: As given to `--data`.
        offline: Forbid every network access.
        hub: Instead of the real one.

    Raises:
        UserError: if there is nothing of the kind; names the close matches.
    """
    path = Path(text).expanduser()
    if path.exists():
        return _local(path)
    known = embedded_sets()
    if normalise(text) in known:
        return _local(known[normalise(text)])
    if _HUB_ID.fullmatch(text) and path.suffix.lower() not in _SUFFIXES:
        return _on_hub(HubName.parse(text), hub or HubClient(offline=offline))
    if path.suffix or len(path.parts) > 1:
        do = "name one that is there, or make it: `fbench pairs`"
        raise MissingFileError(path, "preference data", allowed=_ALLOWED, do=do)
    raise UnknownNameError(
        "preference data",
        text,
        [p.name.removesuffix(".parquet") for p in known.values()],
        do=f"or {_ALLOWED}",
    )


def embedded_sets() -> dict[str, Path]:
    """The data sets of the embedded world, by name: folders, and parquet files of their own."""
    try:
        there = [p for p in resources.shapes_data().iterdir() if p.is_dir() or p.suffix == ".parquet"]
    except MissingFileError:
        return {}  # a checkout whose data has not been made yet
    return {normalise(p.name.removesuffix(".parquet")): p for p in there}


def is_embedded(text: str) -> bool:
    """Whether `find_source` takes a text for a data set of the embedded world."""
    return not Path(text).expanduser().exists() and normalise(text) in embedded_sets()


def _local(path: Path) -> Source:
    if path.is_file():
        return Source((_file(path, path.name),))
    there = [f for f in find_images(path).others if f.suffix.lower() in _SUFFIXES]
    files = [f for f in there if f.suffix.lower() == ".parquet"]
    if not files:
        files = [path / name for name in NAMES if path / name in there][:1]
        beside = [
            f for f in there if f.parent == path and f.suffix.lower() == ".jsonl" and f.name not in NAMES
        ]
        files += [f for f in beside if _part(f.name) != "train"]
    if not files:
        raise UserError(
            f"no preference data in {path}",
            allowed=f"a folder of .parquet files, or of images with a {' or '.join(NAMES)}",
        )
    names = {f: f.relative_to(path).as_posix() for f in there}
    unread = [f for f in there if f not in files or _part(names[f]) == "never read"]
    notice(counted(unread, path, "is not read", "are not read"))
    return _split([_file(f, f.relative_to(path).as_posix()) for f in files])


def _file(path: Path, name: str) -> DataFile:
    return DataFile(name, lambda: path)


def _split(files: Sequence[DataFile]) -> Source:
    parts = [(_part(f.name), f) for f in files]
    return Source(
        tuple(f for part, f in parts if part == "train"), tuple(f for part, f in parts if part == "held out")
    )


def _part(name: str) -> str:
    """Which part of the data a file belongs to, by its name or a folder's."""
    for piece in PurePath(name).parts:
        if piece.startswith(("test", ".")):
            return "never read"
        if piece.startswith(HELD_OUT_NAMES):
            return "held out"
    return "train"


def _on_hub(name: HubName, hub: Hub) -> Source:
    listing = hub.listing(name)
    shards = [f for f in sorted(listing.files) if f.endswith(".parquet")]
    if not shards:
        raise UserError(
            f"the data set {name} of the hub has no parquet files",
            allowed="parquet with the columns of Pick-a-Pic",
            do="download it and write a listing of its pairs",
        )
    if name.split:
        splits = sorted({split for shard in shards for split in _splits(shard)})
        chosen = [shard for shard in shards if name.split in _splits(shard)]
        if not chosen:
            raise UnknownNameError(f"split of {name.repository}", name.split, splits)
        if name.split != "train":
            return Source(tuple(_shard(shard, name, listing.revision, hub) for shard in chosen))
        shards = chosen + [shard for shard in shards if _part(shard) == "held out"]
    return _split([_shard(shard, name, listing.revision, hub) for shard in shards])


def _shard(file: str, name: HubName, revision: str, hub: Hub) -> DataFile:
    return DataFile(file, lambda: hub.fetch(name, revision, file), f"{name.repository}@{revision}")


def _splits(file: str) -> Iterable[str]:
    """The splits a shard may belong to: `data/train-00000-of-00645.parquet`, `default/train/0000.parquet`."""
    path = PurePath(file)
    return {*path.parts[:-1], re.sub(r"-\d+-of-\d+.*", "", path.stem)}

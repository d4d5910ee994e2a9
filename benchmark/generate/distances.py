"""The path KL of one checkpoint's images, kept beside them: what is there already is not measured again.

EVAL/distances/<checkpoint-id>/path_kl.parquet, one file for each process that writes: a row for each prompt
and k, with a key that is the hash of everything that decides the number. The files are sealed.
"""

import math
import time
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmark.core import hashing, store
from benchmark.core.errors import UnreadableFileError
from benchmark.core.records import ImageRecord, ImageSet
from benchmark.core.sealed import read_sealed, sealed_file
from benchmark.generate.index import image_key
from benchmark.generate.progress import Progress
from benchmark.generate.seeds import Shard, image_seed

if TYPE_CHECKING:
    from benchmark.models.families.base import Pipeline

FOLDER: Final = "distances"
_COLUMNS: Final = ("prompt_id", "k", "key", "nats")
_SECONDS_BETWEEN_WRITES: Final = 5.0
_ALL: Final = Shard()
Key = tuple[str, int, str]


def with_distances(
    images: ImageSet,
    policy: "Pipeline",
    reference: "Pipeline",
    folder: Path,
    *,
    shard: Shard = _ALL,
    progress: Progress | None = None,
) -> ImageSet:
    """The set with the `path_kl` of each image; of the reference's own images it is 0.

    A path starts from the noise of its image, so that distances are paired across checkpoints as images are.
    It is not the path the image came by, which was guided and usually without noise.

    Args:
        images: Of one checkpoint.
        policy: That checkpoint, loaded.
        reference: The base model.
        folder: The evaluation's.
        shard: As the images were made.
        progress: Told what is there, after each path.

    Raises:
        NotComparableError: if policy and reference differ in their noise schedules.
    """
    if policy is reference:
        return replace(images, records=tuple(replace(record, path_kl=0.0) for record in images))
    keys = {record: _key(record, images, reference) for record in images.ok}
    kept = _Kept(folder / FOLDER / images.checkpoint.id, shard.suffix)
    found = {record: kept.nats[key] for record, key in keys.items() if key in kept.nats}
    missing = [record for record in images.ok if record not in found]
    tell = progress or _silence
    tell(len(found), len(images.ok))
    try:
        for record, nats in zip(missing, _measured(missing, images, policy, reference), strict=True):
            found[record] = nats
            kept.add(keys[record], nats)
            tell(len(found), len(images.ok))
    finally:
        # Also on Ctrl-C: what has been measured is then found by the next call.
        kept.write()
    return replace(images, records=tuple(replace(record, path_kl=found.get(record)) for record in images))


def _measured(
    missing: list[ImageRecord], images: ImageSet, policy: "Pipeline", reference: "Pipeline"
) -> "map[float]":
    from benchmark.generate.path_kl import path_kl

    texts = [images.prompt(record).text for record in missing]
    seeds = [image_seed(images.sampler, text, r.seed) for text, r in zip(texts, missing, strict=True)]
    return map(float, chain.from_iterable(path_kl(policy, reference, texts, seeds, images.sampler)))


def _key(record: ImageRecord, images: ImageSet, reference: "Pipeline") -> Key:
    decides = image_key(images.checkpoint, images.prompt(record).text, record.seed, images.sampler)
    return record.prompt_id, record.seed, hashing.sha256_json([decides, reference.revision])[:24]


class _Kept:
    """What was measured of one checkpoint.

    Args:
        place: Its folder.
        suffix: Tells this process's file from the others'.
    """

    def __init__(self, place: Path, suffix: str) -> None:
        self._file = place / f"path_kl{suffix}.parquet"
        self._own = _read(self._file)
        self.nats = dict(self._own)
        for file in sorted(place.glob("path_kl*.parquet")):
            self.nats |= _read(file)
        self._written = time.monotonic()

    def add(self, key: Key, nats: float) -> None:
        """Keeps a number; one that is not finite becomes an error row, and is measured again next time."""
        if math.isfinite(nats):
            self._own[key] = nats
        if time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        """Writes the file, whole or not at all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._own:
            rows = [dict(zip(_COLUMNS, (*key, nats), strict=True)) for key, nats in sorted(self._own.items())]
            with sealed_file(self._file) as temporary:
                pq.write_table(pa.Table.from_pylist(rows), temporary)
        self._written = time.monotonic()


def _read(file: Path) -> dict[Key, float]:
    """A file's content; one that is damaged only costs the time to measure again."""
    try:
        rows = store.read_parquet(file, _COLUMNS, read_sealed(file, "kept distances")).to_pylist()
    except UnreadableFileError:
        return {}
    return {(row["prompt_id"], row["k"], row["key"]): row["nats"] for row in rows}


def _silence(done: int, total: int) -> None:
    """Nobody asked."""

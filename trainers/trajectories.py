"""Stored walks of the sampler, for the estimator `transition`: written once, mapped into memory.

DATA/trajectories.json   what they are, and where: a folder of
part-00000.npy ...       (images, steps + 1, C, H, W) in float32

Which image a walk ended in is told by the hash of the encoded image, so a walk finds its pairs whatever file
they are in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from benchmark.core import store
from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_file, sha256_json
from benchmark.core.sealed import is_whole, sealed_file
from benchmark.models.families.base import Pipeline
from benchmark.models.steps import TransitionSteps
from trainers.pairs import PairSet, Source

RECORD: Final = "trajectories.json"
PART: Final = 256
"""Walks in a part: what a killed process loses at most."""
Array = NDArray[Any]


@dataclass(frozen=True)
class WalkRecord:
    """What is known of stored walks.

    Attributes:
        steps: Of the sampler, stochastic DDIM.
        guidance: Scale of classifier-free guidance; the means of policy and reference are guided alike.
        checkpoint: Id of the checkpoint that walked; the law $E[e^s] = 1$ is about the reference's own.
        digests: Hash of the encoded image each walk ended in.
        place: The folder of the parts, as seen from the record's.
        part: Walks in a part.
        sealed: Whether the parts carry checksums, as all do that are written now.
    """

    steps: int
    guidance: float
    checkpoint: str
    digests: tuple[str, ...]
    place: str
    part: int = PART
    sealed: bool = False

    @property
    def parts(self) -> int:
        """How many there are."""
        return -(-len(self.digests) // self.part)


@dataclass(frozen=True, eq=False)
class Trajectories:
    """The walks of some images.

    Attributes:
        parts: The files.
        part: Walks in each but the last.
        place: For each image, in the order of the `EncodedPairs` they belong to, which walk is its own.
        steps: The steps that can be trained on.
        guidance: Scale of classifier-free guidance.
    """

    parts: tuple[Array, ...]
    part: int
    place: NDArray[np.int64]
    steps: TransitionSteps
    guidance: float

    def around(
        self, images: NDArray[np.int64], which: Int[Tensor, "draws n"]
    ) -> tuple[Float[np.ndarray, "2 draws n c h w"], Float[np.ndarray, "2 draws n c h w"]]:
        """Where steps began and where they ended.

        Args:
            images: Positions of winners and losers, (2, n).
            which: Rows of `steps`.
        """
        at = self.steps.index[which.cpu()].numpy()
        shape = (2, *at.shape, *self.parts[0].shape[2:])
        before, after = np.empty(shape, np.float32), np.empty(shape, np.float32)
        for side, row in np.ndindex(images.shape):
            walk = int(self.place[images[side, row]])
            latents = self.parts[walk // self.part][walk % self.part]
            before[side, :, row], after[side, :, row] = latents[at[:, row]], latents[at[:, row] + 1]
        return before, after


def open_trajectories(folder: Path, pipeline: Pipeline, image_digests: Sequence[str]) -> Trajectories:
    """The walks that ended in some images.

    Args:
        folder: Of the data, with the record in it.
        pipeline: The base model, whose latents and noise schedule must fit.
        image_digests: Hashes of the encoded images.

    Raises:
        UserError: if there are none, they do not fit, or an image has none.
    """
    refuse_missing_trajectories(folder)
    record = _read_record(folder)
    place = folder / record.place
    walks = {digest: i for i, digest in enumerate(record.digests)}
    missing = [digest for digest in image_digests if digest not in walks]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(image_digests)} images of the pairs have no trajectory in {place}",
            do="make the pairs again with `fbench pairs --trajectories`",
        )
    _refuse_damaged(place, record)
    try:
        parts = tuple(np.load(part_file(place, i), mmap_mode="r") for i in range(record.parts))
    except (OSError, ValueError) as error:
        raise UnreadableFileError(place, "trajectories", error) from error
    wanted = (record.steps + 1, *pipeline.latent_shape)
    if parts and parts[0].shape[1:] != wanted:
        raise UserError(
            f"trajectories in {place} are {parts[0].shape[1:]}, and {pipeline.name} needs {wanted}"
        )
    steps = pipeline.transition_steps(record.steps)
    index = np.array([walks[digest] for digest in image_digests], dtype=np.int64)
    return Trajectories(parts, record.part, index, steps, record.guidance)


def data_folder(pairs: PairSet) -> Path:
    """The folder of the pairs' images, beside which their walks are."""
    return pairs.pairs[0].preferred.path.parent


def source_folder(source: Source) -> Path:
    """The same of data that has not been read yet.

    Raises:
        UserError: if it cannot be read, or names no image.
    """
    found = (ref.path.parent for file in source.train for row in file.rows() for ref in row.refs)
    folder = next(found, None)
    if folder is None:
        raise UserError("the data names no image, so there are no trajectories beside one")
    return folder


def refuse_missing_trajectories(folder: Path) -> None:
    """Says that data has no walks, before anything is loaded.

    Raises:
        MissingFileError: says how to get them.
    """
    record = folder / RECORD
    if not record.is_file():
        raise MissingFileError(
            record, "stored trajectories", do="`fbench pairs --trajectories` makes data that has them"
        )


def trajectories_sha256(folder: Path) -> str:
    """Hash of the walks of some data, wherever their parts lie.

    Raises:
        UserError: if there are none, or a part is not what was written.
    """
    refuse_missing_trajectories(folder)
    record = _read_record(folder)
    place = folder / record.place
    _refuse_damaged(place, record)
    try:
        parts = [sha256_file(part_file(place, i)) for i in range(record.parts)]
    except OSError as error:
        raise UnreadableFileError(place, "trajectories", error) from error
    return sha256_json([asdict(record) | {"place": ""}, parts])


def has_whole_trajectories(folder: Path) -> bool:
    """Whether the walks of some data are there, and what was written."""
    try:
        trajectories_sha256(folder)
    except UserError:
        return False
    return True


def _refuse_damaged(place: Path, record: WalkRecord) -> None:
    for number in range(record.parts if record.sealed else 0):
        if not is_whole(part_file(place, number)):
            why, do = "it is damaged or not complete", "make it again with `fbench pairs --trajectories`"
            raise UnreadableFileError(part_file(place, number), "trajectories", why, do=do)


def part_file(place: Path, number: int) -> Path:
    """Where a part is."""
    return place / f"part-{number:05d}.npy"


def write_part(place: Path, number: int, walks: Float[np.ndarray, "n steps c h w"]) -> None:
    """Writes a part, whole or not at all."""
    with sealed_file(part_file(place, number)) as temporary:
        np.save(temporary, walks.astype(np.float32, copy=False))


def write_record(folder: Path, record: WalkRecord) -> None:
    """Writes the record into the folder of the data, last: with it the walks are complete."""
    store.write_json(folder / RECORD, asdict(record))


def _read_record(folder: Path) -> WalkRecord:
    content: Mapping[str, Any] = store.read_json(folder / RECORD, "the record of trajectories")
    try:
        return WalkRecord(**{**content, "digests": tuple(content["digests"])})
    except (AttributeError, KeyError, TypeError) as error:
        raise UnreadableFileError(folder / RECORD, "the record of trajectories", error) from error

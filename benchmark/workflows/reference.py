"""A reference's features, written once: every scorer of the same network reads them at once."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.core.devices import choose_device
from benchmark.core.errors import UserError
from benchmark.core.store import atomic_file
from benchmark.scorers import make_scorers


@dataclass(frozen=True)
class ReferenceFile:
    """What was written.

    Attributes:
        scorer: The scorer that computed the features.
        version: Its version, which names what is compared with.
        images: How many images there were.
        features: Numbers of each.
    """

    scorer: str
    version: str
    images: int
    features: int


def _refuse_place(out: Path) -> None:
    """Looks at the file's place before an hour is spent on its content."""
    if out.suffix != ".npz":
        raise UserError(f"OUT is {out}", allowed="a file that ends in .npz")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UserError(f"{out} cannot be written: {'it is a folder' if out.is_dir() else 'no such folder'}")
    if out.exists() and not zipfile.is_zipfile(out):
        raise UserError(f"{out} is there, and no .npz", do="choose another OUT")


def write_reference(call: str, out: Path, weights: str = "published", device: str = "auto") -> ReferenceFile:
    """Writes the features of a scorer's reference set.

    Args:
        call: The scorer with its reference, as ``--scorers`` takes it.
        out: An .npz.
        weights: ``published`` or ``embedded``, unless the call says more.
        device: ``auto``, ``cpu``, ``cuda``.

    Raises:
        UserError: if the file cannot be written, or is something else that would be lost; if the scorer
            compares with no features of a reference, or cannot read them.
    """
    _refuse_place(out)
    if weights not in ("published", "embedded"):
        raise UserError(f"--weights is {weights!r}", allowed="published, embedded")
    (scorer, *_) = make_scorers([call], weights)
    if not hasattr(scorer, "reference_features"):
        raise UserError(
            f"scorer {scorer.name} compares with no reference set", allowed="fid, kid, cmmd, prdc"
        )
    # Asked for before the network is loaded: it is refused where nothing is compared with.
    version = scorer.scorer_version
    scorer.load(choose_device(device))
    features: np.ndarray = scorer.reference_features()
    with atomic_file(out) as temporary, temporary.open("wb") as file:
        np.savez(file, features=features)
    rows, columns = features.shape
    return ReferenceFile(scorer.name, version, rows, columns)

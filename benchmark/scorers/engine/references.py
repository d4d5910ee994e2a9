"""The images, features or statistics that a set is compared with, as ``reference=`` names them. No torch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zipfile import BadZipFile

from benchmark.core.console import notice
from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.image_files import ImageFiles, find_images
from benchmark.core.naming import name_of
from benchmark.core.pixels import read_rgb
from benchmark.core.words import number_of
from benchmark.scorers.engine.images import Pictures
from benchmark.weights import locate

if TYPE_CHECKING:
    import numpy as np

    from benchmark.core.pixels import RGB
    from benchmark.networks.inference import Embedder

RENDERS: Final = "renders2000"
COUNT, SEED = 2000, 20260
"""Of the embedded world's reference set."""

_ALLOWED: Final = "a folder of images, or an .npz of features or of mu, sigma and n"
_HELD: Final = ("features", "mu", "sigma", "n")


@dataclass(frozen=True)
class Statistics:
    """An .npz of ``mu``, ``sigma`` and perhaps ``n``, as pytorch-fid and clean-fid write it."""

    mu: "np.ndarray"
    sigma: "np.ndarray"
    n: int | None


def find(scorer: str, reference: str, *, embedded: bool) -> Path | None:
    """Where the reference is; None for the renders of the embedded world.

    Args:
        scorer: Whose, for messages.
        reference: ``embedded``, a folder of images, an .npz; empty: what goes without saying.
        embedded: Whether the embedded world's renders go without saying.

    Raises:
        UserError: if nothing is named where nothing goes without saying, or it is not there.
    """
    if reference == locate.EMBEDDED or (not reference and embedded):
        return None
    do = f"--scorers \"{scorer}(reference='FOLDER')\""
    if not reference:
        given = f"scorer {scorer} compares with a reference set, and none is named"
        raise UserError(given, allowed=_ALLOWED, do=do)
    path = Path(reference).expanduser()
    if not path.is_dir() and not path.is_file():
        raise MissingFileError(path, f"reference of scorer {scorer}", allowed=_ALLOWED, do=do)
    if path.is_dir():
        readable_images(path)
    return path


def tag(path: Path | None) -> str:
    """The reference's name as a part of versions."""
    return RENDERS if path is None else re.sub(r"[^\w.]+", "_", name_of(path, (".npz",)))[:32]


def readable_images(folder: Path) -> ImageFiles:
    """The images below a folder of references.

    Raises:
        UnreadableFileError: if there are none, or one of them is a link to nothing.
    """
    found = find_images(folder)
    if not found.images:
        said = found.passed_over()
        raise UnreadableFileError(folder, "a folder of images", f"there are none{said and ': '}{said}")
    for path in found.images:
        if not path.is_file():
            raise UnreadableFileError(folder, "a folder of images", f"{path} is a link to nothing")
    return found


def in_words(path: Path | None, m: int | None) -> str:
    """A reference and its size: ``reference coco: 5,000 images; 2 files are no images: a.txt, b.txt``.

    Args:
        path: As of `find`.
        m: How many images it is or was made of; None: its file does not say.
    """
    size = "of an unknown number of images" if m is None else number_of(m, "image")
    passed = find_images(path).passed_over() if path is not None and path.is_dir() else ""
    return "; ".join(part for part in (f"reference {path or RENDERS}: {size}", passed) if part)


def images(path: Path | None) -> "Sequence[RGB]":
    """The pixels of a folder's images, or of the embedded world's renders.

    Raises:
        UserError: when one is looked at that cannot be read.
    """
    if path is None:
        return renders()
    return Pictures(find_images(path).images, read_rgb)


@cache
def renders(count: int = COUNT, seed: int = SEED) -> "tuple[RGB, ...]":
    """Renders of scenes about which nothing is stated, uint8 (64, 64, 3) each, drawn from a seed."""
    import torch

    from benchmark.shapes.renderer import render, to_uint8
    from benchmark.shapes.scenes import Wanted, sample_scenes

    scenes = sample_scenes(Wanted.anything(count), torch.Generator().manual_seed(seed))
    return tuple(to_uint8(render(scenes)).numpy())


def read_npz(path: Path) -> "np.ndarray | Statistics":
    """Features (m, d) of an .npz, or its statistics.

    Raises:
        UnreadableFileError: if it holds neither, or numbers that are not finite.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: np.asarray(file[name], np.float64) for name in file.files if name in _HELD}
    except (OSError, ValueError, TypeError, AttributeError, BadZipFile) as error:
        raise UnreadableFileError(path, "an .npz of a reference", error) from error
    why = ""
    if held.keys() >= {"mu", "sigma"} and held["sigma"].shape == 2 * held["mu"].shape:
        found: np.ndarray | Statistics = Statistics(
            held["mu"], held["sigma"], int(held["n"]) if "n" in held else None
        )
    elif "features" in held and held["features"].ndim == 2 and len(held["features"]) > 1:
        found = held["features"]
    else:
        why = "it has neither features (m, d) nor mu (d,) with sigma (d, d)"
    if not all(np.isfinite(array).all() for array in held.values()):
        why = "some of its numbers are not finite"
    if why:
        raise UnreadableFileError(path, "an .npz of a reference", why)
    return found


class Reference:
    """A reference set as the scorers of one network see it, in memory once for all of them.

    Args:
        network: Gives features of its images.
        path: A folder of images, an .npz, or None for renders.
    """

    def __init__(self, network: "Embedder", path: Path | None) -> None:
        self._network, self._path = network, path

    @cached_property
    def content(self) -> "np.ndarray | Statistics":
        """Features (m, d), or their statistics; says on stderr of how many images.

        Raises:
            UserError: if they cannot be read, or are of another network.
        """
        held = self._read()
        notice(in_words(self._path, held.n if isinstance(held, Statistics) else len(held)))
        return held

    def _read(self) -> "np.ndarray | Statistics":
        path = self._path
        if path is None or path.is_dir():
            return self._network.of_images(images(path))
        held = read_npz(path)
        d = held.mu.size if isinstance(held, Statistics) else held.shape[1]
        if d != self._network.size:
            raise UserError(
                f"the reference {path} has {d} features", allowed=f"{self._network.size}, as the network"
            )
        return held

    def remark(self) -> str:
        """How many images of a user's reference a number is about; empty for renders."""
        if self._path is None:
            return ""
        held = self.content
        m = held.n if isinstance(held, Statistics) else len(held)
        return "an unknown number of reference images" if m is None else f"{m:,} reference images"

    def features(self, scorer: str) -> "np.ndarray":
        """Features (m, d).

        Raises:
            UserError: if only their statistics are known.
        """
        if isinstance(self.content, Statistics):
            raise UserError(
                f"scorer {scorer} compares image by image, and {self._path} holds mu and sigma",
                allowed="a folder of images, or an .npz of features",
            )
        return self.content

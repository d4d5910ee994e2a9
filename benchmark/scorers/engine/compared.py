"""A reference set, seen by one network."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmark.core.console import notice
from benchmark.core.errors import UserError
from benchmark.scorers.engine.reference import Statistics, images, in_words, read_npz

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB
    from benchmark.scorers.engine.arrays import Matrix
    from benchmark.scorers.engine.prdc import Neighbours


class Network(Protocol):
    """What turns images into features."""

    @property
    def size(self) -> int:
        """D."""

    def of_images(self, images: "Sequence[RGB]") -> "Matrix":
        """Features of images."""


class Compared:
    """A reference set as the scorers of one network see it, in memory once for all of them.

    Args:
        features: The network.
        path: A folder of images, an .npz, or None for renders.
    """

    def __init__(self, features: Network, path: Path | None) -> None:
        self._network, self._path = features, path
        self._neighbours: Neighbours | None = None

    @cached_property
    def held(self) -> "Matrix | Statistics":
        """Features (m, d), or their statistics; says on stderr of how many images.

        Raises:
            UserError: if they cannot be read, or are of another network.
        """
        held = self._read()
        notice(in_words(self._path, held.n if isinstance(held, Statistics) else len(held)))
        return held

    def _read(self) -> "Matrix | Statistics":
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
        held = self.held
        m = held.n if isinstance(held, Statistics) else len(held)
        return "an unknown number of reference images" if m is None else f"{m:,} reference images"

    def features(self, scorer: str) -> "Matrix":
        """Features (m, d).

        Raises:
            UserError: if only their statistics are known.
        """
        if isinstance(self.held, Statistics):
            raise UserError(
                f"scorer {scorer} compares image by image, and {self._path} holds mu and sigma",
                allowed="a folder of images, or an .npz of features",
            )
        return self.held

    def neighbours(self, k: int) -> "Neighbours":
        """The balls that reach to each image's k-th neighbour, computed once for all who ask."""
        from benchmark.scorers.engine.prdc import Neighbours

        if self._neighbours is None or self._neighbours.k != k:
            self._neighbours = Neighbours(self.features("prdc"), k)
        return self._neighbours

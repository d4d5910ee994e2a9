"""Numbers and arrays by what they are about, on disk: a killed run goes on, a new scorer finds features."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmark.core.hashing import sha256_json
from benchmark.core.leftovers import is_hidden
from benchmark.core.sealed import is_whole, sealed_file

if TYPE_CHECKING:
    import numpy as np

EVERY_SECONDS: Final = 30.0
"""How much work a kill may cost, at most."""


class Kept:
    """What was computed before, found again by content.

    One folder for each key (what is computed, with which weights); in it sealed files that appear whole, each
    a numpy array of records ``(about, value)`` that is mapped. What is damaged is computed again.

    Args:
        folder: Need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, dict[str, np.ndarray]] = {}
        self._new: dict[str, dict[str, np.ndarray]] = {}
        self._written = time.monotonic()

    def find(self, key: str, about: str) -> Any:
        """The array that was kept, or None."""
        if key not in self._known:
            self._known[key] = self._read(key)
        return self._known[key].get(about)

    def add(self, key: str, found: Mapping[str, Any]) -> None:
        """Keeps numbers and arrays; on disk after :meth:`write`, or after a while by itself."""
        import numpy as np

        arrays = {about: np.asarray(value) for about, value in found.items()}
        self._known.setdefault(key, self._read(key)).update(arrays)
        self._new.setdefault(key, {}).update(arrays)
        if time.monotonic() - self._written > EVERY_SECONDS:
            self.write()

    def write(self) -> None:
        """Writes what is new: one file for each key and shape."""
        import numpy as np

        for key, found in self._new.items():
            kinds: dict[tuple[str, tuple[int, ...]], list[str]] = {}
            for about, value in found.items():
                kinds.setdefault((value.dtype.str, value.shape), []).append(about)
            for (dtype, shape), abouts in kinds.items():
                rows = np.empty(len(abouts), dtype=[("about", "S64"), ("value", dtype, shape)])
                rows["about"] = [about.encode() for about in abouts]
                rows["value"] = np.stack([found[about] for about in abouts])
                # Named by its content: two workers that computed the same write the same file.
                with sealed_file(self._place(key) / f"{sha256_json(abouts)[:16]}.npy") as temporary:
                    np.save(temporary, rows)
        self._new = {}
        self._written = time.monotonic()

    def _read(self, key: str) -> "dict[str, np.ndarray]":
        import numpy as np

        known: dict[str, np.ndarray] = {}
        for path in sorted(self._place(key).glob("*.npy")):
            # A part of another process, damaged, or of before files were sealed: computed again.
            if is_hidden(path) or not is_whole(path):
                continue
            rows = np.load(path, mmap_mode="r")
            known.update(zip((about.decode() for about in rows["about"]), rows["value"], strict=True))
        return known

    def _place(self, key: str) -> Path:
        return self._folder / sha256_json(key)[:16]

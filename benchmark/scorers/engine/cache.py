"""The cache: values found again by what was computed and what they are about, for three lifetimes.

For a process `shared` holds networks, while a scorer uses them. For an image set a `Cache` in memory holds
whatever scorers compute about its images. For an evaluation a `Cache` with a folder, behind that one, holds
numbers and arrays by content: a killed run goes on, and a new scorer finds features.
"""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakValueDictionary

from benchmark.core.hashing import sha256_json
from benchmark.core.leftovers import is_hidden
from benchmark.core.sealed import is_whole, sealed_file

if TYPE_CHECKING:
    import numpy as np

A = TypeVar("A", bound=Hashable)
T = TypeVar("T")

EVERY_SECONDS: Final = 30.0
"""How much work a kill may cost, at most."""

_LIVING: WeakValueDictionary[tuple[Hashable, ...], Any] = WeakValueDictionary()


def shared(make: Callable[..., T], *arguments: Hashable) -> T:
    """The thing that was made of the same arguments and is still in use; else it is made."""
    key = (make, *arguments)
    found: T | None = _LIVING.get(key)
    if found is None:
        found = _LIVING[key] = make(*arguments)
    return found


class Cache:
    """Values under a key (what is computed, with which weights) and by what they are about.

    With a folder there is one folder for each key in it; in that sealed files that appear whole, each a numpy
    array of records ``(about, value)`` that is mapped. What is damaged is computed again.

    Args:
        folder: Need not exist yet; None: nothing is kept beyond this object.
        behind: Asked for what is not here, by content; gets what is computed.
    """

    def __init__(self, folder: Path | None = None, behind: "Cache | None" = None) -> None:
        self.behind = behind
        self._folder = folder
        self._known: dict[str, dict[Any, Any]] = {}
        self._read_before: set[Path] = set()
        self._new: dict[str, dict[str, np.ndarray]] = {}
        self._written = time.monotonic()

    def each(
        self,
        key: str,
        abouts: Sequence[A],
        compute: Callable[[Sequence[A]], Sequence[T]],
        content: Callable[[A], str],
    ) -> list[T]:
        """A value about each of some things, in order; what is new is computed together.

        Args:
            key: What is computed, and with which weights.
            abouts: The things.
            compute: Gives one value for each thing it is given.
            content: By which a thing's value is kept behind; empty: not at all.
        """
        known = self._known.setdefault(key, {})
        contents = {about: content(about) for about in dict.fromkeys(abouts) if about not in known}
        if self.behind is not None:
            found = {about: self.behind.find(key, name) for about, name in contents.items() if name}
            known.update({about: value for about, value in found.items() if value is not None})
        new = [about for about in contents if about not in known]
        if new:
            computed = dict(zip(new, map(_plain, compute(new)), strict=True))
            known.update(computed)
            if self.behind is not None:
                self.behind.add(key, {contents[about]: v for about, v in computed.items() if contents[about]})
        return [known[about] for about in abouts]

    def forget(self, key: str) -> None:
        """Frees what is known under a key; what is kept behind stays."""
        self._known.pop(key, None)

    def find(self, key: str, about: Hashable) -> Any:
        """The value that is known, or None."""
        found = self._of(key).get(about)
        return found.value() if isinstance(found, _Kept) else found

    def look_again(self) -> None:
        """Finds what other processes have written meanwhile."""
        for key, known in self._known.items():
            for about, kept in self._read(key).items():
                known.setdefault(about, kept)

    def add(self, key: str, found: Mapping[Any, Any]) -> None:
        """Keeps values; in a folder finite numbers and arrays only, after :meth:`write` or a while."""
        if self._folder is None:
            self._of(key).update(found)
            return
        import numpy as np

        arrays = {about: np.asarray(value) for about, value in found.items() if _can_be_kept(value)}
        self._of(key).update(arrays)
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
                path = self._place(key) / f"{sha256_json(abouts)[:16]}.npy"
                with sealed_file(path) as temporary:
                    np.save(temporary, rows)
                self._read_before.add(path)
        self._new = {}
        self._written = time.monotonic()

    def _of(self, key: str) -> dict[Any, Any]:
        """What is known under a key."""
        if key not in self._known:
            self._known[key] = dict(self._read(key))
        return self._known[key]

    def _read(self, key: str) -> "dict[str, _Kept]":
        """What lies in files that were not read before; whether these are whole is seen when one is used."""
        known: dict[str, _Kept] = {}
        if self._folder is None:
            return known
        for path in sorted(self._place(key).glob("*.npy")):
            # A part of another process is no file yet.
            if is_hidden(path) or path in self._read_before:
                continue
            self._read_before.add(path)
            # Whatever numpy makes of a damaged head: what lay there is computed again.
            with suppress(Exception):
                file = _File(path)
                known.update((about, _Kept(file, row)) for row, about in enumerate(file.abouts()))
        return known

    def _place(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / sha256_json(key)[:16]


class _File:
    """A kept file, mapped."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        self._path = path
        self.rows = np.lib.format.open_memmap(path, mode="r")

    def abouts(self) -> list[str]:
        """What its rows are about."""
        return [about.decode() for about in self.rows["about"]]

    @cached_property
    def is_whole(self) -> bool:
        """Whether it is what was written: one that is damaged, or of before files were sealed, is not."""
        return is_whole(self._path)


@dataclass(frozen=True)
class _Kept:
    """A row of a kept file.

    All of an evaluation's features lie in one folder, and whoever needs those of one checkpoint must not hash
    those of all.
    """

    file: _File
    row: int

    def value(self) -> "np.ndarray | None":
        """The value; None where the file is damaged."""
        found: np.ndarray = self.file.rows["value"][self.row]
        return found if self.file.is_whole else None


def _plain(value: Any) -> Any:
    """A tensor as an array, so that it makes no difference whether it was computed or found.

    As what was found, it is for all scorers, and none of them can change it.
    """
    plain = value.numpy() if hasattr(value, "numpy") else value
    if hasattr(plain, "setflags"):
        plain = plain.view()
        plain.setflags(write=False)
    return plain


def _can_be_kept(value: Any) -> bool:
    """Whether it is a number or an array, and finite: what failed is tried again."""
    import numpy as np

    return (isinstance(value, float) or hasattr(value, "__array__")) and bool(np.isfinite(value).all())

"""Networks that several scorers use, in memory once, for as long as one of them lives."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

_LIVING: WeakValueDictionary[tuple[Hashable, ...], Any] = WeakValueDictionary()


def shared(make: Callable[..., T], *arguments: Hashable) -> T:
    """What was made of the same arguments and is still in use; else it is made."""
    key = (make, *arguments)
    found: T | None = _LIVING.get(key)
    if found is None:
        found = _LIVING[key] = make(*arguments)
    return found

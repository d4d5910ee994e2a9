"""Isolation of scorers: what one changes in the process (random numbers, defaults, folder) stays its own."""

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

Setting: TypeAlias = tuple[Callable[[], Any], Callable[[Any], object]]
"""How something of the process is read, and how it is set."""


@contextmanager
def isolated(scorer: object) -> Iterator[None]:
    """Lets a scorer work in surroundings of its own: as it left them; afterwards they are what they were.

    So no number depends on which other scorers were asked for, and a scorer that sets a default while it
    loads finds it again.
    """
    before = _values()
    _set(_OWN.get(scorer, {}), before)
    try:
        yield
    finally:
        _OWN[scorer] = _values()
        _set(before, _OWN[scorer])


_OWN: WeakKeyDictionary[object, dict[str, Any]] = WeakKeyDictionary()


def _values() -> dict[str, Any]:
    found = {}
    for name, (read, _) in _settings().items():
        # One that a library does not tell is left alone.
        with suppress(Exception):
            found[name] = read()
    return found


def _set(wanted: dict[str, Any], now: dict[str, Any]) -> None:
    """Sets what differs; what nobody has read before, because its library was not imported yet, stays."""
    for name, (_, put) in _settings().items():
        if name in wanted and not _same(wanted[name], now.get(name)):
            put(wanted[name])


def _settings() -> dict[str, Setting]:
    """By name; those of a library only once somebody has imported it."""
    settings: dict[str, Setting] = {
        "folder": (_folder, _set_folder),
        "environment": (lambda: dict(os.environ), _set_environment),
        "random": (random.getstate, random.setstate),
    }
    numpy, torch, pillow = (sys.modules.get(name) for name in ("numpy", "torch", "PIL.Image"))
    if numpy is not None:
        settings["numpy.random"] = (numpy.random.get_state, numpy.random.set_state)
        settings["numpy.errors"] = (numpy.geterr, lambda found: numpy.seterr(**found))
    if torch is not None:
        settings["torch.random"] = (torch.get_rng_state, torch.set_rng_state)
        if torch.cuda.is_initialized():
            settings["cuda.random"] = (torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all)
        settings["torch.dtype"] = (torch.get_default_dtype, torch.set_default_dtype)
        settings["torch.device"] = (torch.get_default_device, _set_device)
        settings["torch.gradients"] = (torch.is_grad_enabled, torch.set_grad_enabled)
        settings["torch.threads"] = (torch.get_num_threads, torch.set_num_threads)
        settings["torch.precision"] = (
            torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
        )  # fmt: skip
        settings["torch.deterministic"] = (
            torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms
        )  # fmt: skip
    if pillow is not None:
        settings["pillow.limit"] = (
            lambda: pillow.MAX_IMAGE_PIXELS, lambda found: setattr(pillow, "MAX_IMAGE_PIXELS", found)
        )  # fmt: skip
    return settings


def _folder() -> str | None:
    """The working directory; None where it was deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return None


def _set_folder(wanted: str | None) -> None:
    if wanted is not None:
        with suppress(OSError):
            os.chdir(wanted)


def _set_device(wanted: Any) -> None:
    # None ends torch's mode for a default device, in which every call is slower.
    sys.modules["torch"].set_default_device(None if wanted.type == "cpu" else wanted)


def _set_environment(wanted: dict[str, str]) -> None:
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _same(a: Any, b: Any) -> bool:
    """Whether two values are equal, arrays and lists of them included."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    equal = a == b
    return bool(equal.all() if hasattr(equal, "all") else equal)

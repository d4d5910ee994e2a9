"""Finds code by name: modules of a package, ``module:attribute``, ``path.py:Name``, entry points.

A hash says whose code a thing is made of: a plug-in that was edited is another one, whatever version it
states.
"""

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark.core.calls import call_of, module_of
from benchmark.core.errors import MissingFileError, UnknownNameError, UserError
from benchmark.core.hashing import sha256_file, sha256_json

FILE_MODULE = "fbench_file_"
"""What the names of modules begin with that are a user's file."""

_OURS = ("benchmark", "trainers")
_FILE_TARGET = re.compile(r"^(?P<path>.+\.py):(?P<name>[A-Za-z_]\w*)$")


@dataclass(frozen=True)
class Point:
    """An entry point of an installed package.

    Attributes:
        name: The name it registers.
        value: ``module:attribute``.
        package: The distribution that brings it.
    """

    name: str
    value: str
    package: str

    @property
    def summary(self) -> str:
        """One line that needs no import of the package."""
        return f"from {self.package} ({self.value})"


def is_file_target(text: str) -> bool:
    """Whether the text means a thing in a file.

    Example:
        >>> is_file_target("mine.py:Tempered"), is_file_target("alpha")
        (True, False)
    """
    return _FILE_TARGET.match(text.strip()) is not None


def load_from_file(text: str) -> Callable[..., Any]:
    """The class or function that ``path.py:Name`` means.

    Raises:
        UserError: if there is no such file or name, or the file fails when it is run.
    """
    match = _FILE_TARGET.match(text.strip())
    if match is None:
        raise UserError(f"{text!r} is not of the form path.py:Name")
    path = Path(match["path"]).expanduser()
    if not path.is_file():
        do = "name a file that is there; docs/adding-a-divergence.md and docs/adding-a-scorer.md show some"
        raise MissingFileError(path, "Python file", allowed="path.py:Name", do=do)
    module = _run_file(path.resolve())
    found = getattr(module, match["name"], None)
    if not callable(found):
        # What the file itself has, and not what it imports.
        own = [
            name
            for name, value in vars(module).items()
            if callable(value)
            and not name.startswith("_")
            and getattr(value, "__module__", "") == module.__name__
        ]
        raise UnknownNameError(f"class or function of {path}", match["name"], own)
    return found  # type: ignore[no-any-return]  # callable() narrows to a callable of anything


def load_object(target: str) -> Callable[..., Any]:
    """The class or function that ``module:attribute`` means.

    Raises:
        UserError: if an installed package cannot be imported or lacks the attribute.
    """
    module, _, attribute = target.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"cannot load {target}: {error}", do="`fbench doctor` says more") from error
    return found


def import_modules(name: str) -> None:
    """Imports a module; ``package.*`` every module of a package that has no leading ``_``."""
    package, star, _ = name.partition(".*")
    module = importlib.import_module(package)
    if star:
        for info in pkgutil.iter_modules(module.__path__):
            if not info.name.startswith("_"):
                importlib.import_module(f"{package}.{info.name}")


def entry_points(group: str) -> list[Point]:
    """What installed packages offer under a group, without importing any of them."""
    found = importlib.metadata.entry_points(group=group)
    return [Point(p.name, p.value, p.dist.name if p.dist else "?") for p in found]


def _run_file(path: Path) -> ModuleType:
    # The content is part of the name: an edited file is run again, an unedited one is not, so that
    # its classes keep their identity.
    digest = hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:12]
    name = f"{FILE_MODULE}{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"cannot load {path} as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    # A script ends by SystemExit, and must not end this process.
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        where = f"{type(error).__name__}: {error}"
        raise UserError(f"{path} fails when it is run: {where}") from error
    return module


# --- whose code it is -----------------------------------------------------------------------------


def code_sha256(thing: object) -> str:
    """Hash of the code behind a plug-in; empty for what came with fbench.

    A plug-in is a thing of a Python file of the user's or of an installed package. Its code is the module
    that has its class, the one that has the function which made it, and those of the plug-ins in its
    attributes, such as a mixture's parts; with a package goes its version. What such a module imports is not
    looked at.
    """
    found = sorted({digest for name in _modules(thing) if (digest := module_sha256(name))})
    return sha256_json(found) if found else ""


def _modules(thing: object) -> Iterator[str]:
    yield from filter(None, (type(thing).__module__, module_of(thing)))
    for part in getattr(thing, "__dict__", {}).values():
        if call_of(part) is not None:
            yield from _modules(part)


@functools.cache  # the module of an edited file has another name
def module_sha256(name: str) -> str:
    """The same of one module that is imported; empty for fbench's own and the standard library's."""
    package = name.partition(".")[0]
    if package in _OURS or package in sys.stdlib_module_names:
        return ""
    version = "" if name.startswith(FILE_MODULE) else _version_of(package)
    source = getattr(sys.modules.get(name), "__file__", None)
    if not source or not (version or name.startswith(FILE_MODULE)):
        return ""
    return sha256_json([sha256_file(Path(source)), version])


def _version_of(package: str) -> str:
    """Of the distributions that bring a top-level package; empty if none does."""
    names = importlib.metadata.packages_distributions().get(package, ())
    return ",".join(sorted({f"{name} {importlib.metadata.version(name)}" for name in names}))

"""Whose code a thing is made of: a plug-in that was edited is another one, whatever version it states."""

import functools
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmark.core.hashing import sha256_file, sha256_json
from benchmark.core.plugins import FILE_MODULE
from benchmark.core.recording import call_of, module_of

_OURS = ("benchmark", "trainers")


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

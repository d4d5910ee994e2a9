"""Whose code a thing is made of: a plug-in that was edited is another one, whatever version it states."""

import functools
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmark.core.hashing import sha256_file, sha256_json
from benchmark.core.recording import call_of, module_of

_OURS = ("benchmark", "trainers")


def code_sha256(thing: object) -> str:
    """Hash of the code behind a thing that did not come with fbench; empty for one that did.

    The source of the module that has its class, of the one that has the function which made it, of those of
    the plug-ins in its attributes (a mixture's parts), and the versions of the packages these belong to. What
    such a module imports from beside it is not looked at.
    """
    found = {name: _module_sha256(name) for name in sorted(set(_modules(thing)))}
    return sha256_json(sorted(found.values())) if found else ""


def _modules(thing: object) -> Iterator[str]:
    for own in (type(thing).__module__, module_of(thing)):
        top = own.partition(".")[0]
        if own and top not in _OURS and top not in sys.stdlib_module_names:
            yield own
    for part in getattr(thing, "__dict__", {}).values():
        if call_of(part) is not None:
            yield from _modules(part)


def _module_sha256(name: str) -> str:
    module = sys.modules.get(name)
    source = getattr(module, "__file__", None)
    digest = sha256_file(Path(source)) if source and Path(source).is_file() else ""
    return sha256_json([digest, _version_of(name.partition(".")[0])])


@functools.cache
def _version_of(package: str) -> str:
    """Of the distribution that brings a top-level package; empty for a file of the user's."""
    names = importlib.metadata.packages_distributions().get(package, ())
    return ",".join(sorted(f"{name} {importlib.metadata.version(name)}" for name in set(names)))

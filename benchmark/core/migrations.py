"""Older manifests, brought up to date one numbered step at a time.

To change the manifest: raise ``SCHEMA_VERSION`` to n, write a function ``_to_n`` that turns a record of
version n - 1 into one of version n, add it to ``_STEPS``, keep an old record in the tests, and write a line
in CHANGELOG.md.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.core.errors import UnreadableFileError

SCHEMA_VERSION = 2


def _to_2(record: dict[str, Any]) -> dict[str, Any]:
    """Inputs got roles; what was read in which role is not known of older runs, so theirs stay empty."""
    return record


# version it makes -> how
_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {2: _to_2}


def migrate(record: object, path: Path, do: str = "") -> dict[str, Any]:
    """A manifest's content in today's version.

    Args:
        record: As read from the file.
        path: The file, for the message.
        do: What a user can do about one that is none.

    Raises:
        UnreadableFileError: if it has no version, or one of the future.
    """
    version = record.get("schema_version") if isinstance(record, dict) else None
    if not isinstance(record, dict) or not isinstance(version, int):
        raise UnreadableFileError(path, "a manifest", "it has no schema_version", do)
    if version > SCHEMA_VERSION:
        why = f"schema version {version}, this fbench knows up to {SCHEMA_VERSION}"
        raise UnreadableFileError(path, "a manifest", why, do="upgrade fbench")
    for number in range(version + 1, SCHEMA_VERSION + 1):
        record = {**_STEPS[number](record), "schema_version": number}
    return record

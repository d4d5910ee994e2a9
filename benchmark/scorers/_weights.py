"""Where a scorer's weights are, and their hash. No torch: `fbench doctor` and the caches ask this too."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Final

from benchmark.core import resources
from benchmark.core.errors import MissingWeightsError
from benchmark.core.hashing import sha256_bytes, sha256_path

EMBEDDED: Final = "embedded"
PUBLISHED: Final = "published"
VARIABLE: Final = "FBENCH_WEIGHTS"


def published_folder() -> Path:
    """Where published weights are looked for: ``$FBENCH_WEIGHTS``, or the user's cache."""
    said = os.environ.get(VARIABLE)
    return Path(said).expanduser() if said else Path.home() / ".cache" / "fbench" / "weights"


def place(scorer: str, weights: str, embedded: str, published: str = "") -> Path:
    """The folder or file that ``weights=`` means.

    Args:
        scorer: Whose, for messages.
        weights: ``embedded``, ``published``, or a path.
        embedded: Name of the embedded model.
        published: Place of the published weights below ``$FBENCH_WEIGHTS``; empty: there are none.

    Raises:
        MissingWeightsError: if nothing is there.
    """
    if weights == EMBEDDED:
        return resources.shapes_weights(embedded)
    if weights == PUBLISHED and not published:
        raise MissingWeightsError(
            f"scorer {scorer} has no published weights", allowed=f"{EMBEDDED} or a folder", do="leave it out"
        )
    path = published_folder() / published if weights == PUBLISHED else Path(weights).expanduser()
    if not path.exists():
        raise MissingWeightsError(
            f"scorer {scorer}: no {path.name} at {path.parent}",
            do=f"`fbench doctor` says how to get it; {VARIABLE} names another folder",
        )
    return path


def short_hash(*paths: Path) -> str:
    """The first 8 hex digits of the hash of some files and folders; read again only when one has changed."""
    return sha256_bytes("".join(_digest(path, _stamp(path)) for path in paths).encode())[:8]


def _stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files)


@lru_cache(maxsize=256)
def _digest(path: Path, stamp: tuple[tuple[str, int, int], ...]) -> str:  # noqa: ARG001  # the stamp is the cache's key
    return sha256_path(path)

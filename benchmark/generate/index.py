"""Which images are already there, and whether they are the ones that are asked for.

Beside the images lies `index.json`, one for each process that writes: `{file: {key, sha256}}`, where the
key is the hash of everything that decides the pixels. An image whose key differs is another image under the
same name, and is made again; so is one whose bytes are not those that were written.
"""

import time
from pathlib import Path

from benchmark.core import hashing, store
from benchmark.core.errors import UnreadableFileError
from benchmark.core.records import Checkpoint, Sampler

_SECONDS_BETWEEN_WRITES = 5.0


def image_key(checkpoint: Checkpoint, text: str, k: int, sampler: Sampler) -> str:
    """Hash of what decides an image's pixels."""
    weights = (checkpoint.id, checkpoint.base_model, checkpoint.revision)
    return hashing.sha256_json([weights, text, k, sampler.identity])[:24]


class ImageIndex:
    """The index of one folder of images, as one process writes it and all read it.

    Args:
        folder: The images'.
        suffix: Tells this process's file from the others'.
    """

    def __init__(self, folder: Path, suffix: str = "") -> None:
        self._folder = folder
        self._path = folder / f"index{suffix}.json"
        self._own = _read(self._path)
        others = [_read(path) for path in sorted(folder.glob("index*.json")) if path != self._path]
        self._others = [content for content in others if content]
        self._written = time.monotonic()

    def find(self, name: str, key: str) -> str:
        """The sha256 of an image that is there, has the right key and is whole; else empty."""
        entries = [content[name] for content in (self._own, *self._others) if name in content]
        known = {str(entry.get("sha256", "")) for entry in entries if entry.get("key") == key}
        path = self._folder / name
        there = hashing.sha256_file(path) if known and path.is_file() else ""
        return there if there in known else ""

    def add(self, name: str, key: str, sha256: str) -> None:
        """Notes an image that has been written; the file follows every few seconds."""
        self._own[name] = {"key": key, "sha256": sha256}
        if time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self.write()

    def write(self) -> None:
        """Writes the file, whole or not at all."""
        if self._own:
            store.write_json(self._path, self._own)
        self._written = time.monotonic()


def _read(path: Path) -> dict[str, dict[str, str]]:
    """An index's content; one that cannot be read only costs the time to make its images again."""
    if not path.is_file():
        return {}
    try:
        content = store.read_json(path)
    except UnreadableFileError:
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, dict)}

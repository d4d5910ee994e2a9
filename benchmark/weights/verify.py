"""Compares published weights with the hashes that are known, or with those when they were first seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_file
from benchmark.core.store import read_json, write_json
from benchmark.weights.catalogue import Release, WeightsFile
from benchmark.weights.locate import folders, published_folder

RECORD: Final = "hashes.json"
"""Beside the weights: the sha256 of every file when it was first seen."""

Verdict = Literal["right", "recorded", "wrong", "missing"]


@dataclass(frozen=True)
class Verified:
    """The finding about one file.

    Attributes:
        release: Which it belongs to.
        file: Its name.
        verdict: ``right``: the hash is the known one; ``recorded``: none was known, so this one is from now
            on; ``wrong``: it is another one; ``missing``: the file is not here.
        path: Where it is.
        sha256: Its hash.
        note: What it was compared with, or what is wrong.
    """

    release: str
    file: str
    verdict: Verdict
    path: Path | None = None
    sha256: str = ""
    note: str = ""


def verify(release: Release) -> Iterator[Verified]:
    """Hashes each file of a release that is here, and compares.

    With what the catalogue states; else with the name that the hub's cache gives a large file, which is its
    hash as the hub states it; and always with what was recorded when the file was first seen.

    Raises:
        UserError: if the record is damaged.
    """
    for file in release.files:
        path = _path(release, file)
        if path is None:
            if file.needed:
                yield Verified(release.name, file.name, "missing", note="not here")
        else:
            yield _verify(release, file, path)


def _verify(release: Release, file: WeightsFile, path: Path) -> Verified:
    found, key = sha256_file(path), f"{release.folder}/{file.name}"
    known = recorded()
    for expected, by in (
        (file.sha256, "as the catalogue states"),
        (_blob(path), "as the hub states"),
        (known.get(key, ""), "as when it was first seen"),
    ):
        if not found.startswith(expected):
            note = f"sha256 {found}, and {expected} {by}: fetch it again, or ask why it changed"
            return Verified(release.name, file.name, "wrong", path, found, note)
    if key in known:
        return Verified(release.name, file.name, "right", path, found, "as when it was first seen")
    note = _record(known | {key: found})
    stated = file.sha256 or _blob(path)
    return Verified(release.name, file.name, "right" if stated else "recorded", path, found, note)


def recorded() -> dict[str, str]:
    """The hashes of files when they were first seen, by place below the folder of weights.

    Raises:
        UserError: if the record is damaged.
    """
    path = published_folder() / RECORD
    if not path.is_file():
        return {}
    content = read_json(path, "recorded hashes")
    if not isinstance(content, dict):
        raise UserError(
            f"{path} is no record of hashes", do="remove it; the next `fbench weights verify` writes it"
        )
    return {str(key): str(value) for key, value in content.items()}


def _record(hashes: dict[str, str]) -> str:
    """Writes the record; weights may lie in a folder that the user cannot write to."""
    try:
        write_json(published_folder() / RECORD, dict(sorted(hashes.items())))
    except UserError as error:
        return f"seen for the first time, and not recorded: {error}"
    return "seen for the first time, and recorded"


def _path(release: Release, file: WeightsFile) -> Path | None:
    return next((folder / file.name for folder in folders(release) if (folder / file.name).is_file()), None)


def _blob(path: Path) -> str:
    """The hash that a link of the hub's cache states: large files are kept under theirs."""
    name = path.resolve().name
    return name if path.is_symlink() and len(name) == 64 else ""

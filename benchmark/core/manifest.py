"""The record of a run: written before anything else, so that what failed can be read as well.

To change the manifest: raise ``SCHEMA_VERSION`` to n, write a function ``_to_n`` that turns a record of
version n - 1 into one of version n, add it to ``_STEPS``, keep an old record in the tests, and write a line
in CHANGELOG.md.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmark.core import environment, store
from benchmark.core.errors import MissingFileError, MissingRowsError, UnreadableFileError, UserError, pasted
from benchmark.core.hashing import plain, sha256_json, sha256_path
from benchmark.core.interrupts import postponed

FILE_NAME = "manifest.json"
SCHEMA_VERSION = 2
_CHECKSUM = "content_sha256"


class Artefact(BaseModel):
    """A file or folder that went in or came out.

    Attributes:
        path: As given on the command line, or below the run's folder.
        sha256: Of its content; empty where nobody needs to check it.
        role: What it is to the run, such as ``base`` or ``data``: by this it is found again, whatever it is
            called then. Empty for outputs, and in records of before there were roles.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    sha256: str = ""
    role: str = ""


class Manifest(BaseModel):
    """What was run, with what, on what, and how it ended.

    Attributes:
        schema_version: Raised with every change of this record; older ones are migrated when read.
        kind: The program: "train", "eval", "demo" ...
        status: ``started`` until it ends; a run that was killed stays there.
        command: As typed.
        config: As resolved, defaults included.
        git_revision: Of the checkout, with ``+changed`` if it has uncommitted changes.
        packages: Versions of what the numbers depend on.
        device: What it computed on, in words.
        inputs: What it read.
        outputs: What it wrote.
        started_at: UTC, ISO 8601; of the first attempt.
        ended_at: UTC, ISO 8601; empty while it runs.
        attempts: How often it was started; above 1 it was resumed.
        error: Why it did not end well, in one line; or what a user must know although it did.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: int = SCHEMA_VERSION
    kind: str
    status: Literal["started", "success", "error", "cancelled"] = "started"
    command: str = ""
    config: dict[str, Any] = Field(default_factory=dict)
    git_revision: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    device: str = ""
    inputs: list[Artefact] = Field(default_factory=list)
    outputs: list[Artefact] = Field(default_factory=list)
    started_at: str = ""
    ended_at: str = ""
    attempts: int = 1
    error: str = ""

    def add_input(self, path: Path | str, sha256: str | None = None) -> None:
        """Notes something that was read; hashes it unless the hash is given."""
        self.inputs = _with(self.inputs, path, sha256_path(Path(path)) if sha256 is None else sha256)

    def add_output(self, path: Path | str, sha256: str | None = None) -> None:
        """Notes something that was written; hashes it unless the hash is given."""
        self.outputs = _with(self.outputs, path, sha256_path(Path(path)) if sha256 is None else sha256)

    def read_as(self, role: str) -> Artefact | None:
        """What was read in a role; None where that was not recorded."""
        return next((item for item in self.inputs if item.role == role), None)

    def differences(self, config: Mapping[str, Any]) -> list[str]:
        """The keys in which other settings differ: empty means that the run may be resumed."""
        other = plain(config)
        return sorted(k for k in self.config.keys() | other.keys() if self.config.get(k) != other.get(k))

    def write(self, folder: Path) -> None:
        """Writes it as the folder's manifest with a checksum of its content, whole or not at all."""
        content = plain(self.model_dump())
        store.write_json(folder / FILE_NAME, {**content, _CHECKSUM: sha256_json(content)})


@contextmanager
def track(
    folder: Path,
    kind: str,
    config: Mapping[str, Any] | BaseModel,
    *,
    device: str = "",
    command: str | None = None,
    inputs: Iterable[Artefact] = (),
) -> Iterator[Manifest]:
    """Writes the manifest of a run before it starts, and how it ended when it ends.

    Args:
        folder: The run's folder; made if it is not there. A manifest in it becomes the earlier attempt of
            this run; whether the settings allow that is the caller's question, see
            :meth:`Manifest.differences`.
        kind: The program.
        config: The settings as resolved.
        device: What it computes on.
        command: As typed; None for this process's own.
        inputs: What is known before it starts; a run that is killed must not forget what it read.

    Yields:
        The manifest, to which inputs and outputs are added.

    Raises:
        UserError: if the folder holds the run of another program, or a manifest that cannot be read.
    """
    settings = config.model_dump(mode="json") if isinstance(config, BaseModel) else plain(config)
    earlier = earlier_attempt(folder, kind)
    manifest = Manifest(
        kind=kind,
        command=environment.typed_command() if command is None else command,
        config=settings,
        git_revision=environment.git_revision(),
        packages=environment.package_versions(),
        device=device,
        inputs=list(inputs),
        outputs=earlier.outputs if earlier else [],
        started_at=earlier.started_at if earlier else _now(),
        attempts=earlier.attempts + 1 if earlier else 1,
    )
    manifest.write(folder)
    try:
        yield manifest
    except MissingRowsError as error:
        # It did finish; the exit code says what the user must know.
        _end(manifest, folder, "success", str(error))
        raise
    except Exception as error:
        _end(manifest, folder, "error", f"{type(error).__name__}: {error}")
        raise
    except BaseException as error:
        with postponed():  # a second Ctrl-C must not leave it at `started`
            _end(manifest, folder, "cancelled", type(error).__name__)
        raise
    else:
        _end(manifest, folder, "success", "")


def earlier_attempt(folder: Path, kind: str) -> Manifest | None:
    """The manifest that a run goes on from; None where there is none.

    Args:
        folder: The run's folder; need not exist.
        kind: The program.

    Raises:
        UserError: if the folder holds the run of another program, whose record would be lost.
        UnreadableFileError: if what lies there is no manifest.
    """
    # Not only a file: whatever else lies there is refused by name.
    if not os.path.lexists(folder / FILE_NAME):
        return None
    earlier = read_manifest(folder)
    if earlier.kind != kind:
        raise UserError(f"--out {folder} holds a run of `{earlier.kind}`", do="name a folder of its own")
    return earlier


def read_manifest_of(folder: Path, *kinds: str) -> Manifest:
    """The manifest of a folder that a user named as the run of some program.

    Args:
        folder: The run's folder.
        kinds: The programs that may have made it, the usual one first.

    Raises:
        MissingFileError: if it is not there, or holds no run.
        UnreadableFileError: if it holds the run of another program, or its manifest cannot be read.
    """
    allowed = f"a folder of {' or '.join(f'`fbench {kind}`' for kind in kinds)}"
    if not (folder / FILE_NAME).exists():
        do = f"run {pasted('fbench', kinds[0], '--out', folder)} first"
        raise MissingFileError(folder, f"run of `fbench {kinds[0]}`", allowed=allowed, do=do)
    manifest = read_manifest(folder)
    if manifest.kind not in kinds:
        why = f"it holds a run of `{manifest.kind}`"
        raise UnreadableFileError(folder, f"a run of `fbench {kinds[0]}`", why, do=f"name {allowed}")
    return manifest


def read_manifest(path: Path | str) -> Manifest:
    """The manifest of a run's folder, or a manifest file; older versions are migrated.

    Raises:
        MissingFileError: if there is none.
        UnreadableFileError: if it is no manifest, or was written by a newer fbench.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.exists():
        do = "name the folder of a run: every command that makes one writes its manifest there"
        raise MissingFileError(path, "manifest", do=do)
    do = f"delete {path}: the command that made it writes a new one, and keeps what lies beside it"
    content = store.read_json(path, "manifest", do)
    try:
        # Those of before checksums were written have none.
        checksum = content.pop(_CHECKSUM, None) if isinstance(content, dict) else None
        if checksum is not None and checksum != sha256_json(content):
            raise ValueError("it is damaged, or was edited by hand")
        return Manifest.model_validate(migrate(content, path, do))
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise UnreadableFileError(path, "a manifest", why, do) from error
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(path, "a manifest", error, do) from error


def _with(known: list[Artefact], path: Path | str, sha256: str, role: str = "") -> list[Artefact]:
    """One entry a path and role: a resumed run writes the same file again."""
    text = path.as_posix() if isinstance(path, Path) else path
    others = (item for item in known if (item.path, item.role) != (text, role))
    return [*others, Artefact(path=text, sha256=sha256, role=role)]


def _end(
    manifest: Manifest, folder: Path, status: Literal["success", "error", "cancelled"], error: str
) -> None:
    manifest.status = status
    manifest.ended_at = _now()
    manifest.error = " ".join(error.split())
    manifest.write(folder)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


# --- older manifests, brought up to date one numbered step at a time ------------------------------


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

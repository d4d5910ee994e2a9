"""One lock a folder: two commands never write into one at the same time.

The operating system holds the lock, on `FOLDER/.lock`, and frees it when its owner ends, however that ends:
there is no lock of a dead owner. The file names the owner for whoever is refused, and goes with the work.
"""

import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmark.core.console import notice
from benchmark.core.environment import typed_command
from benchmark.core.errors import InUseError, UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.leftovers import clear_leftovers
from benchmark.core.system import writing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME: Final = ".lock"
_MARKS: Final = (NAME, "manifest.json")
_TRIES, _MOMENT = 40, 0.05
"""One that shares asks again, so many seconds later: who begins or ends is alone for less than that."""
_NO_LOCKS: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Owner:
    """Who is at work in a folder.

    Attributes:
        pid: Of its process.
        host: Where that runs.
        since: UTC, ISO 8601.
        command: As typed.
        settings: Hash of what must be equal among those who share the lock.
    """

    pid: int
    host: str
    since: str
    command: str
    settings: str


_HELD: list["_Lock"] = []
"""Those of this process."""


@contextmanager
def held(folder: Path, settings: object, *, shared: bool = False, name: str = NAME) -> Iterator[None]:
    """Holds a folder's lock; who is alone in the folder also clears what killed commands left there.

    Args:
        folder: Need not exist; goes again if nothing was written.
        settings: What the command is about, as `benchmark.core.hashing.plain` takes it.
        shared: Whether others of equal settings may be at work there too, as shards of an evaluation are.
        name: Of the lock, for commands that share the folder and must not be doubled.

    Raises:
        InUseError: if another command is at work there.
        UserError: if the folder cannot be written to, or was removed meanwhile.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file", allowed="a folder, or a place for one")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    lock = _Lock(folder, name)
    try:
        lock.acquire(sha256_json(settings), shared=shared)
        if not shared and name == NAME:
            with writing(folder):
                clear_leftovers(folder, others=_MARKS)
        yield
        lock.refuse_removed()
    except Exception as error:
        lock.refuse_removed(error)  # whatever failed then, this is why
        raise
    finally:
        lock.release()
        with suppress(OSError):
            for place in made:
                place.rmdir()


def refuse_removed(path: Path) -> None:
    """Refuses to write below a folder that this process holds and that somebody removed.

    Raises:
        UserError: if it was: what was written before is gone, so this is no success.
    """
    for lock in _HELD:
        if path.is_relative_to(lock.folder):
            lock.refuse_removed()


class _Lock:
    """The lock file of a folder, open while it is held."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self._path, self._file = folder, folder / name, -1

    def acquire(self, settings: str, *, shared: bool) -> None:
        """Takes it.

        Raises:
            InUseError: if it is somebody else's.
        """
        tries = _TRIES if shared else 1
        with writing(self._path):
            while True:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
                alone = self._try()
                taken = alone or (shared and self._try(shared=True))
                removed = not os.fstat(self._file).st_nlink
                if taken and not removed:
                    if not alone and (there := self._owner()) and there.settings != settings:
                        self._refuse(settings)
                    if alone:
                        self._note(settings)
                        taken = not shared or self._try(shared=True)
                    if taken:
                        break
                if not removed and not (tries := tries - 1):
                    self._refuse(settings)
                os.close(self._file)
                time.sleep(0 if removed else _MOMENT)
        _HELD.append(self)

    def release(self) -> None:
        """Gives it back; the last one removes the file."""
        if self not in _HELD:
            return
        _HELD.remove(self)
        if not self._is_removed() and self._try():
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def refuse_removed(self, cause: Exception | None = None) -> None:
        """Raises if the folder is not there any more.

        Raises:
            UserError: if so.
        """
        if self in _HELD and self._is_removed():
            raise UserError(
                f"{self.folder} was removed while this command was writing there", do="give it once more"
            ) from cause

    def _is_removed(self) -> bool:
        try:
            return not os.fstat(self._file).st_nlink or not self._path.exists()
        except OSError:  # a server that forgot the file
            return True

    def _try(self, *, shared: bool = False) -> bool:
        try:
            if fcntl is None:
                raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
            fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            # A file system without locks: nobody can be kept out, but somebody can be told.
            if self not in _HELD:
                notice(f"{self.folder} cannot be locked ({error.strerror}): let no other command write there")
        return True

    def _note(self, settings: str) -> None:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        owner = Owner(os.getpid(), platform.node(), since, typed_command(), settings)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(asdict(owner)).encode(), 0)

    def _owner(self) -> Owner | None:
        with suppress(OSError, ValueError, TypeError):
            content: Any = json.loads(os.pread(self._file, 1 << 20, 0))
            return Owner(**content)
        return None

    def _refuse(self, settings: str) -> None:
        owner = self._owner()
        os.close(self._file)
        if owner is None:
            raise InUseError(f"another command is at work in {self.folder}", do="wait for it")
        who = f"process {owner.pid} on {owner.host}, since {owner.since}: {owner.command}"
        if owner.settings == settings:
            raise InUseError(f"the same command is at work in {self.folder} ({who})", do="wait for it")
        raise InUseError(
            f"another command is at work in {self.folder} ({who})", do="wait for it, or choose another --out"
        )

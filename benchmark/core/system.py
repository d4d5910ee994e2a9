"""What the operating system refuses (room, rights, memory), as one line, whichever library was at work."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmark.core.errors import DiskFullError, FbenchError, RefusedBySystemError

_RIGHTS: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.EBUSY, errno.ETIMEDOUT)
_REMEDIES: Final = {
    **dict.fromkeys(_RIGHTS, "choose another --out"),
    errno.EFBIG: "raise the limit of file sizes (`ulimit -f`), or choose another --out",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "end other programs; the system has no more open files",
    errno.ENAMETOOLONG: "choose a shorter --out",
    errno.ESTALE: "the server of this folder forgot it: the same command goes on when it is back",
    errno.EIO: "look at the disk; the same command goes on when it is well",
}
"""What never is a bug of ours, and what to do about it."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_PLACES: Final = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY)
"""May be a bug as well; the user's where the place is the one that is written to."""

_NO_MEMORY: Final = re.compile(
    r"out of memory|not enough memory|can(?:no|')t allocate memory|std::bad_alloc|alloc_failed", re.IGNORECASE
)
_HALF_WRITTEN: Final = re.compile(
    # torch's archives and numpy's arrays keep the system's reason to themselves.
    r"PytorchStreamWriter failed|unexpected pos \d+|file write failed|iostream error"
    r"|\d+ requested and \d+ written|Parent directory .* does not exist"
)
_OS_ERROR: Final = re.compile(r"\(os error (\d+)\)")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system refuses while a file or folder is written into one line.

    Raises:
        DiskFullError: if there is no room.
        RefusedBySystemError: for anything else that the system refuses.
    """
    try:
        yield
    except Exception as error:
        refusal = refusal_of(error, path)
        if refusal is None:
            raise
        raise refusal from error


def refusal_of(error: BaseException, path: Path | None = None) -> RefusedBySystemError | None:
    """What to tell a user of an error behind which the operating system stands; None for any other.

    Args:
        error: Of whatever library; what it came from is looked at as well.
        path: What was being written.
    """
    if isinstance(error, FbenchError):
        return None
    for one in _with_causes(error):
        if isinstance(one, MemoryError) or (_is_of_a_library(one) and _NO_MEMORY.search(str(one))):
            return RefusedBySystemError(
                "there is not enough memory",
                do="take a smaller --batch-size or end other programs; the same command goes on",
            )
        code = _code(one)
        if code in _FULL:
            where = f": cannot write {path}" if path else ""
            room = "free some space or choose another --out; the same command resumes"
            return DiskFullError(f"the disk is full{where}", do=room)
        if code in _REMEDIES or (code in _PLACES and path is not None and _is_about(one, path)):
            name = getattr(one, "filename", None) or path
            given = f"cannot {'write' if path else 'open'} {name}" if name else "the system refuses"
            return RefusedBySystemError(
                f"{given}: {os.strerror(code)}", do=_REMEDIES.get(code, "choose another --out")
            )
        if _is_of_a_library(one) and (found := _HALF_WRITTEN.search(str(one))):
            given = f"cannot write {path}" if path else "a file cannot be written"
            return RefusedBySystemError(f"{given}: {found[0]}", do="look at room and rights of --out")
    return None


def _code(error: BaseException) -> int:
    """The system's number for what it refused; 0 where the error names none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    text = str(error)
    if named := _OS_ERROR.search(text):
        return int(named[1])
    if not _is_of_a_library(error):
        return 0
    said = {code: words for code in (*_FULL, *_REMEDIES) if (words := os.strerror(code)) in text}
    return max(said, key=lambda code: len(said[code]), default=0)  # "Too many open files" in more words


def _is_about(error: BaseException, path: Path) -> bool:
    """Whether the place that an error names is the one that is written to, or a folder above it."""
    name = getattr(error, "filename", None)
    if not isinstance(name, str | bytes | Path):
        return True
    place = Path(os.fsdecode(name))
    return place.is_relative_to(path.parent) or path.is_relative_to(place)


def _is_of_a_library(error: BaseException) -> bool:
    """Whether its text may quote the system: libraries put the system's words into errors of their own."""
    return isinstance(error, RuntimeError | OSError) or type(error).__module__ != "builtins"


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__

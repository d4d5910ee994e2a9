"""The names of what is being written, and how what a killed process left of it is cleared.

    .NAME.PID-XXXXXXXX.part.SUFFIX     a file on its way to NAME.SUFFIX
    .NAME.PID-XXXXXXXX.part            a folder on its way to NAME
    .NAME.PID.old                      a folder that NAME is about to take the place of

Readers never look at a name that begins with a dot.
"""

import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Final

_FILE: Final = re.compile(r"\..+\.\d+(-\w+)?\.part(\.[^.]*)?")
_PROCESS: Final = secrets.token_hex(4)
_FOLDER: Final = re.compile(r"\..+\.part(\.[^.]*)?")
_OLD: Final = re.compile(r"\.(?P<name>.+)\.\d+\.old")


def part_file(path: Path) -> Path:
    """Where a file is written; keeps the suffix, because many libraries choose a format by it."""
    # Two machines that share the folder may have processes of one number.
    return path.with_name(f".{path.stem}.{os.getpid()}-{_PROCESS}.part{path.suffix}")


def part_folder(path: Path) -> Path:
    """A new folder beside its place."""
    folder = tempfile.mkdtemp(prefix=f".{path.name}.{os.getpid()}-", suffix=".part", dir=path.parent)
    # mkdtemp makes a private folder; a result may be read by whoever may read its parent.
    Path(folder).chmod(0o755)
    return Path(folder)


def old_folder(path: Path) -> Path:
    """Where a folder stands for the moment in which it is replaced."""
    return path.with_name(f".{path.name}.{os.getpid()}.old")


def is_hidden(path: Path) -> bool:
    """Whether it is no finished file of a cache: a part, or what a file manager leaves."""
    return path.name.startswith(".")


def clear_leftovers(folder: Path, *, others: tuple[str, ...] = ()) -> None:
    """Removes what killed processes were writing; a folder that was about to be replaced comes back.

    Args:
        folder: In which nobody is writing now; need not exist.
        others: Names of files that mark a folder below as another command's, which clears its own.
    """
    for place, folders, files in os.walk(folder):
        here = Path(place)
        if here != folder and any(name in files for name in others):
            folders.clear()
            continue
        for name in files:
            if _FILE.fullmatch(name):
                (here / name).unlink(missing_ok=True)
        for name in [name for name in folders if name.startswith(".")]:
            if old := _OLD.fullmatch(name):
                _restore(here / name, here / old["name"])
            elif _FOLDER.fullmatch(name):
                shutil.rmtree(here / name)
        folders[:] = [name for name in folders if (here / name).is_dir()]


def _restore(old: Path, path: Path) -> None:
    """Puts a folder back whose successor never came, or removes it."""
    if path.exists():
        shutil.rmtree(old)
    else:
        old.rename(path)

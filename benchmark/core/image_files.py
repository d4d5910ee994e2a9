"""Which files below a folder are images: one answer for image sets, references, styles and preference data.

An image is a file whose ending Pillow reads, or would read with a plugin. Folders are walked, and links to
folders followed. Files that programs leave behind (``._x.png``, ``.ipynb_checkpoints``, ``Thumbs.db``) are no
images, whatever they hold; what is no image is named, so that nothing vanishes.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from benchmark.core.errors import UnreadableFileError

_LEFT_BEHIND: Final = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
_NEED_A_PLUGIN: Final = {".heic": "pillow_heif", ".heif": "pillow_heif", ".jxl": "pillow_jxl"}
"""Endings of images that Pillow learns to read from a package; without it they are images nobody can read."""


@dataclass(frozen=True)
class ImageFiles:
    """What lies below a folder, each part in the order of its paths.

    Attributes:
        folder: The folder.
        images: Its images, also those that cannot be decoded, and links to nothing that are named as images.
        others: Files that are no images.
        hidden: Files that begin with a dot or lie in a folder that does, and others that programs leave.
        repeated: Links to folders that are among these already: a cycle, or a second way to the same files.
    """

    folder: Path
    images: tuple[Path, ...]
    others: tuple[Path, ...]
    hidden: tuple[Path, ...]
    repeated: tuple[Path, ...]

    def passed_over(self, used: Sequence[Path] = ()) -> str:
        """What is not an image, counted and named in words; empty if there is nothing.

        Args:
            used: Files that were read for another purpose, such as texts.
        """
        others = [path for path in self.others if path not in set(used)]
        parts = [
            counted(others, self.folder, "is no image", "are no images"),
            counted(self.hidden, self.folder, "is hidden", "are hidden"),
            counted(self.repeated, self.folder, "is there already", "are there already", "linked folder"),
        ]
        return "; ".join(part for part in parts if part)


def find_images(folder: Path) -> ImageFiles:
    """All that lies below a folder, links to folders followed, each folder once.

    Raises:
        UnreadableFileError: if a folder cannot be listed.
    """
    images: list[Path] = []
    others: list[Path] = []
    hidden: list[Path] = []
    repeated: list[Path] = []
    seen: set[tuple[int, int]] = set()
    waiting = deque([(folder, False)])
    while waiting:
        place, concealed = waiting.popleft()
        if _identity(place) in seen:
            repeated.append(place)
            continue
        seen.add(_identity(place))
        for name in _names(place):
            path, left = place / name, concealed or _is_left_behind(name)
            link = path.is_symlink()
            if path.is_dir() and not (link and left):
                # Links come last, so that files have the names that they have without them.
                (waiting.append if link else waiting.appendleft)((path, left))
            elif left:
                hidden.append(path)
            else:
                # A pipe would be waited for; a link to nothing is an image that is missing.
                readable = path.is_file() or (link and not path.exists())
                (images if is_image(path) and readable else others).append(path)
    return ImageFiles(folder, *(tuple(sorted(part)) for part in (images, others, hidden, repeated)))


def is_image(path: Path) -> bool:
    """Whether a file's ending is that of an image."""
    return path.suffix.lower() in _endings()


def counted(paths: Sequence[Path], folder: Path, one: str, several: str, what: str = "file") -> str:
    """Paths in words, three of them by name: ``2 files are no images: notes.md, a.csv``; empty for none.

    Args:
        paths: The paths.
        folder: They are named from there.
        one: What is said of one.
        several: What is said of several.
        what: What one of them is.
    """
    if not paths:
        return ""
    names = [path.relative_to(folder).as_posix() for path in paths[:3]]
    dots = " ..." if len(paths) > 3 else ""
    number = f"1 {what} {one}" if len(paths) == 1 else f"{len(paths):,} {what}s {several}"
    return f"{number}: {', '.join(names)}{dots}"


@cache
def load_plugins() -> None:
    """Lets Pillow read what installed packages can decode: HEIC and JPEG XL."""
    with suppress(ImportError):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    with suppress(ImportError):
        import pillow_jxl  # noqa: F401  # registers itself


def why_not_decoded(path: Path | str) -> str:
    """What to install for an image that Pillow alone cannot read; empty where nothing would help."""
    plugin = _NEED_A_PLUGIN.get(Path(path).suffix.lower(), "")
    return f"`pip install {plugin.replace('_', '-')}` lets Pillow read it" if plugin else ""


@cache
def _endings() -> frozenset[str]:
    from PIL import Image, ImageFile

    # Pillow tries formats in the order in which it met them: the usual ones first make it twice as quick.
    Image.preinit()
    load_plugins()
    formats = Image.registered_extensions()
    # Data files and films that Pillow can name and not decode are no images.
    stubs = {
        name
        for name, (opener, _) in Image.OPEN.items()
        if isinstance(opener, type) and issubclass(opener, ImageFile.StubImageFile)
    } | {"MPEG"}
    readable = (Image.OPEN.keys() | {"MPO"}) - stubs
    return frozenset(end for end, name in formats.items() if name in readable) | frozenset(_NEED_A_PLUGIN)


def _is_left_behind(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise UnreadableFileError(folder, "a folder of images", error.strerror or error) from error


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino

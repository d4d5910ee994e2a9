"""What a file or folder is called, and how several of one name are told apart."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from benchmark.core.errors import UserError

_UNFIT = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
"""What no file name may hold somewhere."""


def name_of(path: Path, endings: Collection[str] = ()) -> str:
    """The name of a file without its ending, or the whole name of a folder, fit to be an id.

    A folder has no ending, and of a file only those that are known are one: ``sdxl-1.0`` keeps its ``.0``.

    Args:
        path: Need not exist; ``.`` and ``..`` are called as the folders that they mean.
        endings: Such as ``.jsonl``, in lower case.

    Returns:
        Without what a file name must not hold, and without dots in front; empty if nothing is left.

    Raises:
        UserError: as of :func:`fit_name`.
    """
    # A link is called as the user calls it, `..` as what it means.
    name = path.name if path.name not in ("", "..") else path.resolve().name
    if path.suffix.lower() in endings and not path.is_dir():
        name = name[: -len(path.suffix)]
    return fit_name(name)


def fit_name(name: str) -> str:
    """The name as a file or folder can have it on any system.

    Example:
        >>> fit_name("stabilityai/sdxl-1.0")
        'stabilityai_sdxl-1.0'

    Raises:
        UserError: if it is no text, as the bytes of a file's name need not be.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"the name {name!a} is not UTF-8", do="rename it") from error
    return _UNFIT.sub("_", name).lstrip(".").strip()


def told_apart(names: Sequence[str], places: Sequence[Path]) -> list[str]:
    """The names, with as much of its place in front as tells each from others of its name.

    Args:
        names: As the user would call the things.
        places: Where each of them lies.

    Returns:
        One name each, all different; a name that nothing else has stays as it is.

    Example:
        >>> told_apart(["images", "images", "b"], [Path("x/images"), Path("y/images"), Path("b")])
        ['x_images', 'y_images', 'b']
    """
    found = list(names)
    for name in _repeated(names):
        alike = [i for i, other in enumerate(names) if other == name]
        parts = [[name_of(Path(part)) for part in places[i].absolute().parts[1:]] for i in alike]
        # The end that all places share, such as `images`, tells nothing.
        while all(len(p) > 1 for p in parts) and len({p[-1] for p in parts}) == 1:
            parts = [p[:-1] for p in parts]
        for depth in range(1, max(map(len, parts)) + 1):
            longer = ["_".join([*p[-depth:], name]) for p in parts]
            if not _repeated(longer):
                break
        for i, told in zip(alike, longer, strict=True):
            found[i] = told
    for i, name in enumerate(found):
        # Two spellings of one place, or a name that somebody else has: a number is left.
        number = 2
        while found[i] in found[:i]:
            found[i] = f"{name}-{number}"
            number += 1
    return found


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]

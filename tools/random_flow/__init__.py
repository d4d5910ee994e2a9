"""Folders of flow models in the published layout, tiny and with random weights: one module a family.

Each has `write_random_folder(folder, seed=0, ...)`; `write_random_folder` here finds it by the family's name.
"""

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any, Final

FAMILIES: Final = tuple(info.name for info in pkgutil.iter_modules(__path__) if info.name != "parts")


def write_random_folder(family: str, folder: Path, **settings: Any) -> Path:
    """A tiny folder of a family.

    Args:
        family: Its name, that of a module here.
        folder: Where.
        settings: Of that module's function.
    """
    made: Path = import_module(f"{__name__}.{family}").write_random_folder(folder, **settings)
    return made

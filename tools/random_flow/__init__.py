"""Folders of flow models in the published layout, tiny and with random weights: one module a family.

Each has `write_random_folder(folder, seed=0, ...)` and `diffusers_images(folder, prompts, seeds, sampler,
adapter)`, what a script without fbench makes of it. The functions of these names here find them by the name.
"""

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmark.core.records import Sampler

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

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


def diffusers_images(
    family: str,
    folder: Path,
    prompts: list[str],
    seeds: list[int],
    sampler: Sampler,
    adapter: Path | None = None,
) -> "RGB":
    """Images by plain diffusers, with a generator for each.

    Args:
        family: Its name, that of a module here.
        folder: Of the pipeline.
        prompts: One for each image.
        seeds: Likewise.
        sampler: Steps and guidance.
        adapter: A folder or file that diffusers' `load_lora_weights` opens.
    """
    module = import_module(f"{__name__}.{family}")
    made: RGB = module.diffusers_images(folder, prompts, seeds, sampler, adapter)
    return made

"""Folders of flow models in the published layout, tiny and with random weights: one module a family.

Each has `write_random_folder(folder, seed=0, ...)`, the facts `PUBLISHED`, and what a script without fbench
makes of a folder: `diffusers_images(folder, prompts, seeds, sampler, adapter, ...)` and
`diffusers_told(folder, prompts)`. The functions of these names here find them by the name.
"""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from benchmark.core.records import Sampler
from tools.random_flow.published import Published

if TYPE_CHECKING:
    from torch import Tensor

    from benchmark.core.pixels import RGB

Told: TypeAlias = "Mapping[str, Tensor]"
_SHARED: Final = ("parts", "published")
FAMILIES: Final = tuple(info.name for info in pkgutil.iter_modules(__path__) if info.name not in _SHARED)


def published(family: str) -> Published:
    """What is known of a family.

    Args:
        family: Its name, that of a module here.
    """
    found: Published = import_module(f"{__name__}.{family}").PUBLISHED
    return found


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
    **settings: Any,
) -> "RGB":
    """Images by plain diffusers, with a generator for each.

    Args:
        family: Its name, that of a module here.
        folder: Of the pipeline.
        prompts: One for each image.
        seeds: Likewise.
        sampler: Steps and guidance.
        adapter: A folder or file that diffusers' `load_lora_weights` opens.
        settings: Of the call, such as `output_type="latent"`.
    """
    module = import_module(f"{__name__}.{family}")
    made: RGB = module.diffusers_images(folder, prompts, seeds, sampler, adapter, **settings)
    return made


def diffusers_told(family: str, folder: Path, prompts: list[str]) -> tuple[Told, Told]:
    """What plain diffusers tells the transformer of prompts, and of no prompt, in the parts of ours.

    Args:
        family: Its name, that of a module here.
        folder: Of the pipeline.
        prompts: Any.
    """
    told: tuple[Told, Told] = import_module(f"{__name__}.{family}").diffusers_told(folder, prompts)
    return told

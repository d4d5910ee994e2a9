"""The one place that finds the data fbench comes with, in an installed wheel or in a checkout.

A wheel carries the folders that stand beside the packages as ``benchmark/data/...``; a checkout has them
where they are written. Weights and data of the embedded world are inside the package both ways.
"""

from pathlib import Path

import benchmark
from benchmark.core.errors import MissingFileError

_PACKAGE = Path(benchmark.__file__).resolve().parent


def checkout() -> Path | None:
    """The root of the checkout this runs from; None for an installed wheel."""
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "fbench.py").is_file() else None


def prompts_folder() -> Path:
    """The folder of the prompt sets."""
    return _beside_the_packages("prompts", "prompts")


def baselines_folder() -> Path:
    """The folder of the gate's committed baselines."""
    return _beside_the_packages("baselines", "results/baselines")


def shapes_weights(name: str = "") -> Path:
    """A model of the embedded world, or the folder of all of them.

    Raises:
        MissingFileError: if it is not there; names the ones that are close.
    """
    return _inside("shapes/weights", name, "weights of the embedded world")


def oracle_weights() -> tuple[Path, Path]:
    """The oracle that evaluates, and its calibration.

    Raises:
        MissingFileError: as :func:`shapes_weights`.
    """
    return shapes_weights("oracle"), shapes_weights("truth/oracle.json")


def shapes_data(name: str = "") -> Path:
    """A data set of the embedded world, or the folder of all of them.

    Raises:
        MissingFileError: if it is not there; names the ones that are close.
    """
    return _inside("shapes/data", name, "data of the embedded world")


def _beside_the_packages(packed: str, in_checkout: str) -> Path:
    root = checkout()
    return root / in_checkout if root else _PACKAGE / "data" / packed


def _inside(folder: str, name: str, what: str) -> Path:
    path = _PACKAGE / folder / name
    if not path.exists():
        raise MissingFileError(
            path,
            what,
            do="the package is incomplete: install it anew; in a checkout, see docs/embedded-world.md",
        )
    return path

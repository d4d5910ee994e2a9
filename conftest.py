"""Docstring examples are tests wherever there are any; a module without one is not imported for them."""

from pathlib import Path

import pytest

_PACKAGES = [Path(__file__).parent / name for name in ("benchmark", "trainers")]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skips the modules of the packages that have no example: importing all of them takes a while."""
    ours = any(package in collection_path.parents for package in _PACKAGES)
    if ours and collection_path.suffix == ".py" and ">>> " not in collection_path.read_text(encoding="utf-8"):
        return True
    return None

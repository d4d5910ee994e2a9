"""Data is found in a checkout and in a wheel; what is not there is one line."""

from pathlib import Path

import pytest

from benchmark.core import resources
from benchmark.core.errors import MissingFileError


def test_a_checkout_has_its_data_beside_the_packages() -> None:
    root = resources.checkout()
    assert root is not None
    assert resources.prompts_folder() == root / "prompts"
    assert resources.baselines_folder() == root / "results" / "baselines"


def test_a_wheel_has_its_data_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "benchmark")
    assert resources.checkout() is None
    assert resources.prompts_folder() == tmp_path / "benchmark" / "data" / "prompts"
    assert resources.baselines_folder() == tmp_path / "benchmark" / "data" / "baselines"


def test_missing_weights_say_how_to_make_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path)
    (tmp_path / "shapes" / "weights" / "clip").mkdir(parents=True)
    assert resources.shapes_weights("clip").is_dir()
    with pytest.raises(MissingFileError, match=r"no weights of the embedded world at .*did you mean clip\?"):
        resources.shapes_weights("clib")
    with pytest.raises(MissingFileError, match="install it anew"):
        resources.shapes_data("prefs")

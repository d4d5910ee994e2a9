"""What a scorer changes in the process changes no other scorer's numbers, and not its own later ones."""

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.core.records import Axis, ImageSet, ScoreRow
from benchmark.evaluate import scoring
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.scorers import Scorer
from benchmark.scorers.base import ImageScorer, Shown, Value
from benchmark.scorers.engine.isolation import _settings

MakeSet = Callable[..., ImageSet]

CHANGES: dict[str, Callable[[Path], object]] = {
    "folder": os.chdir,
    "environment": lambda folder: os.environ.update(FBENCH_WEIGHTS=str(folder), PATH=""),
    "random": lambda _: random.seed(7),
    "numpy.random": lambda _: np.random.seed(7),  # noqa: NPY002  # what libraries do
    "numpy.errors": lambda _: np.seterr(all="raise"),
    "torch.random": lambda _: torch.manual_seed(7),
    "torch.dtype": lambda _: torch.set_default_dtype(torch.float64),
    "torch.device": lambda _: torch.set_default_device("meta"),
    "torch.gradients": lambda _: torch.set_grad_enabled(False),
    "torch.threads": lambda _: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch.precision": lambda _: torch.set_float32_matmul_precision("medium"),
    "torch.deterministic": lambda _: torch.use_deterministic_algorithms(True),
    "pillow.limit": lambda _: setattr(Image, "MAX_IMAGE_PIXELS", 1),
}


class _Guest(ImageScorer):
    """Changes something wherever it can, and draws over the images."""

    name: ClassVar[str] = "guest"
    axis: ClassVar[Axis] = "texture"
    weights_hash = ""

    def __init__(self, change: Callable[[], object]) -> None:
        self.change = change

    def load(self, device: str = "cpu") -> None:
        self.change()

    def values(self, shown: Shown) -> Sequence[Value]:
        self.change()
        for image in shown.images:
            image[:] = 0
        for feature in shown.each("state:1", _state):
            with pytest.raises(ValueError, match="read-only"):
                feature[:] = 0
        return [0.0] * len(shown)


class _Sensitive(ImageScorer):
    """A number of everything that the process tells: what another scorer changes would change it."""

    name: ClassVar[str] = "sensitive"
    axis: ClassVar[Axis] = "texture"
    weights_hash = ""

    def load(self, device: str = "cpu") -> None:
        self._network = torch.nn.Linear(1, 1)

    def values(self, shown: Shown) -> Sequence[Value]:
        weight = float(self._network.weight.detach().sum()) + float(torch.rand(())) + np.random.rand()  # noqa: NPY002
        told = f"{os.environ.get('FBENCH_WEIGHTS')} {Path.cwd()} {torch.is_grad_enabled()} {np.geterr()}"
        told += f"{torch.get_default_dtype()} {torch.get_num_threads()} {Image.MAX_IMAGE_PIXELS}"
        own = weight + random.random() + sum(told.encode())
        return [own + float(i.mean()) + float(f.sum()) for i, f in zip(shown.images, _of(shown), strict=True)]


def _state(shown: Shown) -> list[np.ndarray]:
    return [image.mean((0, 1)) for image in shown.images]


def _of(shown: Shown) -> list[np.ndarray]:
    return shown.each("state:1", _state)


def rows_of(images: ImageSet, scorers: Sequence[Scorer], out: Path) -> list[ScoreRow]:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    return score_all(images, scorers, Loaded("cpu"), ScoreCache(out), lambda done, of: None)


@pytest.fixture(autouse=True)
def no_golden_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "ensure", lambda scorer: None)


def test_every_setting_that_is_kept_apart_is_changed_here() -> None:
    assert set(_settings()) - {"cuda.random"} == set(CHANGES)


@pytest.mark.parametrize("what", CHANGES)
def test_a_guest_changes_nobodys_numbers(make_set: MakeSet, tmp_path: Path, what: str) -> None:
    images = make_set(prompts=4, k=2)
    alone = rows_of(images, [_Sensitive()], tmp_path / "alone")
    before = {name: str(read()) for name, (read, _) in _settings().items() if "random" not in name}
    guest = _Guest(lambda: CHANGES[what](tmp_path))
    both = rows_of(images, [guest, _Sensitive(), _Again()], tmp_path / "both")
    after = {name: str(read()) for name, (read, _) in _settings().items() if "random" not in name}
    assert after == before
    assert {row.note for row in both} == {""}
    assert [row.value for row in both if row.scorer == "sensitive"] == [row.value for row in alone]


class _Again(_Guest):
    """A second guest, that changes nothing itself."""

    name: ClassVar[str] = "again"

    def __init__(self) -> None:
        super().__init__(lambda: None)


def test_what_a_scorer_set_while_it_loaded_it_finds_again(make_set: MakeSet, tmp_path: Path) -> None:
    class Careless(_Guest):
        name: ClassVar[str] = "careless"

        def values(self, shown: Shown) -> Sequence[Value]:
            told = (torch.is_grad_enabled(), torch.get_default_dtype(), os.environ.get("MINE"), Path.cwd())
            assert told == (False, torch.float64, "1", tmp_path)
            return [1.0] * len(shown)

    def change() -> None:
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        os.environ["MINE"] = "1"
        os.chdir(tmp_path)

    rows = rows_of(make_set(prompts=2), [Careless(change), _Sensitive()], tmp_path / "out")
    assert all(row.status == "ok" for row in rows), rows[0].note
    assert torch.is_grad_enabled()
    assert "MINE" not in os.environ

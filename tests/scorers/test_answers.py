"""Whatever a scorer answers or does: a number that statistics can carry, or a row that says why not."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from benchmark.core.errors import UserError
from benchmark.core.records import Axis, ImageSet, ScoreRow
from benchmark.core.records.scores import LARGEST
from benchmark.evaluate import scoring
from benchmark.evaluate.results import columns_of, score_table
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.leaderboard import build_leaderboard, rows_to_frame
from benchmark.scorers import Scorer, make_scorers
from benchmark.scorers.base import ImageScorer, PromptScorer, SetScorer, Shown

MakeSet = Callable[..., ImageSet]


class Panic(BaseException):
    """What compiled code raises that is no `Exception`, as Rust's libraries do."""


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


NUMBERS: dict[str, Any] = {
    "int": 3, "bool": True, "float32": np.float32(0.1), "float64": np.float64(0.1), "int64": np.int64(7),
    "zero-dimensional": np.array(0.5), "tensor": torch.tensor(0.25),
    "bfloat16": torch.tensor(0.5, dtype=torch.bfloat16), "fraction": Fraction(1, 2), "largest": LARGEST,
    "least": -LARGEST, "subnormal": 5e-324,
}  # fmt: skip
FAULTS: dict[str, Any] = {
    "nan": math.nan, "inf": math.inf, "-inf": -math.inf, "1e308": 1e308, "beyond": -1.001 * LARGEST,
    "huge int": 10**400, "complex": 1j, "numpy complex": np.complex64(1), "text": "0.5", "bytes": b"1",
    "nothing": None, "generator": (x for x in "ab"), "list": [0.5], "array": np.zeros(2),
    "tensor of two": torch.zeros(2), "object": object(), "numpy text": np.str_("0.5"),
}  # fmt: skip
RAISED: dict[str, BaseException] = {
    "RuntimeError": RuntimeError("no"), "sys.exit()": SystemExit(), "sys.exit(0)": SystemExit(0),
    "sys.exit(text)": SystemExit("usage: score FILE"), "panic": Panic("index out of bounds"),
    "GeneratorExit": GeneratorExit(), "StopIteration": StopIteration(), "MemoryError": MemoryError(),
    "AssertionError": AssertionError(),
}  # fmt: skip


class _Says(ImageScorer):
    """Answers the same for every image of k = 1, and 0.5 for the others."""

    name: ClassVar[str] = "says"
    axis: ClassVar[Axis] = "texture"
    weights_hash = ""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def load(self, device: str = "cpu") -> None: ...

    def values(self, shown: Shown) -> Sequence[Any]:
        return [self.act() if record.seed == 1 else 0.5 for record in shown.records]


class _SaysOfPrompt(PromptScorer):
    name: ClassVar[str] = "says_of_prompt"
    axis: ClassVar[Axis] = "diversity"
    weights_hash = ""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def load(self, device: str = "cpu") -> None: ...

    def value(self, shown: Shown) -> Any:
        return self.act()


class _SaysOfSet(SetScorer):
    name: ClassVar[str] = "says_of_set"
    axis: ClassVar[Axis] = "fidelity"
    weights_hash = ""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def load(self, device: str = "cpu") -> None: ...

    def look(self, shown: Shown) -> None:
        self.act()

    def value(self, shown: Shown) -> Any:
        return self.act()


KINDS = (_Says, _SaysOfPrompt, _SaysOfSet)


@pytest.fixture(scope="module")
def images(random_world: Any, tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Three prompts with two images each."""
    made: ImageSet = random_world.render_set(tmp_path_factory.mktemp("images"), prompts=3, k=2)
    return made


@pytest.fixture(autouse=True)
def no_golden_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "ensure", lambda scorer: None)


def rows_of(images: ImageSet, scorers: Sequence[Scorer], out: Path) -> list[ScoreRow]:
    return score_all(images, scorers, Loaded("cpu"), ScoreCache(out), lambda done, of: None)


def concerned(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Those of images of k = 1, or about prompts and sets."""
    return [row for row in rows if row.seed in (1, None)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", NUMBERS)
def test_what_is_a_number_is_that_number(images: ImageSet, tmp_path: Path, kind: Any, answer: str) -> None:
    rows = rows_of(images, [kind(lambda: NUMBERS[answer])], tmp_path / "out")
    assert {(row.status, row.value) for row in concerned(rows)} == {("ok", float(NUMBERS[answer]))}
    assert {type(row.value) for row in rows} == {float}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", [*FAULTS, *RAISED])
def test_anything_else_is_an_error_row_of_its_own(
    images: ImageSet, tmp_path: Path, kind: Any, answer: str
) -> None:
    act = raising(RAISED[answer]) if answer in RAISED else lambda: FAULTS[answer]
    rows = rows_of(images, [kind(act), _Says(lambda: 0.25)][: 1 + (kind is not _Says)], tmp_path / "out")
    mine = [row for row in rows if row.scorer == kind.name]
    assert {row.status for row in concerned(mine)} == {"error"}
    assert all(row.note.isprintable() and len(row.note) < 400 for row in concerned(mine))
    assert {row.value for row in rows if row.seed == 0} == {0.5}, "others, and their images, are as ever"


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_statistics_carry_the_largest_numbers(make_set: MakeSet, tmp_path: Path, sign: float) -> None:
    """Means, intervals, tests and ranks of numbers at the bound are finite, and of both signs."""
    rng = np.random.default_rng(0)
    scorers = [_Says(lambda: sign * LARGEST * rng.uniform(0.1, 1.0)), _SaysOfPrompt(lambda: -sign * LARGEST)]
    sets = [make_set(prompts=8, k=2, name=name) for name in ("base", "other")]
    rows = [row for images in sets for row in rows_of(images, scorers, tmp_path / images.checkpoint.id)]
    columns = columns_of(scorers, [images.checkpoint for images in sets], ())
    board = build_leaderboard([score_table(rows_to_frame(rows), sets, columns, {})])
    for row in board.rows:
        for cell in row.cells:
            numbers = [cell.mean, cell.lo, cell.hi, cell.difference, cell.p_value, cell.detectable]
            assert all(number is None or math.isfinite(number) for number in numbers)
            assert cell.mean is not None


def test_ctrl_c_is_the_users_and_no_row(images: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        rows_of(images, [_Says(raising(KeyboardInterrupt()))], tmp_path)


@pytest.mark.parametrize("way", ["import", "__init__", "weights_hash", "load"])
@pytest.mark.parametrize("error", ["SystemExit(0)", "RuntimeError('no luck')", "KeyError('x')"])
def test_what_fails_before_there_are_rows_is_one_line(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, error: str
) -> None:
    from benchmark.scorers.requirements import require_weights

    bodies = dict.fromkeys(("__init__", "load"), "pass") | {"weights_hash": "return ''"}
    bodies[way] = f"raise {error}"
    monkeypatch.chdir(tmp_path)  # a long path would be cut off in the message
    file = Path("mine.py")
    file.write_text(
        "from benchmark.scorers.base import ImageScorer\n"
        f"{bodies.get('import', 'pass')}\n"
        "class Mine(ImageScorer):\n"
        "    name, axis = 'mine', 'texture'\n"
        f"    def __init__(self): {bodies['__init__']}\n"
        "    @property\n"
        f"    def weights_hash(self): {bodies['weights_hash']}\n"
        f"    def load(self, device='cpu'): {bodies['load']}\n"
        "    def values(self, shown): return [0.5] * len(shown)\n"
    )

    def walk() -> None:
        scorers = make_scorers([f"{file}:Mine"], "embedded")
        require_weights(scorers)
        rows_of(images, scorers, tmp_path)

    with pytest.raises(UserError) as raised:
        walk()
    assert str(file) in str(raised.value) or "scorer mine" in str(raised.value)
    assert error.partition("(")[0] in str(raised.value)
    assert "\n" not in str(raised.value)

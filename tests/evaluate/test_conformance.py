"""The golden images: every embedded scorer gives its scores, and a changed one is caught before it scores."""

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from benchmark.core import resources
from benchmark.core.errors import UserError
from benchmark.evaluate import conformance
from benchmark.evaluate.conformance import check, difference, ensure, expected_of, golden_images, tolerance
from benchmark.evaluate.scoring import Loaded
from benchmark.networks import open_clip as towers
from benchmark.networks import pixels
from benchmark.scorers import Scorer, make_scorers, scorers
from benchmark.scorers.engine.images import forget

REAL = resources.shapes_data(conformance.FOLDER)


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is checked or recorded yet, and nothing is remembered of the images."""
    monkeypatch.setenv("FBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(conformance, "_CHECKED", set())
    golden_images.cache_clear()
    yield
    golden_images.cache_clear()


def loaded(text: str) -> Scorer:
    (scorer,) = make_scorers([text], "embedded")
    scorer.load()
    return scorer


def test_the_kit_is_small_and_whole() -> None:
    images = golden_images(REAL)
    assert sum(path.stat().st_size for path in REAL.iterdir()) < 100_000
    sizes = {images.open(record).shape[:2] for record in images}
    assert (64, 64) in sizes
    assert len(sizes) > 2, "without odd sizes nothing would be resized"
    assert {"van_gogh", "sketch", "winter"} <= {prompt.style for prompt in images.prompt_set}


def in_the_kit(name: str) -> bool:
    """Not those without embedded weights, nor those whose number is not about images alone."""
    kind = scorers.get(name)
    weights = inspect.signature(kind).parameters.get("weights")
    return getattr(kind, "axis", "") != "distance" and (weights is None or weights.default != "published")


@pytest.mark.parametrize("name", [name for name in scorers.names() if in_the_kit(name)])
def test_every_embedded_scorer_gives_its_committed_scores(name: str) -> None:
    scorer = loaded(name)
    key, version = conformance.scorer_key(scorer), conformance.fp32_version(scorer)
    again = "run python -m tools.conformance"
    assert expected_of(REAL / conformance.EXPECTED).get(key, {}).get("version") == version, again
    found = check(scorer)
    assert found.verdict == "conforms", f"{found.note}; {again}"


def rougher(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another library's default would do: resize without smoothing."""
    from torchvision.transforms import InterpolationMode

    resize = vars(pixels)["resize"]

    def mutated(image: Any, size: Any, mode: Any = None, **options: Any) -> Any:
        return resize(image, size, InterpolationMode.NEAREST)

    for module in (pixels, towers):
        monkeypatch.setattr(module, "resize", mutated)


def darker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels in [0, 255/256) instead of [0, 1]."""
    to_tensor = pixels.unit_range
    for module in (pixels, towers):
        monkeypatch.setattr(module, "unit_range", lambda image: to_tensor(image) * 0.9)


@pytest.mark.parametrize("mutate", [rougher, darker])
@pytest.mark.parametrize("name", ["clip", "hps", "pickscore", "imagereward"])
def test_changed_preprocessing_is_refused_before_anything_is_scored(
    name: str, mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = loaded(name)
    forget(golden_images(REAL))
    mutate(monkeypatch)
    with pytest.raises(UserError, match=rf"scorer {name}.* is .* and should be .* within") as caught:
        ensure(scorer)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=f"scorer {name}"):
        Loaded("cpu").load([scorer])


def test_a_scorer_is_checked_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Scorer] = []

    def counted(scorer: Scorer) -> conformance.Conformance:
        calls.append(scorer)
        return check(scorer)

    monkeypatch.setattr(conformance, "check", counted)
    scorer = loaded("clip")
    ensure(scorer)
    ensure(scorer)
    assert len(calls) == 1


def test_half_precision_conforms_within_its_own_tolerance() -> None:
    scorer = loaded("clip(precision='bf16')")
    assert "+bf16" in scorer.scorer_version
    assert check(scorer).verdict == "conforms"


def test_other_weights_are_recorded_and_a_later_difference_is_a_warning(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scorer = loaded("clip")
    assert check(scorer).verdict == "recorded"
    assert check(scorer).verdict == "conforms"
    path = conformance.record_file()
    ((key, values),) = json.loads(path.read_text()).items()
    assert key.endswith(scorer.scorer_version)
    path.write_text(json.dumps({key: {where: value + 50 for where, value in values.items()}}))
    ensure(scorer)
    said = capsys.readouterr().err
    assert said.startswith("warning: scorer clip")
    assert str(path) in said
    assert "should be" in said
    # Weights with another hash are other weights.
    assert check(loaded("clip(precision='bf16')")).verdict == "recorded"


def test_a_record_that_cannot_be_written_stops_nobody(world: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file where a folder should be")
    found = check(loaded("clip"))
    assert found.verdict == "recorded"
    assert "not recorded" in found.note


def test_the_largest_difference_is_named() -> None:
    expected = {"a/0": 1.0, "a/1": 2.0, "b/0": 3.0}
    assert difference({"a/0": 1.0, "a/1": 2.0, "b/0": 3.0, "c/0": 9.0}, expected, 0.1) == ""
    said = difference({"a/0": 1.2, "a/1": 2.5, "b/0": 3.0}, expected, 0.1)
    assert said == "a/1 is 2.5 and should be 2 within 0.1 (2 of 3 differ)"
    assert "b/0 is no number" in difference({"a/0": 1.0, "a/1": 2.0}, expected, 0.1)
    assert 0 < tolerance(expected) < 0.1
    assert tolerance({"set": 50.0}) == pytest.approx(2.5)


def test_one_hard_decision_in_ten_may_fall_the_other_way() -> None:
    expected = {f"a/{k}": 1.0 for k in range(12)}
    assert difference(expected | {"a/3": 0.0}, expected, 0.1) == ""
    assert "2 of 12 differ" in difference(expected | {"a/3": 0.0, "a/4": 0.0}, expected, 0.1)


def test_the_doctor_checks_all_scorers(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from benchmark.cli.app import app

    def doctor() -> Result:
        return CliRunner().invoke(app, ["doctor", "--conformance", "--json"], catch_exceptions=False)

    first = doctor()
    assert first.exit_code == 0
    # What random weights read has no diversity to record.
    assert {found["verdict"] for found in json.loads(first.stdout)} == {"recorded", "unknown"}
    path = conformance.record_file()
    changed = {key: dict.fromkeys(values, 1e6) for key, values in json.loads(path.read_text()).items()}
    path.write_text(json.dumps(changed))
    golden_images.cache_clear()
    again = doctor()
    assert again.exit_code == 2
    assert "other scores than they should" in again.stderr

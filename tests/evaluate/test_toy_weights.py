"""Embedded toy models are called so, and say when they are shown what is not of their world."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmark.core import resources
from benchmark.core.records import Prompt
from benchmark.evaluate.conformance import FOLDER, golden_images
from benchmark.evaluate.external_images import read_images
from benchmark.evaluate.toy_weights import strangers
from benchmark.prompt_sets import load_prompt_set
from benchmark.scorers import make_scorers, scorers
from benchmark.shapes.grammar import parse

TOYS = [
    name
    for name in scorers.names()
    if scorers.get(name).published and name not in ("aesthetic", "dino_diversity", "vqa")  # type: ignore[attr-defined]
]


@pytest.mark.parametrize("name", TOYS)
def test_a_toy_model_is_called_so(name: str) -> None:
    (toy,) = make_scorers([name], "embedded")
    assert toy.is_embedded
    assert toy.column().label == f"{name} (embedded)"


def test_what_has_no_published_weights_keeps_its_name() -> None:
    names = [name for name in scorers.names() if not scorers.get(name).published]  # type: ignore[attr-defined]
    assert {"oracle", "true_taste", "entropy"} <= set(names)
    for scorer in make_scorers(names, "embedded"):
        assert scorer.column().label == scorer.name


@pytest.mark.parametrize("name", TOYS)
def test_weights_are_published_ones_unless_told_otherwise(name: str) -> None:
    assert scorers.get(name)().weights == "published"  # type: ignore[attr-defined]
    (made,) = make_scorers([name])
    assert made.weights == "published"  # type: ignore[attr-defined]
    assert not made.is_embedded


@pytest.mark.parametrize("name", ["shapes-core", "shapes-validation", "shapes-style"])
def test_texts_of_the_embedded_world_are_known(name: str) -> None:
    assert not any(map(_is_strange, load_prompt_set(name)))


@pytest.mark.parametrize("name", ["open-100", "open-attributes"])
def test_texts_of_other_worlds_are_strange(name: str) -> None:
    prompts = load_prompt_set(name)
    assert sum(_is_strange(prompt) for prompt in prompts) > 0.95 * len(prompts)


def _is_strange(prompt: Prompt) -> bool:
    try:
        parse(prompt.text)
    except ValueError:
        return True
    return False


def set_of(folder: Path, size: tuple[int, int], text: str) -> Path:
    folder.mkdir()
    for i in range(2):
        Image.new("RGB", size, (i, 0, 0)).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(text)
    return folder


def test_strangers_are_counted_and_named(tmp_path: Path) -> None:
    toys = make_scorers(["clip", "entropy"], "embedded")
    known = read_images(set_of(tmp_path / "known", (64, 64), "a red star"))
    assert strangers(known, toys) == ""
    photos = read_images(set_of(tmp_path / "photos", (512, 384), "a red star"))
    said = strangers(photos, toys)
    assert said.startswith("clip (embedded) is a toy model of fbench's own world")
    assert "2 of 2 pictures are not (512 x 384): the numbers say nothing about them" in said
    texts = read_images(set_of(tmp_path / "texts", (64, 64), "a photo of a cat"))
    assert "1 of 1 texts are not ('a photo of a cat')" in strangers(texts, toys)
    assert strangers(photos, make_scorers(["entropy"])) == ""


def test_golden_images_of_the_world_are_none() -> None:
    golden = golden_images(resources.shapes_data(FOLDER))
    odd = [r for r in golden if Image.open(r.path).size != (64, 64)]
    assert len(odd) < len(golden) / 2


def test_the_warning_is_said_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.evaluate import toy_weights

    monkeypatch.setattr(toy_weights, "_SAID", set[str]())
    photos = read_images(set_of(tmp_path / "photos", (96, 96), "a photo of a cat"))
    say: Callable[..., None] = toy_weights.warn_of_strangers
    for _ in range(2):
        say(photos, make_scorers(["clip"], "embedded"))
    heard = capfd.readouterr().err
    assert heard.count("warning: clip (embedded) is a toy model") == 1

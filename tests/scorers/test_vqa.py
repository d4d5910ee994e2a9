"""The answer yes: the library's own first token, pixels and layout, one question at a time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import BertTokenizer, BlipForQuestionAnswering
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from benchmark.core.errors import MissingWeightsError, UnreadableFileError, UserError
from benchmark.core.records import ImageSet
from benchmark.networks.blip import YesNo
from benchmark.networks.pixels import CLIP_MEAN, CLIP_STD, stretched
from benchmark.scorers import make_scorers
from benchmark.scorers.engine.images import forget

MakeSet = Callable[..., ImageSet]


def processor(side: int) -> BlipImageProcessorPil:
    """With the settings of Salesforce/blip-vqa-base but for the size."""
    return BlipImageProcessorPil(
        size={"height": side, "width": side}, resample=3, image_mean=CLIP_MEAN, image_std=CLIP_STD
    )


@pytest.mark.parametrize("size", [(64, 64), (300, 200), (17, 40)])
def test_pixels_are_those_of_the_librarys_processor(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    theirs = processor(48)(Image.fromarray(image), return_tensors="np")["pixel_values"][0]
    ours = stretched(image, 48).numpy()
    ours = (ours - np.array(CLIP_MEAN)[:, None, None]) / np.array(CLIP_STD)[:, None, None]
    assert theirs == pytest.approx(ours, abs=1e-5)


def test_it_is_the_first_token_of_the_librarys_own_answer(world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=4, k=2)
    (scorer,) = make_scorers(["vqa"], "embedded")
    scorer.load()
    found = [row.value for row in scorer.score(images)]
    model = BlipForQuestionAnswering.from_pretrained(world / "shapes-vqa").eval()
    tokenizer = BertTokenizer.from_pretrained(world / "shapes-vqa")
    expected = []
    for record in images:
        question = f"does this picture show {images.prompt(record).text}?"
        inputs = tokenizer(question, return_tensors="pt")
        pixels = processor(32)(Image.fromarray(images.open(record)), return_tensors="pt")["pixel_values"]
        answer = model.generate(
            input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, pixel_values=pixels,
            max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip
        expected.append(float(answer.logits[0][0].softmax(-1)[tokenizer.convert_tokens_to_ids("yes")]))
    assert np.ptp(expected) > 1e-3
    assert found == pytest.approx(expected, abs=1e-5)


def test_another_question_is_another_version_and_one_without_the_text_is_refused(world: Path) -> None:
    one, other = (make_scorers([f"vqa(question={q!r})"], "embedded")[0] for q in ("is it {text}?", "{text}?"))
    assert one.scorer_version != other.scorer_version
    with pytest.raises(UserError, match="has no {text}"):
        make_scorers(["vqa(question='is it?')"], "embedded")


def test_a_vocabulary_without_the_answer_is_refused(world: Path, tmp_path: Path) -> None:
    import shutil

    folder = shutil.copytree(world / "shapes-vqa", tmp_path / "copy")
    words = (folder / "vocab.txt").read_text().replace("yes\n", "oui\n")
    (folder / "vocab.txt").write_text(words)
    with pytest.raises(UnreadableFileError, match="it has no 'yes'"):
        YesNo(folder, "{text}?", "cpu")


def test_half_precision_is_within_what_is_stated(world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=8, k=1)
    found = []
    for precision in ("fp32", "bf16"):
        (scorer,) = make_scorers(["vqa"], "embedded", precision=precision)
        scorer.load()
        forget(images)
        found.append(np.array([row.value for row in scorer.score(images)], dtype=float))
    assert 0 < abs(found[0] - found[1]).max() <= scorer.bf16_tolerance


def test_the_embedded_world_has_none_and_says_so() -> None:
    (scorer,) = make_scorers(["vqa"], "embedded")
    with pytest.raises(MissingWeightsError, match="the embedded world has no such weights"):
        _ = scorer.weights_hash

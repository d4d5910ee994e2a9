"""Latents and embeddings are computed once, read by content, and are what the encoders say."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.core.hashing import sha256_bytes
from benchmark.core.pixels import decode_rgb
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from benchmark.models.loading import weights_sha256
from trainers.fitting import fit_square, flipped_crop
from trainers.latents import encode_pairs
from trainers.pairs import PairSet, load_pairs

Row = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


@pytest.fixture
def pairs(preference_row: Row, write_rows: Write) -> PairSet:
    """Five pairs; the winner of the first is that of the second, and so is the caption."""
    rows = [preference_row(i) for i in range(5)]
    rows[1] |= {"jpg_1": rows[0]["jpg_0"], "caption": rows[0]["caption"]}
    return load_pairs(str(write_rows("prefs.parquet", rows)), held_out=0).train


def test_they_are_what_the_encoders_say(
    pairs: PairSet, tiny_pipeline: Pipeline, tmp_path: Path, jpeg: Any
) -> None:
    found = encode_pairs(tiny_pipeline, pairs, tmp_path)
    for i, seed in ((0, 0), (2, 4), (3, 7)):  # the seeds of these winners
        pixels = decode_rgb(jpeg(seed))[None]
        latents = tiny_pipeline.encode_images(pixels)[0].numpy()
        np.testing.assert_allclose(found.latents[found.winner[i]], latents, rtol=2e-3, atol=2e-3)
        kept = found.text(found.caption[[i]], tiny_pipeline.device)
        said = tiny_pipeline.encode_prompts([pairs.pairs[i].prompt])
        torch.testing.assert_close(kept.parts["states"], said.parts["states"], rtol=2e-3, atol=2e-3)
    empty = found.text(np.array([0]), tiny_pipeline.device)
    torch.testing.assert_close(
        empty.parts["states"], tiny_pipeline.encode_empty().parts["states"], rtol=2e-3, atol=2e-3
    )


def test_equal_images_and_captions_are_encoded_once(
    pairs: PairSet, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    found = encode_pairs(tiny_pipeline, pairs, tmp_path)
    assert found.latents.shape == (9, 4, 16, 16)
    assert len(found.texts) == len(set(found.captions)) == 5  # four captions and the empty one
    assert found.winner[0] == found.winner[1]
    assert found.caption[0] == found.caption[1]


def test_the_second_time_nothing_is_computed(
    pairs: PairSet, tiny_pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encode_pairs(tiny_pipeline, pairs, tmp_path)
    monkeypatch.setattr(Pipeline, "encode_images", None)
    again = encode_pairs(tiny_pipeline, pairs, tmp_path)
    np.testing.assert_array_equal(first.latents, again.latents)
    np.testing.assert_array_equal(first.texts, again.texts)
    assert isinstance(again.latents, np.memmap)


def test_other_weights_or_precision_mean_other_files(
    pairs: PairSet, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    encode_pairs(tiny_pipeline, pairs, tmp_path)
    first = {p.name for p in tmp_path.glob("[!.]*")}
    encode_pairs(dataclasses.replace(tiny_pipeline, precision="bf16"), pairs, tmp_path)
    second = {p.name for p in tmp_path.glob("[!.]*")}
    assert len(second - first) == 1  # latents; text is always encoded in float32
    before = weights_sha256(tiny_pipeline.text_encoder)
    weight = next(tiny_pipeline.text_encoder.parameters())
    old = weight.flatten()[0].clone()
    try:
        with torch.no_grad():
            weight.view(-1)[0] += 1
        assert weights_sha256(tiny_pipeline.text_encoder) != before
    finally:
        with torch.no_grad():
            weight.view(-1)[0] = old
    assert not list(tmp_path.glob("*part*"))


def test_a_pair_whose_image_breaks_off_is_left_out_every_time(
    preference_row: Row, write_rows: Write, jpeg: Any, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    rows = [preference_row(i) for i in range(3)]
    rows[1]["jpg_0"] = jpeg(2, (64, 64))[:-400]  # the header is whole
    data = load_pairs(str(write_rows("prefs.parquet", rows)), held_out=0)
    for _ in range(2):
        found = encode_pairs(tiny_pipeline, data.train, tmp_path / "cache")
        assert found.rows == ("prefs.parquet:0", "prefs.parquet:2")
        assert [b.row for b in found.bad] == ["prefs.parquet:1"]


def test_images_of_other_sizes_are_fitted() -> None:
    image = np.zeros((100, 50, 3), dtype=np.uint8)
    image[:50] = 255
    fitted = fit_square(image, 64).pixels
    assert fitted.shape == (64, 64, 3)
    assert fitted[:30].min() > 200  # the middle of the picture stays in the middle
    assert fitted[34:].max() < 55
    assert fit_square(fitted, 64).pixels is fitted


def test_a_fitted_image_says_what_was_cut_off() -> None:
    image = np.zeros((100, 50, 3), dtype=np.uint8)
    assert fit_square(image, 64).size_and_crop == (100, 50, 32, 0)
    places = {fit_square(image, 64, "random", sha256_bytes(bytes([i]))).size_and_crop[2] for i in range(99)}
    assert min(places) >= 0
    assert max(places) <= 64
    assert len(places) > 40
    wide = [fit_square(image.transpose(1, 0, 2), 64, "random", sha256_bytes(bytes([i]))) for i in range(9)]
    assert all(one.size_and_crop[:3] == (50, 100, 0) for one in wide)
    assert len({one.size_and_crop[3] for one in wide}) > 5


def test_the_crop_is_the_part_that_is_named() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 90, 3), dtype=np.uint8)
    for crop, digest in (("centre", ""), ("random", sha256_bytes(b"one")), ("random", sha256_bytes(b"two"))):
        fitted = fit_square(image, 64, "random" if crop == "random" else "centre", digest)
        left = fitted.size_and_crop[3]
        np.testing.assert_array_equal(fitted.pixels, image[:, left : left + 64])
        mirror = flipped_crop(np.array([fitted.size_and_crop]), 64)[0]
        np.testing.assert_array_equal(
            fitted.pixels[:, ::-1], image[:, ::-1][:, int(mirror[3]) : int(mirror[3]) + 64]
        )


def test_pairs_carry_sizes_crops_and_mirror_images(
    preference_row: Row, write_rows: Write, jpeg: Any, tiny_pipeline: Pipeline, tmp_path: Path
) -> None:
    rows = [preference_row(0, jpg_0=jpeg(0, (100, 64)), jpg_1=jpeg(1, (64, 80)))]
    data = load_pairs(str(write_rows("prefs.parquet", rows)), held_out=0)
    found = encode_pairs(tiny_pipeline, data.train, tmp_path, flip=True)
    np.testing.assert_array_equal(found.size_and_crop, [[64, 100, 0, 18], [80, 64, 8, 0]])
    mirror = fit_square(decode_rgb(rows[0]["jpg_0"]), 64).pixels[:, ::-1].copy()
    both = found.latents_of(np.array([0, 0]), np.array([False, True]))
    np.testing.assert_array_equal(both[0], found.latents[0].astype(np.float32))
    wanted = tiny_pipeline.encode_images(mirror[None])[0].numpy()
    np.testing.assert_allclose(both[1], wanted, rtol=2e-3, atol=2e-3)
    assert np.abs(both[1] - both[0]).max() > 0.1
    assert encode_pairs(tiny_pipeline, data.train, tmp_path).flipped is None

"""CLIP embeddings of pairs, and `rpo`, which weighs by them."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from benchmark.core.errors import UserError
from benchmark.core.pixels import decode_rgb
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from benchmark.networks.open_clip import (
    load_open_clip,
    open_clip_tokenizer,
)
from benchmark.networks.pixels import normalise
from trainers.clip_source import clip_source
from trainers.config import TrainConfig
from trainers.embeddings import ClipEmbeddings, clip_embeddings
from trainers.encoded_pairs import EncodedPairs
from trainers.latents import encode_pairs
from trainers.logs import read_metrics
from trainers.pairs import load_pairs, read_images
from trainers.train import train, train_many

Settings = Callable[..., TrainConfig]


@pytest.fixture
def pairs(tiny_data: Path, tiny_cache: Path, tiny_pipeline: Pipeline) -> EncodedPairs:
    return encode_pairs(tiny_pipeline, load_pairs(str(tiny_data)).train, tiny_cache)


@pytest.fixture
def embeddings(tiny_clip: Path, pairs: EncodedPairs, tiny_cache: Path) -> ClipEmbeddings:
    return clip_embeddings(clip_source("any", tiny_clip), pairs, torch.device("cpu"), tiny_cache)


def test_they_are_what_the_model_says(
    embeddings: ClipEmbeddings, pairs: EncodedPairs, tiny_clip: Path
) -> None:
    model, tokenizer = load_open_clip(tiny_clip), open_clip_tokenizer(tiny_clip / "bpe.txt.gz", 16)
    with torch.no_grad():
        text = model.encode_text(tokenizer([pairs.captions[2]]))
        pixels = decode_rgb(next(iter(read_images(pairs.images[3:4]))))
        half = pixels.reshape(32, 2, 32, 2, 3).mean((1, 3))  # 64 pixels to the model's 32
        image = model.encode_image(normalise(torch.from_numpy(half).permute(2, 0, 1)[None].float() / 255))
    assert float(cosine_similarity(text, torch.tensor(embeddings.texts[2])[None])) == pytest.approx(
        1, abs=1e-4
    )
    assert float(cosine_similarity(image, torch.tensor(embeddings.images[3])[None])) > 0.99
    np.testing.assert_allclose(np.linalg.norm(embeddings.images, axis=1), 1, atol=1e-5)


def test_text_image_and_both(embeddings: ClipEmbeddings, pairs: EncodedPairs) -> None:
    rows = np.array([4, 0])
    text = embeddings.of_pairs(pairs, rows, "text")
    image = embeddings.of_pairs(pairs, rows, "image")
    both = embeddings.of_pairs(pairs, rows, "text+image")
    assert torch.equal(*text)
    assert not torch.equal(*image)
    mean = (cosine_similarity(*text) + cosine_similarity(*image)) / 2
    torch.testing.assert_close(cosine_similarity(*both), mean, atol=1e-5, rtol=0)


def test_rpo_trains_and_starts_at_log_2(settings: Settings, tiny_clip: Path) -> None:
    config = settings(objective="rpo(tau=0.3)", clip=tiny_clip, divergence="jensen_shannon", steps=2)
    result = train(config)
    lines = read_metrics(config.out)
    assert lines[0]["heldout/loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert lines[1]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert float(lines[1]["diagonal_beta"] or 0) > 1  # a pair is more like itself than like others
    assert result.checkpoint.objective == "rpo(tau=0.3)"


def test_rpo_on_batches_of_one_is_f_dpo_to_the_bit(settings: Settings, tiny_clip: Path) -> None:
    common = {"clip": tiny_clip, "batch_size": 1, "share_t": "batch", "steps": 2, "held_out_pairs": 0}
    both = [settings(name, objective=name, **common) for name in ("rpo", "f_dpo")]
    first, second = (read_metrics(result.folder)[1:] for result in train_many(both))
    assert [(a["loss"], a["grad_norm"]) for a in first] == [(b["loss"], b["grad_norm"]) for b in second]


def test_a_clip_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--clip"):
        clip_source("sd15")
    with pytest.raises(UserError, match=r"open_clip_config.json"):
        clip_source("shapes", tmp_path)


def test_without_a_cache_they_are_the_same(
    embeddings: ClipEmbeddings, pairs: EncodedPairs, tiny_clip: Path
) -> None:
    plain = clip_embeddings(clip_source("any", tiny_clip), pairs, torch.device("cpu"), None)
    rows = np.array([5, 0, 5, 3])
    for one, two in zip(
        embeddings.of_pairs(pairs, rows, "text+image"),
        plain.of_pairs(pairs, rows, "text+image"),
        strict=True,
    ):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)

"""Batches are functions of (seed, step, row): the same on any number of processes and in any order."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from trainers.batches import batch_rows, draw_batch, held_out_inputs
from trainers.encoded_pairs import EncodedPairs
from trainers.latents import encode_pairs
from trainers.pairs import load_pairs
from trainers.recipe import BatchPlan


@pytest.fixture(scope="module")
def pairs(tiny_data: Path, tiny_cache: Path, tiny_pipeline: Pipeline) -> EncodedPairs:
    return encode_pairs(tiny_pipeline, load_pairs(str(tiny_data)).train, tiny_cache)


def test_every_pair_comes_once_an_epoch_in_a_new_order() -> None:
    rows = np.concatenate([batch_rows(3, 10, step, 4) for step in range(5)])
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
    assert list(rows[:10]) != list(rows[10:])
    assert list(batch_rows(4, 10, 0, 4)) != list(rows[:4])
    assert len(batch_rows(0, 3, 0, 8)) == 8  # a batch may hold several epochs


def test_winner_and_loser_share_t_and_noise(pairs: EncodedPairs, tiny_pipeline: Pipeline) -> None:
    batch = draw_batch(tiny_pipeline, pairs, BatchPlan(0, 6, draws=2), step=5)
    a = tiny_pipeline.scheduler.alphas_cumprod[batch.inputs.t].sqrt()[..., None, None, None]
    clean = [
        torch.from_numpy(pairs.latents[side[batch.rows]].astype(np.float32))
        for side in (pairs.winner, pairs.loser)
    ]
    noise = [batch.inputs.noisy[i] - a * clean[i] for i in (0, 1)]
    torch.testing.assert_close(noise[0], noise[1], atol=1e-5, rtol=1e-5)
    assert batch.inputs.noisy.shape == (2, 2, 6, 4, 16, 16)
    assert not torch.equal(batch.inputs.t[0], batch.inputs.t[1])  # draws are independent


def test_two_processes_see_the_halves_of_the_batch(pairs: EncodedPairs, tiny_pipeline: Pipeline) -> None:
    plan = BatchPlan(1, 6, prompt_dropout=0.5)
    whole = draw_batch(tiny_pipeline, pairs, plan, 3)
    halves = [draw_batch(tiny_pipeline, pairs, plan, 3, rank, 2) for rank in (0, 1)]
    for name, axis in (("noisy", 2), ("target", 2), ("t", 1), ("text", 0)):
        parts = [getattr(each.inputs, name) for each in (*halves, whole)]
        *own, all_ = [part.parts["states"] if name == "text" else part for part in parts]
        torch.testing.assert_close(torch.cat(own, axis), all_, rtol=0, atol=0)
    assert all(torch.equal(half.moments.t, whole.moments.t) for half in halves)


def test_a_rows_draw_does_not_depend_on_the_batch_size(pairs: EncodedPairs, tiny_pipeline: Pipeline) -> None:
    small = draw_batch(tiny_pipeline, pairs, BatchPlan(1, 2), 0)
    large = draw_batch(tiny_pipeline, pairs, BatchPlan(1, 5), 0)
    torch.testing.assert_close(small.inputs.noisy, large.inputs.noisy[:, :, :2], rtol=0, atol=0)


@pytest.mark.parametrize("share_t", get_args(BatchPlan.__annotations__["share_t"]))
def test_share_t(pairs: EncodedPairs, tiny_pipeline: Pipeline, share_t: str) -> None:
    plan = BatchPlan(0, 8, draws=3, share_t="batch" if share_t == "batch" else "pair")
    t = draw_batch(tiny_pipeline, pairs, plan, 0).moments.t
    assert all((len(row.unique()) == 1) == (share_t == "batch") for row in t)
    assert int(t.min()) >= 0
    assert int(t.max()) < 1000


def test_dropped_captions_become_the_empty_one(pairs: EncodedPairs, tiny_pipeline: Pipeline) -> None:
    empty = pairs.text(np.array([0]), tiny_pipeline.device).parts["states"][0]
    dropped = [
        sum(
            torch.equal(text, empty)
            for text in draw_batch(
                tiny_pipeline, pairs, BatchPlan(0, 8, prompt_dropout=p), 0
            ).inputs.text.parts["states"]
        )
        for p in (0.0, 0.5, 1.0)
    ]
    assert dropped[0] == 0
    assert 0 < dropped[1] < 8
    assert dropped[2] == 8


def test_held_out_noise_is_fixed_and_timesteps_cover_the_schedule(
    pairs: EncodedPairs, tiny_pipeline: Pipeline
) -> None:
    first = [held_out_inputs(tiny_pipeline, pairs, k, 4) for k in range(4)]
    assert [int(one.t[0, 0]) for one in first] == [125, 375, 625, 875]
    again = held_out_inputs(tiny_pipeline, pairs, 2, 4)
    assert torch.equal(first[2].noisy, again.noisy)


def test_flips_change_nothing_but_which_way_pairs_look(
    tiny_data: Path, tiny_cache: Path, tiny_pipeline: Pipeline
) -> None:
    pairs = encode_pairs(tiny_pipeline, load_pairs(str(tiny_data)).train, tiny_cache, flip=True)
    plain = draw_batch(tiny_pipeline, pairs, BatchPlan(2, 8, prompt_dropout=0.3), 1)
    flipped = draw_batch(tiny_pipeline, pairs, BatchPlan(2, 8, prompt_dropout=0.3, flip=True), 1)
    assert torch.equal(plain.inputs.t, flipped.inputs.t)
    assert torch.equal(plain.inputs.text.parts["states"], flipped.inputs.text.parts["states"])
    np.testing.assert_array_equal(plain.rows, flipped.rows)
    turned = (plain.inputs.noisy != flipped.inputs.noisy).flatten(3).any(3)  # (2, draws, pairs)
    assert 0 < int(turned[0, 0].sum()) < 8
    assert torch.equal(turned[0], turned[1])  # both images of a pair, or none
    parts = [
        draw_batch(tiny_pipeline, pairs, BatchPlan(2, 8, prompt_dropout=0.3, flip=True), 1, rank, 2)
        for rank in (0, 1)
    ]
    joined = torch.cat([part.inputs.noisy for part in parts], 2)
    torch.testing.assert_close(joined, flipped.inputs.noisy, rtol=0, atol=0)


def test_equal_settings_give_the_batches_they_always_gave(
    tiny_data: Path, tiny_cache: Path, tiny_pipeline: Pipeline
) -> None:
    """Pinned: a change of a stream of random numbers would change every run that was ever published."""
    pairs = encode_pairs(tiny_pipeline, load_pairs(str(tiny_data)).train, tiny_cache, flip=True)
    assert len(pairs) == 24
    batches = [draw_batch(tiny_pipeline, pairs, BatchPlan(5, 6, flip=flip), 3) for flip in (False, True)]
    for batch in batches:
        assert batch.rows.tolist() == [23, 21, 11, 2, 9, 18]
        assert batch.moments.t.tolist() == [[627, 502, 426, 147, 691, 408]]
    turned = (batches[0].inputs.noisy != batches[1].inputs.noisy).flatten(3).any(3)
    assert turned[0, 0].tolist() == [True, True, True, False, True, True]
    a = tiny_pipeline.scheduler.alphas_cumprod[627]
    clean = torch.from_numpy(pairs.latents_of(pairs.winner[[23]]))[0]
    noise = (batches[0].inputs.noisy[0, 0, 0] - a.sqrt() * clean) / (1 - a).sqrt()
    torch.testing.assert_close(noise.flatten()[:2], torch.tensor([0.2540318, -0.6200175]), rtol=0, atol=1e-5)

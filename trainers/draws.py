r"""Which pairs a step sees, at which timesteps, with which noise.

All of it is a function of (seed, step, row of the global batch), never of the process or of what came
before: so a resumed run, a run on more devices and a policy trained beside others see the same.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from benchmark.models.conditioning import Conditioning
from benchmark.models.families.base import Pipeline
from benchmark.models.families.unet.pipeline import time_ids
from trainers.batch_plan import BatchPlan
from trainers.latents import EncodedPairs
from trainers.transfer import send

# Independent streams of random numbers under one seed.
_ORDER, _ROW, _BATCH, _HELD_OUT, _FLIP = range(5)


@dataclass(frozen=True, eq=False)
class Moments:
    """Where between noise and image the networks are asked.

    Attributes:
        t: Timesteps.
        scale: What the log-ratio scale is multiplied by there; None where it is the same everywhere.
        step: Rows of the sampler's table of steps; None where images are noised.
    """

    t: Int[Tensor, "draws n"]
    scale: Float[Tensor, "draws n"] | None = None
    step: Int[Tensor, "draws n"] | None = None

    def __getitem__(self, pairs: slice) -> "Moments":
        """Those of some of the pairs."""
        own = (None if x is None else x[:, pairs] for x in (self.t, self.scale, self.step))
        t, scale, step = own
        assert t is not None
        return Moments(t, scale, step)


@dataclass(frozen=True, eq=False)
class NetworkInputs:
    """Noisy latents of n pairs and what the network should say of them; side 0 are the winners.

    Attributes:
        noisy: x_t.
        target: Noise, v or velocity.
        t: The timesteps; winner and loser share them, and the noise.
        text: What the text encoders say of the captions.
        time_ids: The sizes and crops of the images, for models that are told them.
        guidance: Scale of classifier-free guidance at which the networks are asked; 1 for none.
        empty: The empty prompt's conditioning, of one row, where there is guidance.
    """

    noisy: Float[Tensor, "2 draws n c h w"]
    target: Float[Tensor, "2 draws n c h w"]
    t: Int[Tensor, "draws n"]
    text: Conditioning
    time_ids: Float[Tensor, "2 n 6"]
    guidance: float = 1.0
    empty: Conditioning | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's pairs.

    Attributes:
        rows: Positions in the data, of the global batch.
        moments: Of the global batch.
        inputs: This process's part of it.
        weight: How much the pairs of the global batch count; None where all count alike.
    """

    rows: NDArray[np.int64]
    moments: Moments
    inputs: NetworkInputs
    weight: Float[Tensor, " all"] | None = None


def draw_batch(
    pipeline: Pipeline, pairs: EncodedPairs, plan: BatchPlan, step: int, rank: int = 0, processes: int = 1
) -> Batch:
    """The batch of a step, counted from 0.

    Args:
        pipeline: Its family adds the noise.
        pairs: The training data.
        plan: What determines the batches.
        step: Optimiser steps behind it.
        rank: This process; it gets the rank-th of equal parts of the batch.
        processes: How many there are.
    """
    n = plan.batch_size
    rows = batch_rows(plan.seed, len(pairs), step, n)
    own = range(rank * n // processes, (rank + 1) * n // processes)
    u, keep = np.empty((plan.draws, n)), np.empty(n, dtype=bool)
    noise = np.empty((plan.draws, len(own), *pipeline.latent_shape), dtype=np.float32)
    for row in range(n):
        rng = np.random.default_rng((_ROW, plan.seed, step, row))
        u[:, row], keep[row] = rng.random(plan.draws), rng.random() >= plan.prompt_dropout
        if row in own:
            noise[:, row - own.start] = rng.standard_normal(noise[:, 0].shape, dtype=np.float32)
    if plan.share_t == "batch":
        u[:] = np.random.default_rng((_BATCH, plan.seed, step)).random((plan.draws, 1))
    moments, local = moments_at(pipeline, pairs, u), slice(own.start, own.stop)
    flip = _flips(plan.seed, step, own) if plan.flip else None
    inputs = network_inputs(pipeline, pairs, rows[local], moments[local], noise, keep[local], flip)
    return Batch(rows, moments, inputs, pairs.weights_of(rows, pipeline.device))


def batch_rows(seed: int, pairs: int, step: int, batch_size: int) -> NDArray[np.int64]:
    """Positions of a step's pairs: every epoch in an order of its own, no pair left out at its end."""
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, within = places // pairs, places % pairs
    rows = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(epochs):
        rows[epochs == epoch] = _epoch_order(seed, pairs, int(epoch))[within[epochs == epoch]]
    return rows


def held_out_inputs(pipeline: Pipeline, pairs: EncodedPairs, draw: int, draws: int) -> NetworkInputs:
    """One of the fixed (t, noise) of all held-out pairs; the same in every run, whatever its seed.

    The timesteps are spread evenly over the draws and shared by all pairs: less variance, and `rpo`
    compares at one noise level.
    """
    noise = np.stack(
        [
            np.random.default_rng((_HELD_OUT, draw, row)).standard_normal(
                pipeline.latent_shape, dtype=np.float32
            )
            for row in range(len(pairs))
        ]
    )[None]
    moments = moments_at(pipeline, pairs, np.full((1, len(pairs)), (draw + 0.5) / draws))
    return network_inputs(pipeline, pairs, np.arange(len(pairs)), moments, noise)


def held_out_moments(pipeline: Pipeline, pairs: EncodedPairs, draws: int) -> Moments:
    """The fixed timesteps: the middles of equal parts of the noise schedule, or of the sampler's steps."""
    middles = (np.arange(draws) + 0.5) / draws
    return moments_at(pipeline, pairs, np.repeat(middles[:, None], len(pairs), axis=1))


def moments_at(pipeline: Pipeline, pairs: EncodedPairs, u: NDArray[np.float64]) -> Moments:
    """Where the networks are asked.

    Args:
        pipeline: Its family counts the times.
        pairs: Whose trajectories say which steps there are, if they have any.
        u: How far through the noise schedule, in [0, 1), (draws, n).
    """
    if pairs.trajectories is not None:
        steps = pairs.trajectories.steps
        which = torch.from_numpy((u * len(steps)).astype(np.int64))
        scale = steps.scale(pipeline.latent_size).float()
        return Moments(*(x.to(pipeline.device) for x in (steps.t[which], scale[which], which)))
    return Moments(pipeline.sample_t(u))


def network_inputs(
    pipeline: Pipeline,
    pairs: EncodedPairs,
    rows: NDArray[np.int64],
    moments: Moments,
    noise: NDArray[np.float32],
    keep_caption: NDArray[np.bool_] | None = None,
    flip: NDArray[np.bool_] | None = None,
) -> NetworkInputs:
    """Reads pairs from the cache and adds noise, the same to winner and loser; or reads their trajectories.

    Args:
        pipeline: Its family adds the noise.
        pairs: The data.
        rows: Positions in it, (n,).
        moments: Where the networks are asked.
        noise: (draws, n, C, H, W); trajectories have their own.
        keep_caption: Where false, the empty prompt takes the caption's place.
        flip: Where true, both images are seen in the mirror.
    """
    device, draws = pipeline.device, moments.t.shape[0]
    captions = pairs.caption[rows] if keep_caption is None else np.where(keep_caption, pairs.caption[rows], 0)
    images = (pairs.winner[rows], pairs.loser[rows])
    size = pipeline.image_size
    placed = np.stack([pairs.size_and_crop_of(side, size, flip) for side in images]).astype(np.float32)
    ids = time_ids(send(placed, device), size)
    text = pairs.text(captions, device)
    if pairs.trajectories is not None and moments.step is not None:
        walk = pairs.trajectories
        noisy, target = walk.step(np.stack(images), moments.step)
        empty = None if walk.guidance == 1 else pairs.text(np.zeros(1, dtype=np.int64), device)
        return NetworkInputs(noisy, target, moments.t, text, ids, walk.guidance, empty)
    sides = np.stack([pairs.latents_of(side, flip) for side in images])
    shape = (2, draws, *sides.shape[1:])
    clean = send(sides, device)[:, None].expand(shape).flatten(0, 2)
    both = send(noise, device)[None].expand(shape).flatten(0, 2)
    times = moments.t[None].expand(2, -1, -1).flatten()
    noisy = pipeline.add_noise(clean, both, times)
    target = pipeline.target(clean, both, times)
    return NetworkInputs(noisy.view(shape), target.view(shape), moments.t, text, ids)


def _flips(seed: int, step: int, rows: range) -> NDArray[np.bool_]:
    """Which pairs are seen in the mirror; a stream of its own, so that all else is as without flips."""
    return np.array([np.random.default_rng((_FLIP, seed, step, row)).random() < 0.5 for row in rows])


@functools.lru_cache(maxsize=16)
def _epoch_order(seed: int, pairs: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((_ORDER, seed, epoch)).permutation(pairs)

r"""Which pairs a step sees, at which timesteps, with which noise.

What a step sees is a function of (seed, step, row of the global batch), never of the process or of what came
before: so a resumed run, a run on more devices and a policy trained beside others see the same.
"""

import functools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from accelerate import PartialState
from jaxtyping import Float, Int, Num
from numpy.typing import NDArray
from torch import Tensor

from benchmark.models.conditioning import Conditioning
from benchmark.models.families.base import ErrorOf, Pipeline
from trainers.encoded_pairs import EncodedPairs, send
from trainers.recipe import BatchPlan

# Independent streams of random numbers under one seed.
_ORDER, _ROW, _BATCH, _HELD_OUT, _FLIP = range(5)


@dataclass(frozen=True, eq=False)
class Moments:
    """Where between noise and image the networks are asked.

    Attributes:
        t: Timesteps, or what the base model's family has in their place.
        scale: What the log-ratio scale is multiplied by there; None where it is the same everywhere.
        step: Rows of the sampler's table of steps; None where images are noised.
    """

    t: Num[Tensor, "draws n"]
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
        target: What the network should say, in the family's terms: noise, v, velocity, clean latents.
        t: As in `Moments`; winner and loser share them, and the noise.
        text: What the text encoders say of the captions.
        size_and_crop: Of the original images: see `EncodedPairs`.
        guidance: Scale of classifier-free guidance at which the networks are asked; 1 for none.
        empty: The empty prompt's conditioning, of one row, where there is guidance.
    """

    noisy: Float[Tensor, "2 draws n c h w"]
    target: Float[Tensor, "2 draws n c h w"]
    t: Num[Tensor, "draws n"]
    text: Conditioning
    size_and_crop: Float[Tensor, "2 n 4"]
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
    density = pipeline.density(plan.t_density) if pairs.trajectories is None else None
    u = u if density is None else density(u)
    moments, local = moments_at(pipeline, pairs, u, plan.error_of), slice(own.start, own.stop)
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


def held_out_moments(
    pipeline: Pipeline, pairs: EncodedPairs, draws: int, error_of: ErrorOf = "prediction"
) -> Moments:
    """The fixed timesteps: the middles of equal parts of the noise schedule, or of the sampler's steps.

    Evenly also where training draws them from a density: runs of several densities can then be compared.
    """
    middles = (np.arange(draws) + 0.5) / draws
    return moments_at(pipeline, pairs, np.repeat(middles[:, None], len(pairs), axis=1), error_of)


def moments_at(
    pipeline: Pipeline, pairs: EncodedPairs, u: NDArray[np.float64], error_of: ErrorOf = "prediction"
) -> Moments:
    """Where the networks are asked.

    Args:
        pipeline: Its family counts the times.
        pairs: Whose trajectories say which steps there are, if they have any.
        u: How far through the noise schedule, in [0, 1), (draws, n).
        error_of: Of what the log-ratio compares errors.
    """
    if pairs.trajectories is not None:
        steps = pairs.trajectories.steps
        which = torch.from_numpy((u * len(steps)).astype(np.int64))
        scale = steps.scale(pipeline.latent_size).float()
        return Moments(*(x.to(pipeline.device) for x in (steps.t[which], scale[which], which)))
    t = pipeline.sample_t(u)
    return Moments(t, pipeline.error_weight(t, error_of))


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
    size_and_crop = send(placed, device)
    text = pairs.text(captions, device)
    if pairs.trajectories is not None and moments.step is not None:
        walk = pairs.trajectories
        before, after = (send(x, device) for x in walk.around(np.stack(images), moments.step))
        target = walk.steps.target(before, after, moments.step.expand(2, -1, -1))
        guided = pipeline.tell_guidance(text, walk.guidance)
        if guided is not None or walk.guidance == 1:
            return NetworkInputs(before, target, moments.t, guided or text, size_and_crop)
        empty = pairs.text(np.zeros(1, dtype=np.int64), device)
        return NetworkInputs(before, target, moments.t, text, size_and_crop, walk.guidance, empty)
    sides = np.stack([pairs.latents_of(side, flip) for side in images])
    shape = (2, draws, *sides.shape[1:])
    clean = send(sides, device)[:, None].expand(shape).flatten(0, 2)
    both = send(noise, device)[None].expand(shape).flatten(0, 2)
    times = moments.t[None].expand(2, -1, -1).flatten()
    noisy = pipeline.add_noise(clean, both, times)
    target = pipeline.target(clean, both, times)
    return NetworkInputs(noisy.view(shape), target.view(shape), moments.t, text, size_and_crop)


def _flips(seed: int, step: int, rows: range) -> NDArray[np.bool_]:
    """Which pairs are seen in the mirror; a stream of its own, so that all else is as without flips."""
    return np.array([np.random.default_rng((_FLIP, seed, step, row)).random() < 0.5 for row in rows])


@functools.lru_cache(maxsize=16)
def _epoch_order(seed: int, pairs: int, epoch: int) -> NDArray[np.int64]:
    return np.random.default_rng((_ORDER, seed, epoch)).permutation(pairs)


class Batches(Protocol):
    """Gives the batches of a run."""

    def __call__(self, plan: BatchPlan, step: int) -> Batch:
        """The batch of a step, counted from 0."""


@contextmanager
def batches(
    pipeline: Pipeline, pairs: EncodedPairs, state: PartialState, *, ahead: bool | None = None
) -> Iterator[Batches]:
    """Batches of this process; on a GPU the next one is drawn and sent while the networks are busy.

    Args:
        pipeline: The base model.
        pairs: The training data.
        state: Processes and ranks.
        ahead: Whether the next one is drawn in another thread; None where there is a GPU to be kept busy:
            on a CPU the two would only compete.
    """

    def draw(plan: BatchPlan, step: int) -> Batch:
        return draw_batch(pipeline, pairs, plan, step, state.process_index, state.num_processes)

    if not (pipeline.device.type == "cuda" if ahead is None else ahead):
        yield draw
        return
    pool = ThreadPoolExecutor(1, "batches")
    coming: dict[tuple[BatchPlan, int], Future[Batch]] = {}

    def drawn(plan: BatchPlan, step: int) -> Batch:
        earlier = coming.pop((plan, step), None)
        batch = draw(plan, step) if earlier is None else earlier.result()
        coming[plan, step + 1] = pool.submit(draw, plan, step + 1)
        return batch

    try:
        yield drawn
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

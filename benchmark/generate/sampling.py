"""From prompts and seeds to pixels: classifier-free guidance, in batches of one fixed size.

Equal to diffusers' own pipelines with the same scheduler and a generator for each image. Own, because a
failed image must not take its neighbours along, and because the last batch is filled up: then an image is
equal to the bit whatever stands beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from benchmark.core.records import Sampler
from benchmark.generate.progress import Progress
from benchmark.models.conditioning import Conditioning
from benchmark.models.families.base import Pipeline


@dataclass(frozen=True)
class Drawn:
    """A batch of images.

    Attributes:
        images: uint8, sRGB, (n, height, width, 3).
        finite: Which of them are images; the others' latents held NaN or infinity, (n,).
    """

    images: UInt8[np.ndarray, "n height width 3"]
    finite: Bool[np.ndarray, " n"]


@dataclass
class TextCache:
    """What the text encoders say, computed once for each distinct prompt.

    One by one: then an embedding cannot depend on its neighbours.
    """

    pipeline: Pipeline
    _known: dict[str | None, Conditioning] = field(default_factory=dict)

    def __call__(self, texts: Sequence[str | None]) -> Conditioning:
        """The conditioning of some prompts; None stands for no prompt, as guidance compares with."""
        for text in texts:
            if text not in self._known:
                encode = self.pipeline.encode_prompts
                self._known[text] = self.pipeline.encode_empty() if text is None else encode([text])
        return Conditioning.cat([self._known[text] for text in texts])


def sample(
    pipeline: Pipeline,
    prompts: list[str],
    seeds: list[int],
    sampler: Sampler,
    progress: Progress | None = None,
) -> UInt8[np.ndarray, "n height width 3"]:
    """See :func:`benchmark.generate.sample`."""
    side = pipeline.image_size
    out = np.empty((len(prompts), side, side, 3), np.uint8)
    pipeline = pipeline.for_sampling(sampler.precision, compiled=sampler.compiled)
    texts = TextCache(pipeline)
    for rows in batches(len(prompts), sampler.batch_size):
        drawn = sample_batch(pipeline, texts, [prompts[i] for i in rows], [seeds[i] for i in rows], sampler)
        if not drawn.finite.all():
            raise FloatingPointError(
                f"the latents of {prompts[rows[int(drawn.finite.argmin())]]!r} are not finite"
            )
        out[rows.start : rows.stop] = drawn.images
        if progress is not None:
            progress(rows.stop, len(prompts))
    return out


def batches(n: int, size: int) -> Iterator[range]:
    """The numbers 0..n-1 in runs of `size`; the last may be shorter."""
    return (range(start, min(start + size, n)) for start in range(0, n, size))


@torch.no_grad()
def sample_batch(
    pipeline: Pipeline, texts: TextCache, prompts: list[str], seeds: list[int], sampler: Sampler
) -> Drawn:
    """At most one batch of images; a smaller one is filled up with copies of its last image.

    Args:
        pipeline: The policy.
        texts: Of that pipeline.
        prompts: At least one and at most `sampler.batch_size`.
        seeds: Of each image's generator.
        sampler: How.
    """
    n, pad = len(prompts), sampler.batch_size - len(prompts)
    prompts, seeds = prompts + prompts[-1:] * pad, seeds + seeds[-1:] * pad
    latents = denoise(pipeline, _context(pipeline, texts, prompts, sampler), seeds, sampler)
    finite = latents.isfinite().flatten(1).all(1)
    # What is not finite would have no pixels; as zeros it cannot disturb the decoder either.
    images = pipeline.decode(latents.where(finite[:, None, None, None], 0.0), sampler.precision)
    return Drawn(images[:n], finite[:n].cpu().numpy())


def denoise(
    pipeline: Pipeline,
    context: Conditioning,
    seeds: list[int],
    sampler: Sampler,
    walk: list[Tensor] | None = None,
) -> Float[Tensor, "n c h w"]:
    """Latents of images, by the steps and the guidance of the family's sampler.

    Guidance takes both predictions from one forward pass; without it there is only the conditional one.

    Args:
        pipeline: The policy.
        context: Of n prompts; with guidance of 2n, those of no prompt first.
        seeds: n of them. Noise is drawn on the CPU, so that it is the same on every device.
        sampler: Steps, guidance, eta, precision.
        walk: Where given, the latents of every step are added, the noise first.

    Returns:
        float32, shape (n, C, H, W).
    """
    steps = pipeline.sampler_steps(sampler)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    noise = [torch.randn((1, *pipeline.latent_shape), generator=g) for g in generators]
    latents = steps.start(torch.cat(noise))
    copies = len(context) // len(seeds)
    if walk is not None:
        walk.append(latents)
    for t in steps.times:
        rows = latents.repeat(copies, 1, 1, 1)
        prediction = pipeline.predict(pipeline.network, rows, t, context, precision=sampler.precision).float()
        if copies == 2:
            empty, conditional = prediction.chunk(2)
            prediction = pipeline.guided(empty, conditional, sampler.guidance)
        latents = steps.step(prediction, t, latents, generators)
        if walk is not None:
            walk.append(latents)
    return latents


@torch.no_grad()
def sample_walks(
    pipeline: Pipeline, prompts: list[str], seeds: list[int], sampler: Sampler
) -> Float[np.ndarray, "n steps c h w"]:
    """See :func:`benchmark.generate.sample_walks`."""
    pipeline = pipeline.for_sampling(sampler.precision, compiled=sampler.compiled)
    texts, found = TextCache(pipeline), []
    for rows in batches(len(prompts), sampler.batch_size):
        pad = sampler.batch_size - len(rows)
        asked, starts = [prompts[i] for i in rows], [seeds[i] for i in rows]
        asked, starts = asked + asked[-1:] * pad, starts + starts[-1:] * pad
        walk: list[Tensor] = []
        denoise(pipeline, _context(pipeline, texts, asked, sampler), starts, sampler, walk)
        found.append(torch.stack(walk, 1)[: len(rows)].cpu().numpy())
    return np.concatenate(found)


def _context(pipeline: Pipeline, texts: TextCache, prompts: list[str], sampler: Sampler) -> Conditioning:
    """What the network is told: of prompts, with the scale if it reads that, or guided of no prompt first."""
    told = texts(prompts)
    guided = pipeline.tell_guidance(told, sampler.guidance)
    if guided is not None or sampler.guidance <= 1:
        return guided or told
    return Conditioning.cat([texts([None] * len(prompts)), told])

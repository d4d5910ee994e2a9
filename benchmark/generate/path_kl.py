r"""How far a policy's sampling paths are from the reference's.

The paths of a stochastic sampler are chains of Gaussians that differ in their means alone, so their
divergence is

$$ \mathrm{KL}(p_\theta \| p_\mathrm{ref})
   = E_{x \sim p_\theta} \sum_{t: \sigma_t > 0}
     \frac{\|\mu_\theta(x_t, c) - \mu_\mathrm{ref}(x_t, c)\|^2}{2 \sigma_t^2}, $$

exact for paths and, because an image is a function of its path, an upper bound for images. One path of the
policy's own gives an unbiased estimate, and no negative one. Without guidance: guided means depend on a scale
that is no part of either model.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.core.errors import NotComparableError, UserError
from benchmark.core.records import Sampler
from benchmark.generate.sampling import TextCache, batches
from benchmark.models.conditioning import Conditioning
from benchmark.models.families.base import Pipeline
from benchmark.models.steps import TransitionSteps


@torch.no_grad()
def path_kl(
    policy: Pipeline, reference: Pipeline, prompts: list[str], seeds: list[int], sampler: Sampler
) -> Iterator[Float[np.ndarray, " batch"]]:
    """The sum over the steps of one path of the policy's for each prompt and seed, in nats.

    Args:
        policy: Walks.
        reference: Is asked at every step where it would have gone.
        prompts: One for each path.
        seeds: Of each path's generator.
        sampler: Steps, batch size, precision; its eta and guidance are not used.

    Yields:
        A batch's, in float64; not finite where the policy's latents are not.

    Raises:
        NotComparableError: if the two do not share the noise schedule: then the divergence is infinite.
        UserError: if no step of so few draws noise.
        no_gaussian_steps: if their family's sampler draws none.
    """
    steps = _shared_steps(policy, reference, sampler)
    policy, reference = (
        pipeline.for_sampling(sampler.precision, compiled=sampler.compiled)
        for pipeline in (policy, reference)
    )
    own, other = TextCache(policy), TextCache(reference)
    for rows in batches(len(prompts), sampler.batch_size):
        pad = sampler.batch_size - len(rows)
        asked, starts = prompts[rows.start : rows.stop], seeds[rows.start : rows.stop]
        asked, starts = asked + asked[-1:] * pad, starts + starts[-1:] * pad
        told = own(asked), other(asked)
        yield _along(policy, reference, steps, told, starts, sampler)[: len(rows)].numpy()


def _along(
    policy: Pipeline,
    reference: Pipeline,
    steps: tuple[TransitionSteps, TransitionSteps],
    told: tuple[Conditioning, Conditioning],
    seeds: list[int],
    sampler: Sampler,
) -> Float[Tensor, " batch"]:
    """Walks as the sampler does with eta = 1, as far as there is noise, and adds up the differences."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    latents = _noise(policy, generators)
    nats = torch.zeros(len(seeds), dtype=torch.float64)
    for k, sigma in enumerate(steps[0].sigma):
        means = [
            own.a[k] * latents + own.b[k] * _prediction(p, latents, own.t[k], said, sampler)
            for p, own, said in zip((policy, reference), steps, told, strict=True)
        ]
        nats += (means[0] - means[1]).square().sum((1, 2, 3)) / (2 * sigma**2)
        latents = means[0] + sigma * _noise(policy, generators)
    return nats


def _noise(pipeline: Pipeline, generators: list[torch.Generator]) -> Float[Tensor, "n c h w"]:
    """float32 as the sampler draws it, then float64: what is summed up are small differences."""
    return torch.cat([torch.randn((1, *pipeline.latent_shape), generator=g) for g in generators]).double()


def _prediction(
    pipeline: Pipeline, latents: Tensor, t: Tensor, told: Conditioning, sampler: Sampler
) -> Float[Tensor, "n c h w"]:
    rows, at = latents.float().to(pipeline.device), t.to(pipeline.device)
    output = pipeline.predict(pipeline.network, rows, at, told, precision=sampler.precision)
    # Not every device has float64.
    return output.float().cpu().double()


def _shared_steps(
    policy: Pipeline, reference: Pipeline, sampler: Sampler
) -> tuple[TransitionSteps, TransitionSteps]:
    one, other = (p.transition_steps(sampler.steps) for p in (policy, reference))
    if not torch.equal(one.t, other.t) or not torch.allclose(one.sigma, other.sigma, rtol=1e-9, atol=0):
        raise NotComparableError(
            f"{policy.name} and its reference have other noise schedules, so their paths have no distance"
        )
    if not len(one):
        raise UserError(
            f"none of {sampler.steps} sampling steps of {policy.name} draws noise: its paths have no density",
            do="give more --steps, or leave out --distance and path_kl",
        )
    return one, other

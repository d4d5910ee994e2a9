"""`generate`: images a second of `benchmark.generate.sample`, against diffusers' own pipeline."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from benchmark.core.errors import UserError
from benchmark.core.words import number_of
from benchmark.generate import sample
from benchmark.models import load_pipeline, model_facts
from tools.bench.measuring import Measurement, compare

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB
    from benchmark.core.records import Sampler
    from benchmark.models.families.base import Pipeline
    from benchmark.models.families.unet.pipeline import UNetPipeline

PROMPTS = ("a red star", "two blue hearts at night", "a tiny circle over something green", "a cross on sand")


def measure(
    base: str = "shapes", batches: int = 2, rounds: int = 3, *, compiled: bool = False
) -> Measurement:
    """The same prompts, seeds, steps, guidance, precision and weights; several images of each prompt.

    Args:
        base: The base model; one with a folder on this machine.
        batches: Of the sampler's own size.
        rounds: Of which the median counts.
        compiled: Ours by `--compile`; what that takes is no part of the time, and stands in the note.
    """
    import torch

    from benchmark.models.families.base import HALF
    from tools.bench.limits import flops_of, matrix_rate

    pipeline = load_pipeline(base)
    sampler = replace(pipeline.sampler, compiled=compiled)
    n = batches * sampler.batch_size
    prompts = [PROMPTS[i * len(PROMPTS) // n] for i in range(n)]
    seeds = list(range(n))
    peer = _Diffusers(base, pipeline, sampler)

    def ours() -> "RGB":
        return sample(pipeline, prompts, seeds, sampler)

    start = time.perf_counter()
    ours()
    first = time.perf_counter() - start
    apart = int(np.abs(ours().astype(int) - peer(prompts, seeds, sampler.batch_size).astype(int)).max())
    note = (
        f"{n} images of {len(PROMPTS)} prompts, {sampler.steps} steps, guidance {sampler.guidance:g}, "
        f"{sampler.precision}, {number_of(torch.get_num_threads(), 'thread')} of {pipeline.device.type}; "
        f"pixels differ by at most {apart}/255"
    )
    note += f"; ours compiled, for which the first call took {first:.0f} s" if compiled else ""
    size = sampler.batch_size
    peers = {
        f"StableDiffusionPipeline in batches of {size}": lambda: peer(prompts, seeds, size),
        "StableDiffusionPipeline image by image": lambda: peer(prompts, seeds, 1),
    }
    name = "generate_compiled" if compiled else "generate"
    measured = compare(name, ours, peers, unit="images/s", amount=n, rounds=rounds, note=note)
    limit = matrix_rate(HALF.get(sampler.precision, torch.float32), pipeline.device)
    plain = replace(sampler, compiled=False)  # the counter does not see into what is compiled
    counted = flops_of(lambda: sample(pipeline, prompts, seeds, plain))
    return replace(measured, flops=counted / n * measured.ours, limit=limit)


class _Diffusers:
    """The pipeline as a user opens and calls it, with the scheduler and the precision of ours."""

    def __init__(self, base: str, ours: "Pipeline", sampler: "Sampler") -> None:
        from diffusers import DDIMScheduler, StableDiffusionPipeline

        facts, scheduler = model_facts(base), cast("UNetPipeline", ours).scheduler
        if facts.local is None:
            raise UserError(f"{base} has no folder on this machine", do="name one")
        self._pipe: Any = StableDiffusionPipeline.from_pretrained(str(facts.local())).to(ours.device)
        self._pipe.scheduler = DDIMScheduler.from_config(scheduler.config)
        self._pipe.set_progress_bar_config(disable=True)
        self._ours, self._sampler = ours, sampler

    def __call__(self, prompts: list[str], seeds: list[int], size: int) -> "RGB":
        """Images of the prompts, so many at a time."""
        import torch

        made = []
        for start in range(0, len(prompts), size):
            rows = slice(start, start + size)
            with torch.no_grad(), self._ours.autocast(self._sampler.precision):
                out = self._pipe(
                    prompts[rows],
                    num_inference_steps=self._sampler.steps,
                    guidance_scale=self._sampler.guidance,
                    generator=[torch.Generator().manual_seed(seed) for seed in seeds[rows]],
                    output_type="np",
                )
            made.append((out.images * 255).round().astype(np.uint8))
        return np.concatenate(made)

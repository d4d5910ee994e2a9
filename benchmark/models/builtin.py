"""The built-in base models. To add one, register a function that returns its facts.

Its name is the function's, and its line in `fbench list models` the first of its docstring.
"""

from benchmark.core import resources
from benchmark.core.records import Sampler
from benchmark.models.facts import ModelFacts, models

SHAPES_GUIDANCE = 2.0
"""Chosen once on validation prompts: the smallest scale within 0.02 of the best alignment."""


@models.register()
def shapes() -> ModelFacts:
    """The embedded world: 64 x 64, 16 x 16 x 4 latents, runs on any machine, comes with fbench."""
    return ModelFacts(
        name="shapes",
        sampler=Sampler(steps=16, guidance=SHAPES_GUIDANCE),
        image_size=64,
        latent_shape=(4, 16, 16),
        licence="Apache-2.0",
        local=lambda: resources.shapes_weights("shapes-sd"),
    )


@models.register()
def sd15() -> ModelFacts:
    """Stable Diffusion 1.5: 512 x 512, 64 x 64 x 4 latents, 4 GB of weights from the hub."""
    return ModelFacts(
        name="sd15",
        hub_id="stable-diffusion-v1-5/stable-diffusion-v1-5",
        sampler=Sampler(steps=50, guidance=7.5, batch_size=4),
        image_size=512,
        latent_shape=(4, 64, 64),
        licence="CreativeML Open RAIL-M",
        download=4_270_000_000,
    )


@models.register()
def sdxl() -> ModelFacts:
    """SDXL base 1.0: 1024 x 1024, 128 x 128 x 4 latents, 14 GB of weights from the hub."""
    return ModelFacts(
        name="sdxl",
        hub_id="stabilityai/stable-diffusion-xl-base-1.0",
        sampler=Sampler(steps=50, guidance=5.0, batch_size=2),
        image_size=1024,
        latent_shape=(4, 128, 128),
        licence="CreativeML Open RAIL++-M",
        download=13_880_000_000,
    )

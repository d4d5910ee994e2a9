"""The UNet as a teacher of velocities: time is translated rightly, and it says about what draws are."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL

from benchmark.core import resources
from benchmark.models.flow.process import noisy, velocity
from benchmark.shapes.grammar import caption
from tools.build_shapes.fitting import Build, generator
from tools.build_shapes.teacher import Teacher
from tools.build_shapes.text import load_tokenizer, token_ids
from tools.build_shapes.unet import encode_renders


def test_it_expects_the_velocity_that_draws_have(tmp_path: Path) -> None:
    build = Build(resources.shapes_weights(), tmp_path, tmp_path)
    teacher = Teacher.load(build)
    steps = torch.tensor([1, 250, 998])
    torch.testing.assert_close(teacher.timestep(teacher.signal[steps]), steps.double())

    vae = AutoencoderKL.from_pretrained(build.weights / "shapes-sd" / "vae").eval()
    data, g = encode_renders(build, vae, 16, "validation"), generator("teacher")
    ids = token_ids(load_tokenizer(build), [caption(facts, g) for facts in data.facts])
    noise = torch.randn(data.latents.shape, generator=g)
    drawn = velocity(data.latents, noise)
    errors = []
    for level in (0.05, 0.3, 0.6, 0.9):
        sigma = torch.full((16,), level)
        found = teacher.velocity(noisy(data.latents, noise, sigma), sigma, ids)
        errors.append(float((found - drawn).square().mean() / drawn.square().mean()))
    # Where there is either hardly noise or hardly image, one of the two must be guessed from captions alone.
    assert max(errors) < 0.5
    assert min(errors) < 0.2

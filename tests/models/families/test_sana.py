"""What SANA alone has: two samplers, and an instruction before prompts."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import SanaTransformer2DModel

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Sampler
from benchmark.generate.sampling import sample
from benchmark.models import load_pipeline, model_facts
from benchmark.models.families.sana.pipeline import SanaPipeline, instruction
from benchmark.models.flow.multistep import MultistepSteps
from tools.random_flow.sana import diffusers_images, write_random_folder

SAMPLER = Sampler(name="dpmsolver++", steps=4, guidance=4.5, batch_size=3)
EULER = replace(SAMPLER, name="euler")
PROMPTS = ["a star", " Two  HEARTS, " * 20, ""]
SEEDS = [7, 8, 9]


@pytest.fixture(scope="module")
def folder(published_folder: Callable[..., Path]) -> Path:
    return published_folder("sana")


@pytest.fixture(scope="module")
def base(published_pipeline: Callable[..., SanaPipeline]) -> SanaPipeline:
    return published_pipeline("sana")


@pytest.fixture(scope="module")
def by_euler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_folder(tmp_path_factory.mktemp("euler") / "tiny", euler=True)


def opened(folder: Path) -> SanaPipeline:
    found = load_pipeline(str(folder), precision="fp32")
    assert isinstance(found, SanaPipeline)
    return found


def far(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_learned_variance_is_refused(folder: Path, tmp_path: Path) -> None:
    place = shutil.copytree(folder, tmp_path / "learned")
    config = place / "transformer" / "config.json"
    channels = json.loads(config.read_text())["in_channels"]
    edit(config, out_channels=2 * channels)
    with pytest.raises(UserError, match=rf"reads {channels} channels and says {2 * channels}; a velocity"):
        model_facts(str(place))


def test_a_folder_is_sampled_as_its_scheduler_says(by_euler: Path) -> None:
    assert model_facts(str(by_euler)).sampler.name == "euler"
    pipeline = opened(by_euler)
    assert pipeline.schedule.shift == 3.0
    ours = sample(pipeline, PROMPTS, SEEDS, EULER)
    assert far(ours, diffusers_images(by_euler, PROMPTS, SEEDS, EULER)) <= 1


def test_no_prompt_is_read_without_the_instruction_and_an_empty_one_with_it(base: SanaPipeline) -> None:
    told, empty = base.encode_prompts([""]), base.encode_empty()
    assert told.shapes == empty.shapes == {"states": (300, 16), "mask": (300,)}
    assert not torch.allclose(told.parts["states"], empty.parts["states"], atol=1e-3)
    assert base.text_settings() == [300, instruction()[0]]


def test_the_transformer_is_asked_at_timesteps_of_its_own_scale(base: SanaPipeline) -> None:
    told, noisy, sigma = base.encode_prompts(PROMPTS), torch.ones(3, 4, 16, 16), torch.tensor([0.2, 0.5, 0.9])
    scaled = SanaTransformer2DModel.from_config({**base.config, "timestep_scale": 0.25})
    scaled.load_state_dict(base.transformer.state_dict())
    states, mask = told.parts["states"], told.parts["mask"]
    with torch.no_grad():
        for network, scale in ((base.transformer, 1000), (scaled, 250)):
            found = base.with_network(network).predict(network, noisy, sigma, told)
            wanted = network(noisy, states, sigma * scale, encoder_attention_mask=mask).sample
            torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


def test_either_sampler_is_there_for_either_scheduler(base: SanaPipeline, by_euler: Path) -> None:
    other = opened(by_euler)
    for pipeline in (base, other):
        steps = pipeline.sampler_steps(SAMPLER)
        assert isinstance(steps, MultistepSteps)
        assert len(steps.times) == 4
        found = sample(pipeline, PROMPTS[:1], SEEDS[:1], replace(SAMPLER, batch_size=1))
        assert far(found, sample(pipeline, PROMPTS[:1], SEEDS[:1], replace(EULER, batch_size=1))) > 1
    one, two = (pipeline.sampler_steps(SAMPLER).times for pipeline in (base, other))
    assert torch.equal(torch.as_tensor(one), torch.as_tensor(two))
    assert torch.equal(base.schedule.sigmas(7), other.schedule.sigmas(7))
    with pytest.raises(UserError, match=r"eta is 0\.5.*draws no noise.*euler"):
        base.sampler_steps(replace(SAMPLER, eta=0.5))
    with pytest.raises(UnknownNameError, match="ddim"):
        base.sampler_steps(replace(SAMPLER, name="ddim"))


def test_a_solver_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    changes = {"use_flow_sigmas": False, "algorithm_type": "sde-dpmsolver++", "prediction_type": "epsilon"}
    for name, value in changes.items():
        place = shutil.copytree(folder, tmp_path / name)
        edit(place / "scheduler" / "scheduler_config.json", **{name: value})
        with pytest.raises(UserError, match=f"the scheduler says {name}"):
            load_pipeline(str(place))

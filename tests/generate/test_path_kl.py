"""The KL between sampling paths: its laws, and that what was measured is not measured again."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.core.errors import NotComparableError, UserError
from benchmark.core.records import Checkpoint, ImageSet, Prompt, PromptSet, Sampler
from benchmark.generate import generate, sample_walks, with_distances
from benchmark.generate import path_kl as room
from benchmark.generate.path_kl import path_kl
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline

SAMPLER = Sampler(steps=6, guidance=3.0, batch_size=4, eta=0.0)
PROMPTS = ["a star", "two hearts", "a moon, winter", "a star", "a flat circle"]
SEEDS = [3, 1, 4, 1, 5]


def nats(policy: Pipeline, reference: Pipeline, sampler: Sampler = SAMPLER) -> np.ndarray:
    return np.concatenate(list(path_kl(policy, reference, PROMPTS, SEEDS, sampler)))


@pytest.fixture(scope="module")
def moved(tiny_pipeline: Pipeline) -> Pipeline:
    """The tiny pipeline with a UNet a little off."""
    unet = copy.deepcopy(tiny_pipeline.unet)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in unet.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=noise) * weight.abs().mean())
    return replace(tiny_pipeline, unet=unet)


def test_a_model_is_at_no_distance_from_itself(tiny_pipeline: Pipeline) -> None:
    copied = replace(tiny_pipeline, unet=copy.deepcopy(tiny_pipeline.unet))
    assert (nats(copied, tiny_pipeline) == 0).all()


def test_a_constant_difference_has_the_closed_form(tiny_pipeline: Pipeline) -> None:
    shift = 0.25
    unet = copy.deepcopy(tiny_pipeline.unet)
    with torch.no_grad():
        unet.conv_out.bias += shift
    policy = replace(tiny_pipeline, unet=unet)
    steps = tiny_pipeline.transition_steps(SAMPLER.steps)
    assert len(steps) >= SAMPLER.steps - 1
    expected = float((steps.scale(tiny_pipeline.latent_size) * shift**2).sum())
    assert nats(policy, tiny_pipeline) == pytest.approx(np.full(5, expected), rel=1e-4)


def test_other_predictions_of_one_mean_are_no_distance(
    tiny_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that predicts the noise, from one that predicts v, about the same picture."""
    settings = {**tiny_pipeline.scheduler.config, "rescale_betas_zero_snr": False}
    kinds = {
        kind: type(tiny_pipeline.scheduler).from_config(settings, prediction_type=kind)
        for kind in ("v_prediction", "epsilon")
    }
    root = kinds["epsilon"].alphas_cumprod.sqrt()
    unet = copy.deepcopy(tiny_pipeline.unet)

    def noise(x: Tensor, t: Tensor, **kwargs: Any) -> tuple[Tensor]:
        a = root[int(t)]
        return (a * tiny_pipeline.unet(x, t, **kwargs)[0] + (1 - a**2).sqrt() * x,)

    monkeypatch.setattr(unet, "forward", noise)
    policy = replace(tiny_pipeline, unet=unet, scheduler=kinds["epsilon"])
    found = nats(policy, replace(tiny_pipeline, scheduler=kinds["v_prediction"]))
    assert found.max() < 1e-6


def test_it_is_the_mean_log_ratio_along_the_policys_paths(tiny_pipeline: Pipeline, moved: Pipeline) -> None:
    """E[log p_theta / p_ref] over many paths; the differences from path KL have mean zero on each path."""
    n = 192
    prompts, seeds = ["a star"] * n, list(range(n))
    sampler = replace(SAMPLER, batch_size=32, steps=4, eta=1.0, guidance=1.0)
    kl = np.concatenate(list(path_kl(moved, tiny_pipeline, prompts, seeds, sampler)))
    walks = torch.from_numpy(sample_walks(moved, prompts, seeds, sampler))
    steps = moved.transition_steps(sampler.steps)
    told = moved.encode_prompts(["a star"]).repeat(n).parts["states"]
    ratio = torch.zeros(n, dtype=torch.float64)
    for k, position in enumerate(steps.index.tolist()):
        before, after = walks[:, position], walks[:, position + 1]
        squares = []
        for pipeline in (moved, tiny_pipeline):
            with torch.no_grad():
                said = pipeline.unet(before, steps.t[k], told, return_dict=False)[0]
            mu = steps.a[k] * before.double() + steps.b[k] * said.double()
            squares.append((after.double() - mu).square().sum((1, 2, 3)))
        ratio += (squares[1] - squares[0]) / (2 * steps.sigma[k] ** 2)
    gap = ratio.numpy() - kl
    assert kl.mean() > 0.1
    assert abs(gap.mean()) < 4 * gap.std(ddof=1) / n**0.5
    # The variance of a Gaussian's log ratio is twice its KL, so the test sees a factor of two.
    assert gap.var() == pytest.approx(2 * kl.mean(), rel=0.4)


def test_it_is_positive_repeatable_and_independent_of_batches_guidance_and_eta(
    tiny_pipeline: Pipeline, moved: Pipeline
) -> None:
    first = nats(moved, tiny_pipeline)
    assert (first > 0).all()
    assert np.array_equal(nats(moved, tiny_pipeline), first)
    assert np.array_equal(nats(moved, tiny_pipeline, replace(SAMPLER, guidance=7.5, eta=0.5)), first)
    assert nats(moved, tiny_pipeline, replace(SAMPLER, batch_size=3)) == pytest.approx(first, rel=1e-3)
    # Prompt and seed both count: the second and the fourth share a seed, the first and the fourth a prompt.
    assert len(set(first)) == len(first)


def test_other_noise_schedules_are_not_comparable(tiny_pipeline: Pipeline) -> None:
    scheduler = type(tiny_pipeline.scheduler).from_config(tiny_pipeline.scheduler.config, beta_end=0.03)
    with pytest.raises(NotComparableError, match="noise schedules"):
        nats(replace(tiny_pipeline, scheduler=scheduler), tiny_pipeline)


def test_a_sampler_without_noise_gives_no_distance_and_not_zero(
    tiny_pipeline: Pipeline, moved: Pipeline
) -> None:
    with pytest.raises(UserError, match="none of 1 sampling steps .* draws noise.*more --steps"):
        nats(moved, tiny_pipeline, replace(SAMPLER, steps=1))


@pytest.fixture
def images(moved: Pipeline, tmp_path: Path) -> ImageSet:
    prompts = PromptSet("few", "1", tuple(Prompt(f"p{i}", text) for i, text in enumerate(PROMPTS[:3])))
    sampler = replace(SAMPLER, steps=2)
    return generate(Checkpoint("moved", "tiny", revision="r1"), moved, prompts, sampler, 2, tmp_path)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many paths each call measured."""
    calls: list[int] = []
    real: Callable[..., object] = room.path_kl

    def counting(policy: Pipeline, reference: Pipeline, prompts: list[str], *rest: object) -> object:
        calls.append(len(prompts))
        return real(policy, reference, prompts, *rest)

    monkeypatch.setattr(room, "path_kl", counting)
    return calls


def test_what_was_measured_is_not_measured_again(
    images: ImageSet, tiny_pipeline: Pipeline, moved: Pipeline, tmp_path: Path, asked: list[int]
) -> None:
    first = with_distances(images, moved, tiny_pipeline, tmp_path)
    values = [record.path_kl for record in first]
    assert all(value is not None and value > 0 for value in values)
    assert with_distances(images, moved, tiny_pipeline, tmp_path) == first
    assert asked == [6, 0]
    # Less is found in what is there; another base, other weights or another sampler is measured.
    part = replace(images, records=images.records[2:])
    assert [r.path_kl for r in with_distances(part, moved, tiny_pipeline, tmp_path)] == values[2:]
    with_distances(images, moved, replace(tiny_pipeline, revision="other"), tmp_path)
    with_distances(replace(images, sampler=replace(images.sampler, steps=3)), moved, tiny_pipeline, tmp_path)
    other = replace(images.checkpoint, revision="r2")
    with_distances(replace(images, checkpoint=other), moved, tiny_pipeline, tmp_path)
    assert asked == [6, 0, 0, 6, 6, 6]


def test_an_interrupted_measurement_goes_on(
    images: ImageSet, tiny_pipeline: Pipeline, moved: Pipeline, tmp_path: Path, asked: list[int]
) -> None:
    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_distances(images, moved, tiny_pipeline, tmp_path, progress=stop)
    whole = with_distances(images, moved, tiny_pipeline, tmp_path)
    assert asked == [6, 2]
    assert None not in [record.path_kl for record in whole]


def test_the_reference_is_at_zero_and_a_failed_image_at_nothing(
    images: ImageSet, tiny_pipeline: Pipeline, moved: Pipeline, tmp_path: Path
) -> None:
    assert {r.path_kl for r in with_distances(images, tiny_pipeline, tiny_pipeline, tmp_path)} == {0.0}
    failed = replace(images.records[0], status="error", note="no")
    broken = replace(images, records=(failed, *images.records[1:]))
    found = with_distances(broken, moved, tiny_pipeline, tmp_path)
    assert found.records[0].path_kl is None
    assert None not in [record.path_kl for record in found.records[1:]]

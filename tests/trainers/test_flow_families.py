"""Every family of flow models is trained, resumed and sampled, whatever it is made of."""

import json
import math
import multiprocessing as mp
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from benchmark.core.errors import ConfigError, UserError
from benchmark.core.records import Sampler
from benchmark.generate import sample, sample_walks
from benchmark.generate.path_kl import path_kl
from benchmark.models import load_pipeline as load_any
from benchmark.models import open_checkpoint
from benchmark.models.flow.pipeline import FlowPipeline as Pipeline
from benchmark.models.loading import weights_sha256
from tools.random_flow import FAMILIES, diffusers_images
from trainers import loop
from trainers.batches import draw_batch, held_out_moments, moments_at
from trainers.checkpoints import step_folder
from trainers.config import TrainConfig
from trainers.encoded_pairs import EncodedPairs
from trainers.latents import encode_pairs
from trainers.log_ratio import PolicyAndReference, pair_errors
from trainers.logs import MetricsFile, read_metrics
from trainers.networks import FullPolicy, LoraPolicy, base_network, network_errors
from trainers.pairs import load_pairs
from trainers.recipe import BatchPlan, make_recipe
from trainers.train import train

load_pipeline = cast("Callable[..., Pipeline]", load_any)
Settings = Callable[..., TrainConfig]
CLOCK = ("seconds", "shared_seconds", "samples_per_second", "memory_gb")
PROMPTS, SEEDS = ["a star", "two hearts", ""], [7, 8, 9]
LOG_2 = float(np.float32(math.log(2)))

every_family = pytest.mark.parametrize("folder", FAMILIES, indirect=True)


@pytest.fixture
def folder(request: pytest.FixtureRequest, published_folder: Callable[..., Path]) -> Path:
    return published_folder(request.param)


@pytest.fixture
def family(folder: Path) -> str:
    return folder.name.removeprefix("tiny-")


@pytest.fixture
def base(folder: Path) -> Pipeline:
    return load_pipeline(str(folder), precision="fp32")


@pytest.fixture
def pairs(base: Pipeline, tiny_data: Path, tiny_cache: Path) -> EncodedPairs:
    return encode_pairs(base, load_pairs(str(tiny_data), held_out=0).train, tiny_cache)


def sampler_of(base: Pipeline, **changes: Any) -> Sampler:
    return replace(replace(base.sampler, steps=3, batch_size=3, precision="fp32"), **changes)


def run_in_two_parts(config: TrainConfig) -> None:
    """Starts a run in a process that is killed after its first step, and ends it here."""
    process = mp.get_context("fork").Process(target=killed_after_a_step, args=(config.model_dump(),))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    train(config)


def killed_after_a_step(values: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    write = MetricsFile.write

    def written(self: MetricsFile, metrics: Mapping[str, Any]) -> None:
        write(self, metrics)
        if metrics["step"] == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(MetricsFile, "write", written)  # noqa: B010  # a method is no attribute to the type checker
    train(TrainConfig.parse(values))


def files(folder: Path) -> dict[str, bytes]:
    weights = folder.rglob("*.safetensors")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in weights}


def timeless(run: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in read_metrics(run)]


@every_family
@pytest.mark.parametrize(
    ("objective", "rank", "divergence"),
    [("f_dpo", 4, "jensen_shannon"), ("f_dpo", "full", "reverse_kl"), ("rpo", 4, "reverse_kl"),
     ("rpo", "full", "alpha(a=0.5)")],
)  # fmt: skip
def test_killed_and_resumed_it_ends_as_an_unbroken_run(
    folder: Path, settings: Settings, tiny_clip: Path, objective: str, rank: Any, divergence: str
) -> None:
    def run(name: str) -> TrainConfig:
        more = {"clip": tiny_clip} if objective == "rpo" else {}
        return settings(
            name, base=str(folder), objective=objective, divergence=divergence, lora_rank=rank, steps=2,
            save_every=1, held_out_draws=2, prompt_dropout=0.3, lr=1e-3, **more,
        )  # fmt: skip

    broken, whole = run("broken"), run("whole")
    run_in_two_parts(broken)
    train(whole)
    assert timeless(broken.out) == timeless(whole.out)
    for step in (1, 2):
        ours, theirs = (files(step_folder(config.out, step)) for config in (broken, whole))
        assert ours
        assert ours == theirs
    lines = read_metrics(whole.out)
    # Step 1 is computed at the reference.
    assert lines[1]["loss"] == pytest.approx(LOG_2, abs=1e-6)
    assert lines[2]["loss"] != lines[1]["loss"]
    record = json.loads((step_folder(whole.out, 2) / "checkpoint.json").read_text())
    assert record["hyperparameters"]["t_density"].startswith(
        ("logit_normal(mean=0, std=1, shift=", "uniform(")
    )


@every_family
@pytest.mark.parametrize("rank", [4, "full"])
def test_a_trained_policy_is_sampled_and_opened_by_plain_diffusers(
    folder: Path, family: str, base: Pipeline, settings: Settings, rank: Any
) -> None:
    config = settings("run", base=str(folder), lora_rank=rank, steps=2, held_out_draws=2, lr=3e-2)
    train(config)
    _, policy = open_checkpoint(str(config.out), base)
    sampler = sampler_of(base)
    ours = sample(policy, PROMPTS, SEEDS, sampler).astype(int)
    place = step_folder(config.out, 2)
    if rank == "full":
        # Plain diffusers puts the saved transformer into the pipeline's folder.
        whole = Path(str(place) + "-whole")
        whole.mkdir()
        for part in folder.iterdir():
            (whole / part.name).symlink_to(part if part.name != "transformer" else place / "transformer")
        theirs = diffusers_images(family, whole, PROMPTS, SEEDS, sampler)
    else:
        theirs = diffusers_images(family, folder, PROMPTS, SEEDS, sampler, place)
    assert np.abs(ours - theirs).max() <= 1
    assert np.abs(ours - sample(base, PROMPTS, SEEDS, sampler)).max() > 1


@every_family
def test_the_base_is_sampled_as_by_plain_diffusers(folder: Path, family: str, base: Pipeline) -> None:
    for guidance in (base.sampler.guidance, 1.0):
        sampler = sampler_of(base, guidance=guidance)
        ours = sample(base, PROMPTS, SEEDS, sampler).astype(int)
        assert np.abs(ours - diffusers_images(family, folder, PROMPTS, SEEDS, sampler)).max() <= 1


@every_family
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_equal_to_the_reference_s_is_0_to_the_bit(
    base: Pipeline, pairs: EncodedPairs, dropout: float
) -> None:
    shared = base_network(base)
    full, lora = FullPolicy(shared), LoraPolicy(shared, "new", 4, "all", 0)
    inputs = draw_batch(base, pairs, BatchPlan(0, 4, draws=2, prompt_dropout=dropout), 0).inputs
    for policy in (full, lora):
        with torch.no_grad():
            with shared.reference() as network:
                reference = network_errors(base, network, inputs).error
            with policy.active() as network:
                own = network_errors(base, network, inputs).error
        assert not any(s.any() for s in pair_errors(PolicyAndReference(own, reference), 2500.0).log_ratios())


@every_family
def test_the_reference_is_the_same_after_a_resumed_run(
    folder: Path, base: Pipeline, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    train_runs = loop.train_runs

    def watched(runs: Any, shared: Any) -> None:
        train_runs(runs, shared)
        own = {name: value for name, value in shared.base.network.state_dict().items() if "lora_" not in name}
        plain = {name.replace(".base_layer", ""): value for name, value in own.items()}
        network = base.empty_network()
        network.load_state_dict(plain)
        seen.append(weights_sha256(network))

    monkeypatch.setattr(loop, "train_runs", watched)
    config = settings("run", base=str(folder), steps=2, save_every=1, held_out_pairs=0)
    run_in_two_parts(config)
    assert seen == [weights_sha256(base.network)]


@every_family
def test_captions_are_dropped_for_winner_and_loser_alike(base: Pipeline, pairs: EncodedPairs) -> None:
    batch = draw_batch(base, pairs, BatchPlan(0, 6, prompt_dropout=1.0), 0)
    empty = pairs.text(np.zeros(6, dtype=np.int64), base.device)
    for name, part in batch.inputs.text.parts.items():
        assert torch.equal(part, empty.parts[name])
    assert batch.inputs.noisy.shape[0] == 2  # one caption for both sides
    assert len(batch.inputs.text) == 6


@every_family
def test_sigma_is_drawn_from_seed_step_and_row_by_the_density(base: Pipeline, pairs: EncodedPairs) -> None:
    def sigmas(density: str | None, rows: int = 6, step: int = 3, **more: Any) -> torch.Tensor:
        return draw_batch(base, pairs, BatchPlan(5, rows, t_density=density, **more), step).moments.t

    even, own = sigmas("uniform"), sigmas(None)
    for text in ("logit_normal(mean=1, std=0.5, shift='model')", "uniform(shift=3)"):
        density = base.density(text)
        np.testing.assert_allclose(sigmas(text).numpy(), density(even.double().numpy()), atol=1e-6)
    np.testing.assert_allclose(own.numpy(), base.density(None)(even.double().numpy()), atol=1e-6)
    assert torch.equal(sigmas(None, rows=2), own[:, :2])
    assert torch.equal(sigmas(None), own)
    assert not torch.equal(sigmas(None, step=4), own)
    shared = sigmas(None, share_t="batch")
    assert bool((shared == shared[:, :1]).all())
    # What is held out is looked at evenly, whatever training draws.
    np.testing.assert_allclose(held_out_moments(base, pairs, 4).t[:, 0], [0.125, 0.375, 0.625, 0.875])


@every_family
def test_the_log_ratio_may_be_of_the_noise_or_the_image(base: Pipeline, pairs: EncodedPairs) -> None:
    u = np.array([[0.2, 0.7]])
    assert moments_at(base, pairs, u).scale is None
    scales = {of: moments_at(base, pairs, u, of).scale for of in ("noise", "image")}
    torch.testing.assert_close(scales["noise"], torch.tensor([[0.64, 0.09]]))
    torch.testing.assert_close(scales["image"], torch.tensor([[0.04, 0.49]]))
    plan = BatchPlan(0, 4, error_of="noise")
    batch = draw_batch(base, pairs, plan, 0)
    torch.testing.assert_close(batch.moments.scale, (1 - batch.moments.t).square())


@every_family
def test_a_constant_shift_of_the_velocity_has_the_path_kl_of_its_closed_form(base: Pipeline) -> None:
    policy = base.with_network(base.empty_network().requires_grad_(False).eval())
    policy.network.load_state_dict(base.network.state_dict())
    with torch.no_grad():
        policy.network.get_parameter("proj_out.bias").add_(0.25)
    sampler = sampler_of(base, steps=5)
    steps = base.transition_steps(5)
    assert steps.index.tolist() == [0, 1, 2, 3]
    wanted = float((steps.scale(base.latent_size) * 0.25**2).sum())
    found = np.concatenate(list(path_kl(policy, base, PROMPTS, SEEDS, sampler)))
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
    assert not np.concatenate(list(path_kl(base, base, PROMPTS, SEEDS, sampler))).any()
    # A walk begins at noise alone, which is in the last quarter of the noise levels all the same.
    assert float(steps.t[0]) == 1
    assert 0.999 < float(base.noise_level(steps.t)[0]) < 1
    # Euler's steps are the ones that draw noise, and every family has them.
    walks = sample_walks(base, PROMPTS, SEEDS, replace(sampler, name="euler", eta=1.0))
    assert walks.shape == (3, 6, *base.latent_shape)
    assert np.isfinite(walks).all()


@every_family
def test_settings_of_flow_models_are_checked_before_anything_is_loaded(
    folder: Path, settings: Settings, tiny_pipeline_folder: Path
) -> None:
    with pytest.raises(ConfigError, match="t_density is normal"):
        settings(base=str(folder), t_density="normal")
    for changes in ({"t_density": "uniform"}, {"error_of": "noise"}):
        make_recipe(settings(base=str(folder), **changes))
        with pytest.raises(UserError, match="no flow-matching model"):
            make_recipe(settings(base=str(tiny_pipeline_folder), **changes))
    with pytest.raises(ConfigError, match="t_density is set"):
        make_recipe(settings(base=str(folder), t_density="uniform", estimator="transition"))


def test_a_unet_has_no_density(tiny_pipeline: Any, settings: Settings) -> None:
    assert tiny_pipeline.density(None) is None
    with pytest.raises(UserError, match="t_density is uniform.*no flow-matching model"):
        tiny_pipeline.density("uniform")
    assert tiny_pipeline.error_weight(torch.tensor([5]), "prediction") is None
    with pytest.raises(UserError, match="error_of is noise"):
        tiny_pipeline.error_weight(torch.tensor([5]), "noise")

"""What a CUDA GPU does is what the CPU does, as far as its arithmetic allows."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmark.core.records import Sampler
from benchmark.generate.sampling import sample
from benchmark.models import load_pipeline
from trainers.batches import draw_batch
from trainers.config import TrainConfig
from trainers.latents import encode_pairs
from trainers.logs import read_metrics
from trainers.pairs import load_pairs
from trainers.recipe import BatchPlan
from trainers.train import train

pytestmark = pytest.mark.gpu

Settings = Callable[..., TrainConfig]


@pytest.fixture(autouse=True)
def exact_float32() -> Iterator[None]:
    """TF32 rounds products to ten bits; comparisons with the CPU are made without it."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def weights(config: TrainConfig, step: int) -> dict[str, torch.Tensor]:
    folder = config.out / "checkpoints" / f"step-{step:06d}"
    (file,) = [*folder.glob("*.safetensors"), *folder.glob("unet/*.safetensors")]
    return load_file(file)


def last(config: TrainConfig) -> dict[str, Any]:
    return dict(read_metrics(config.out)[-1])


def largest_difference(one: TrainConfig, other: TrainConfig, step: int) -> float:
    first, second = weights(one, step), weights(other, step)
    assert first.keys() == second.keys()
    return max(float((first[k] - second[k]).abs().max()) for k in first)


def test_batches_are_the_same_on_both_devices(
    settings: Settings, tiny_pipeline_folder: Path, gpu_data: Path, tmp_path: Path
) -> None:
    plan, found = BatchPlan(seed=3, batch_size=8, prompt_dropout=0.3), {}
    for device in ("cpu", "cuda"):
        pipeline = load_pipeline(str(tiny_pipeline_folder), device, precision="fp32")
        pairs = encode_pairs(pipeline, load_pairs(str(gpu_data)).train, tmp_path / device)
        found[device] = draw_batch(pipeline, pairs, plan, step=5)
    cpu, gpu = found["cpu"], found["cuda"]
    assert gpu.inputs.noisy.device.type == "cuda"
    assert np.array_equal(cpu.rows, gpu.rows)
    assert torch.equal(cpu.inputs.t, gpu.inputs.t.cpu())
    torch.testing.assert_close(gpu.inputs.noisy.cpu(), cpu.inputs.noisy, rtol=0, atol=2e-3)
    torch.testing.assert_close(gpu.inputs.target.cpu(), cpu.inputs.target, rtol=0, atol=2e-3)


@pytest.mark.parametrize("divergence", ["reverse_kl", "alpha(a=0.5)"])
@pytest.mark.parametrize("lora_rank", [4, "full"])
def test_a_run_in_float32_is_that_of_the_cpu(
    settings: Settings, divergence: str, lora_rank: int | str
) -> None:
    runs = {
        device: settings(device, device=device, divergence=divergence, lora_rank=lora_rank, lr=1e-5)
        for device in ("cpu", "cuda")
    }
    for config in runs.values():
        train(config)
    cpu, gpu = (read_metrics(runs[device].out) for device in ("cpu", "cuda"))
    for theirs, ours in zip(cpu, gpu, strict=True):
        for key in ("loss", "heldout/loss", "grad_norm"):
            if key in theirs:
                assert ours[key] == pytest.approx(theirs[key], rel=2e-2), (ours["step"], key)


def test_a_step_in_bf16_is_near_the_cpus_in_float32(settings: Settings) -> None:
    exact = settings("fp32", device="cpu", steps=1, save_every=1)
    half = settings("bf16", precision="bf16", steps=1, save_every=1)
    for config in (exact, half):
        train(config)
    assert last(half)["loss"] == pytest.approx(np.log(2), abs=0.02)
    assert last(half)["grad_norm"] == pytest.approx(last(exact)["grad_norm"], rel=0.1)
    assert last(half)["heldout/loss"] == pytest.approx(last(exact)["heldout/loss"], abs=0.02)
    assert all(tensor.isfinite().all() for tensor in weights(half, 1).values())


def test_fp16_scales_its_loss_and_learns(settings: Settings) -> None:
    config = settings("fp16", precision="fp16")
    train(config)
    # A step that was scaled too far has no norm, and is left out.
    assert any(line.get("grad_norm") for line in read_metrics(config.out))
    assert all(tensor.isfinite().all() for tensor in weights(config, 4).values())
    assert any(float(tensor.abs().max()) > 0 for tensor in weights(config, 4).values())


def test_auto_is_bf16_where_the_gpu_has_it(tiny_pipeline_folder: Path) -> None:
    precision = load_pipeline(str(tiny_pipeline_folder), "cuda", precision="auto").precision
    assert precision == ("bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp16")


def test_sampling_gives_the_same_pictures_within_a_grey_level_or_two(tiny_pipeline_folder: Path) -> None:
    prompts, seeds = ["a red star", "two hearts", "a ring"], [1, 2, 3]
    sampler = Sampler(steps=8, guidance=2.0, batch_size=2)
    images = [
        sample(load_pipeline(str(tiny_pipeline_folder), device, precision="fp32"), prompts, seeds, sampler)
        for device in ("cpu", "cuda")
    ]
    difference = np.abs(images[0].astype(int) - images[1].astype(int))
    assert difference.max() <= 2
    assert difference.mean() < 0.2


def test_a_run_that_was_broken_off_ends_as_an_unbroken_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainers import loop
    from trainers.run import Run

    whole, broken = settings("whole", lr=1e-4), settings("broken", lr=1e-4)
    train(whole)
    update = loop.train_step

    def fail_at_third(run: Run, *args: Any, **kwargs: Any) -> Any:
        if run.step == 2:
            raise RuntimeError("the machine went away")
        return update(run, *args, **kwargs)

    monkeypatch.setattr(loop, "train_step", fail_at_third)
    with pytest.raises(RuntimeError, match="went away"):
        train(broken)
    monkeypatch.undo()
    train(broken)
    assert [line["step"] for line in read_metrics(broken.out)] == [0, 1, 2, 3, 4]
    # A GPU may add in another order; the CPU's law is equality to the bit.
    assert largest_difference(whole, broken, 4) < 1e-3


def test_more_micro_batches_need_less_memory_and_give_the_same_weights(settings: Settings) -> None:
    peaks = {}
    for parts in (1, 8):
        config = settings(
            f"parts{parts}", steps=2, batch_size=64, micro_batches=parts, held_out_pairs=0, lr=1e-5
        )
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        train(config)
        peaks[parts] = torch.cuda.max_memory_allocated()
    assert peaks[8] < 0.6 * peaks[1], peaks
    assert largest_difference(settings("parts1"), settings("parts8"), 2) < 1e-4


def test_a_compiled_network_learns_the_same(settings: Settings) -> None:
    plain, compiled = settings("plain", lr=1e-5), settings("compiled", lr=1e-5, compile=True)
    for config in (plain, compiled):
        train(config)
    assert last(compiled)["heldout/loss"] == pytest.approx(last(plain)["heldout/loss"], rel=1e-3)
    assert last(compiled)["grad_norm"] == pytest.approx(last(plain)["grad_norm"], rel=2e-2)

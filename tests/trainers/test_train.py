"""The command's function: it checks first, runs, resumes, reuses and shares."""

import math
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmark.core.errors import ConfigError, DiskFullError, UserError
from benchmark.core.manifest import read_manifest
from trainers import loop, networks
from trainers.checkpoints import step_folder
from trainers.config import TrainConfig
from trainers.log_ratio import pair_errors
from trainers.logs import Metrics, read_metrics
from trainers.plan import plan
from trainers.run import Run
from trainers.train import train, train_many

Settings = Callable[..., TrainConfig]
CLOCK = ("seconds", "shared_seconds", "samples_per_second", "memory_gb")


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    folder = step_folder(run, step)
    (file,) = folder.rglob("*.safetensors")
    return load_file(file)


def assert_same_weights(a: Path, b: Path, step: int) -> None:
    first, second = weights(a, step), weights(b, step)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[k], second[k]) for k in first)


def timeless(run: Path) -> list[Metrics]:
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in read_metrics(run)]


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGINT) -> None:
    """Presses Ctrl-C, or sends another signal, in the middle of a step."""
    update = loop.train_step

    def pressed(run: Run, *args: Any) -> Metrics:
        if run.step + 1 == step:
            signal.raise_signal(number)
        return update(run, *args)

    monkeypatch.setattr(loop, "train_step", pressed)


@pytest.mark.parametrize(("lora_rank", "number"), [(4, signal.SIGINT), ("full", signal.SIGTERM)])
def test_a_run_broken_off_ends_as_an_unbroken_one_to_the_bit(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, lora_rank: int | str, number: int
) -> None:
    whole = settings("whole", lora_rank=lora_rank)
    broken = settings("broken", lora_rank=lora_rank)
    train(whole)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3, number)  # between two checkpoints
        with pytest.raises(KeyboardInterrupt):
            train(broken)
    assert read_manifest(broken.out).status == "cancelled"
    # Either lets the step end.
    assert [line["step"] for line in read_metrics(broken.out)] == [0, 1, 2, 3]
    assert not step_folder(broken.out, 4).exists()
    result = train(broken)
    assert [c.step for c in result.checkpoints] == [2, 4]
    assert (read_manifest(broken.out).status, read_manifest(broken.out).attempts) == ("success", 2)
    for step in (2, 4):
        assert_same_weights(whole.out, broken.out, step)
    assert timeless(whole.out) == timeless(broken.out)


def test_steps_after_the_last_checkpoint_of_a_killed_run_are_done_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = settings("whole", steps=5), settings("killed", steps=5)
    train(whole)
    update = loop.train_step

    def die(run: Run, *args: Any) -> Metrics:
        if run.step == 3:
            raise MemoryError("killed")
        return update(run, *args)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", die)
        with pytest.raises(MemoryError):
            train(killed)
    assert read_manifest(killed.out).status == "error"
    assert [line["step"] for line in read_metrics(killed.out)] == [0, 1, 2, 3]
    with (killed.out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # what a killed process may leave
    train(killed)
    assert timeless(whole.out) == timeless(killed.out)
    assert_same_weights(whole.out, killed.out, 5)


def test_policies_trained_together_end_as_alone_to_the_bit(settings: Settings) -> None:
    members: dict[str, dict[str, Any]] = {
        "js": {"divergence": "jensen_shannon"},
        "sft": {"objective": "sft"},
        "drift": {"log_ratio_centre": "drift", "beta": 2.0},
        "other_seed": {"seed": 7, "steps": 1},
        "shared_t": {"share_t": "batch", "divergence": "forward_kl"},
        "full": {"lora_rank": "full", "lr": 1e-3},
    }
    together = train_many(
        [settings(f"{name}-together", **({"steps": 2} | changes)) for name, changes in members.items()]
    )
    for (name, changes), shared in zip(members.items(), together, strict=True):
        alone = train(settings(f"{name}-alone", **({"steps": 2} | changes)))
        assert alone.checkpoint.id == shared.checkpoint.id, name
        assert_same_weights(alone.folder, shared.folder, alone.checkpoint.step)
        assert timeless(alone.folder) == timeless(shared.folder), name


def counted_reference_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the base model is asked, one entry a time."""
    reference, passes = networks.BaseNetwork.reference, list[int]()

    def counted(self: networks.BaseNetwork) -> Any:
        passes.append(1)
        return reference(self)

    monkeypatch.setattr(networks.BaseNetwork, "reference", counted)
    return passes


def test_policies_with_equal_batches_share_the_reference_pass(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = counted_reference_passes(monkeypatch)
    betas = {f"b{b}": settings(f"b{b}", beta=b, steps=2, held_out_pairs=0) for b in (1, 2, 4)}
    train_many(list(betas.values()))
    assert len(passes) == 2  # one a step, not one a policy


def test_sft_alone_makes_no_reference_pass(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = counted_reference_passes(monkeypatch)
    assert train(settings(objective="sft", steps=1, held_out_pairs=0)).checkpoint.step == 1
    assert passes == []


def test_a_finished_run_is_reused_and_nothing_is_loaded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings()
    first = train(config)
    monkeypatch.setattr("trainers.shared.load_pipeline", None)
    again = train(config)
    assert again.reused
    assert not first.reused
    assert again.checkpoint == first.checkpoint
    assert (again.held_out_loss, again.diverged) == (first.held_out_loss, first.diverged)


@pytest.mark.parametrize("divergence", ["reverse_kl", "jensen_shannon"])
def test_it_learns_a_plain_preference(
    settings: Settings, preference_row: Any, write_rows: Any, jpeg: Any, divergence: str
) -> None:
    """White is preferred to black: seen on pairs, timesteps and noise that were not trained on."""
    white, black = jpeg(0, level=255), jpeg(0, level=0)
    rows = [preference_row(i, jpg_0=white, jpg_1=black, label_0=1.0, label_1=0.0) for i in range(4)]
    write_rows("plain/heldout.parquet", rows[:2])
    data = str(write_rows("plain/train.parquet", rows).parent)
    how = {"lora_rank": "full", "lr": 3e-3, "steps": 10, "draws": 2, "save_every": 10, "held_out_draws": 8}
    result = train(settings(data=data, divergence=divergence, **how))
    assert result.held_out_loss is not None
    assert result.held_out_loss < 0.9 * math.log(2)
    assert not result.diverged
    assert float(read_metrics(result.folder)[-1]["heldout/accuracy"] or 0) > 0.7


def test_a_loss_that_is_no_number_stops_the_run_and_names_step_and_rows(settings: Settings) -> None:
    config = settings(steps=3, lr=1e30, max_grad_norm=1e30)
    with pytest.raises(UserError, match=r"nan|inf") as error:
        train(config)
    text = str(error.value)
    assert "step 2" in text
    assert "train.parquet:" in text
    assert read_manifest(config.out).status == "error"


def test_the_checkpoint_before_a_loss_that_is_no_number_stays_and_can_be_gone_on_from(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = settings("whole", steps=4, save_every=2), settings("broken", steps=4, save_every=2)
    train(whole)
    steps = count(1)

    def poisoned(*args: Any) -> Any:
        errors = pair_errors(*args)
        assert errors.log_ratio_winner is not None
        if next(steps) == 4:
            return replace(errors, log_ratio_winner=errors.log_ratio_winner * math.nan)
        return errors

    with monkeypatch.context() as patch:
        patch.setattr(loop, "pair_errors", poisoned)
        with pytest.raises(UserError, match=r"the loss is nan at step 4 .* its rows: train.parquet:\d+"):
            train(broken)
    assert read_manifest(broken.out).status == "error"
    assert_same_weights(whole.out, broken.out, 2)
    assert not step_folder(broken.out, 4).exists()
    train(broken)
    assert_same_weights(whole.out, broken.out, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"divergence": "revers_kl"}, "reverse_kl"),
        ({"objective": "fdpo"}, "f_dpo"),
        ({"objective": "sft", "divergence": "reverse_kl"}, "has none"),
        ({"objective": "sft", "beta": 1.0}, "has none"),
        ({"objective": "sft", "slope_matched": True}, "no divergence"),
        ({"objective": "rpo"}, "clip"),
        ({"objective": "rpo", "clip": Path("nowhere")}, "nowhere"),
        ({"base": "shapez"}, "shapes"),
        ({"data": "shapes-pref"}, "shapes-pref"),
        ({"data": "no/such/file.parquet"}, "no preference data at"),
        ({"device": "tpu"}, "no device"),
    ],
)
def test_what_a_user_can_put_right_is_one_line_before_anything_is_loaded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr("trainers.shared.load_pipeline", None)
    with pytest.raises(UserError, match=message) as error:
        train(settings(**changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepz": 3}, "steps"),
        ({"steps": -3}, "steps is -3"),
        ({"lr": 0}, "lr"),
        ({"lora_rank": "half"}, "lora_rank"),
        ({"warmup": 9, "steps": 3}, "warmup is 9"),
        ({"prompt_dropout": 1.5}, "prompt_dropout"),
    ],
)
def test_impossible_settings_are_refused(settings: Settings, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**changes)


def test_with_shapes_beta_and_scale_are_always_stated(settings: Settings) -> None:
    for missing in ("beta", "log_ratio_scale"):
        with pytest.raises(ConfigError, match=f"{missing} is not stated"):
            plan(settings(base="shapes", **{missing: None}))


def test_a_folder_of_another_run_is_not_touched(settings: Settings) -> None:
    config = settings(steps=1)
    train(config)
    with pytest.raises(UserError, match=r"other settings \(beta, seed\)"):
        train(settings(steps=1, beta=3.0, seed=1))
    assert len(read_metrics(config.out)) == 2


def test_a_full_disk_is_said_before_training(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings()
    monkeypatch.setattr("benchmark.core.store.shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(DiskFullError, match="the run run needs"):
        train(config)
    assert read_manifest(config.out).status == "error"
    assert not (config.out / "checkpoints").exists()


def test_runs_that_cannot_share_are_told_apart(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="same folder"):
        train_many([settings("a"), settings("a", seed=1)])
    with pytest.raises(ConfigError, match="differ in held_out_pairs"):
        train_many([settings("a"), settings("b", held_out_pairs=2)])


def test_the_plan_says_what_a_run_would_do_and_writes_nothing(settings: Settings) -> None:
    config = settings(divergence="alpha(a=0.3)", log_ratio_scale="auto", slope_matched=True)
    text = "\n".join(plan(config))
    for word in (
        "LoRA of rank 4",
        "alpha(a=0.3",
        "153.6 (auto)",
        "24 pairs, 6 held out",
        "4 of 4 pairs",
    ):
        assert word in text
    assert not config.out.exists()


def test_a_finished_run_of_before_a_setting_was_added_is_reused(settings: Settings) -> None:
    config = settings()
    train(config)
    manifest = read_manifest(config.out)
    del manifest.config["ema"]
    manifest.write(config.out)
    assert train(config).reused
    with pytest.raises(UserError, match=r"a run of other settings \(ema\)"):
        train(config.model_copy(update={"ema": 0.9}))

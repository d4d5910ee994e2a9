"""Recipes are complete: each makes settings and an objective, with beta and scale stated."""

import json
from pathlib import Path
from statistics import fmean

import pytest

from benchmark.core.errors import ConfigError, UnknownNameError
from trainers.config import TrainConfig
from trainers.presets import PRESETS, preset
from trainers.recipe import make_recipe

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_complete(name: str, tmp_path: Path) -> None:
    config = TrainConfig.resolve(None, {"preset": name, "out": tmp_path})
    recipe = make_recipe(config)  # with base `shapes` it refuses what is not stated
    assert config.preset == name
    if recipe.objective.uses_reference:
        assert {"beta", "log_ratio_scale"} <= PRESETS[name].values.keys()
    assert {"steps", "batch_size", "lr", "base", "data"} <= PRESETS[name].values.keys()
    assert PRESETS[name].summary


def test_the_files_values_overrule_a_preset_and_flags_overrule_both(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('preset = "shapes-rpo"\nlr = 0.5\nbatch-size = 8\n')
    config = TrainConfig.resolve(file, {"out": tmp_path, "lr": 0.25, "seed": None})
    assert (config.preset, config.lr, config.batch_size, config.objective) == ("shapes-rpo", 0.25, 8, "rpo")


def test_flags_come_as_text(tmp_path: Path) -> None:
    flags = {"out": tmp_path, "lora_rank": "8", "log_ratio_scale": "120", "beta": 2.0}
    config = TrainConfig.resolve(None, flags)
    assert (config.lora_rank, config.log_ratio_scale) == (8, 120.0)
    flags |= {"lora_rank": "full", "log_ratio_scale": "auto"}
    config = TrainConfig.resolve(None, flags)
    assert (config.lora_rank, config.log_ratio_scale) == ("full", "auto")


def test_an_unknown_preset_or_key_names_the_close_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="shapes-rpo"):
        preset("shapes-rop")
    assert preset("shapes_rpo").name == "shapes-rpo"
    file = tmp_path / "mine.toml"
    file.write_text("btach_size = 3\n")
    with pytest.raises(ConfigError, match=r"mine.toml: unknown key 'btach_size'.*did you mean batch_size"):
        TrainConfig.resolve(file, {"out": tmp_path})


def test_what_a_preset_should_give_is_what_its_committed_evaluation_says() -> None:
    for name, recipe in PRESETS.items():
        file = RESULTS / name / "verdict.json"
        assert file.is_file() == bool(recipe.expected), name
        if not recipe.expected:
            continue
        seeds = json.loads(file.read_text())["seeds"]
        rewards = [f["difference"] for s in seeds for f in s["findings"] if f["scorer"] == "true_reward"]
        found = {
            "held_out_loss": fmean(s["held_out_loss"] for s in seeds),
            "true_reward_difference": fmean(rewards),
        }
        assert recipe.expected == pytest.approx(found, abs=5e-4)

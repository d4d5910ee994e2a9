"""The embedded flow-matching model learns what is preferred, in ten steps of its recipes."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmark.generate import sample
from benchmark.models import load_pipeline, model_facts, open_checkpoint
from trainers.config import TrainConfig
from trainers.logs import read_metrics
from trainers.presets import PRESETS
from trainers.train import train

RECIPES = [name for name in PRESETS if name.startswith("shapes-flow-")]
SMALL = {
    "steps": 10, "batch_size": 8, "data_limit": 16, "held_out_pairs": 8, "warmup": 0, "save_every": 10,
    "precision": "fp32",
}  # fmt: skip


def test_the_embedded_world_has_a_model_of_either_kind() -> None:
    facts = [model_facts(name) for name in ("shapes", "shapes-flow")]
    assert [one.family is not None and one.family.flow for one in facts] == [False, True]
    assert all(one.embedded for one in facts)
    assert facts[0].latent_shape == facts[1].latent_shape


@pytest.mark.parametrize("name", ["shapes-flow-f-dpo-jensen-shannon", "shapes-flow-rpo"])
def test_ten_steps_on_sixteen_pairs_prefer_what_was_preferred(name: str, tmp_path: Path) -> None:
    assert name in RECIPES
    out = tmp_path / "run"
    train(TrainConfig.resolve(None, {"preset": name, "out": out, "cache": tmp_path / "cache", **SMALL}))
    lines = read_metrics(out)
    margins = [float(line["margin"] or 0) for line in lines if "margin" in line]
    losses = [float(line["loss"] or 0) for line in lines if "loss" in line]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert margins[0] == 0
    # Sixteen pairs seen five times: learned by heart, which a step in the wrong direction would not do.
    assert np.mean(margins[5:]) > np.mean(margins[1:5]) > 0
    assert losses[-1] < losses[0]

    base = load_pipeline("shapes-flow")
    _, policy = open_checkpoint(str(out), base)
    prompts, seeds = ["a red star", "two hearts"], [1, 2]
    pictures = [sample(one, prompts, seeds, base.sampler) for one in (base, policy)]
    assert pictures[0].shape == (2, 64, 64, 3)
    assert (pictures[0] != pictures[1]).any()

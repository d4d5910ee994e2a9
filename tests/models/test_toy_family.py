"""A family in one file of a user's opens, samples and is evaluated like fbench's own."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from benchmark.core.errors import UserError
from benchmark.core.records import Sampler
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.plan import plan
from benchmark.evaluate.run import evaluate
from benchmark.generate import sample
from benchmark.models import base_hash, checkpoint_hash, load_pipeline, loading, model_facts, open_checkpoint
from benchmark.models.facts import family_of
from benchmark.models.families.base import Pipeline

FILE = Path(__file__).resolve().parents[1] / "toy_family.py"
TOY = f"{FILE}:toy"


def test_it_is_known_before_it_is_loaded() -> None:
    facts = model_facts(TOY)
    assert (facts.name, facts.image_size, facts.latent_size, facts.samplers) == ("toy", 8, 192, ("euler",))
    assert facts.local is not None
    assert family_of(facts, facts.local()) is facts.family


def test_it_is_named_by_its_weights_and_its_code(tmp_path: Path) -> None:
    pipeline = load_pipeline(TOY, precision="fp32")
    assert pipeline.name == f"toy@{pipeline.revision[:8]}"
    assert base_hash(TOY) == pipeline.content_hash == pipeline.revision
    edited = tmp_path / "toy_family.py"
    edited.write_text(FILE.read_text() + "\n# another code\n")
    assert base_hash(f"{edited}:toy") != base_hash(TOY)
    assert base_hash(f"{shutil.copy(FILE, tmp_path / 'copy.py')}:toy") == base_hash(TOY)


def test_it_is_sampled() -> None:
    pipeline = load_pipeline(TOY, precision="fp32")
    sampler = Sampler(name="euler", steps=3, guidance=2.0, batch_size=2)
    images = sample(pipeline, ["a star", "a moon", "a star"], [1, 2, 1], sampler)
    assert images.shape == (3, 8, 8, 3)
    assert np.array_equal(images[0], images[2])
    assert not np.array_equal(images[0], images[1])


def test_its_checkpoints_open_by_its_own_layout(tmp_path: Path) -> None:
    base = load_pipeline(TOY, precision="fp32")
    other = base.empty_network()
    base.save_network(other, tmp_path / "trained")
    checkpoint, policy = open_checkpoint(str(tmp_path / "trained"), base)
    assert checkpoint.base_model == base.name
    assert all((a == b).all() for a, b in zip(_values(policy.network), _values(other), strict=True))
    assert checkpoint_hash(str(tmp_path / "trained"), TOY) != checkpoint_hash("base", TOY)


def _values(network: nn.Module) -> list[np.ndarray]:
    return [value.numpy() for value in network.state_dict().values()]


@pytest.fixture
def config(tmp_path: Path) -> EvalConfig:
    (tmp_path / "prompts.txt").write_text("a red star\ntwo hearts\na moon\n")
    return EvalConfig.parse({
        "base": TOY, "checkpoint": ("base",), "prompts": str(tmp_path / "prompts.txt"), "scorers": "entropy",
        "images_per_prompt": 2, "batch_size": 2, "out": tmp_path / "eval", "precision": "fp32",
        "primary": "entropy",
    })  # fmt: skip


def test_it_is_evaluated(config: EvalConfig) -> None:
    assert "euler" in "\n".join(plan(config).lines())
    result = evaluate(config, command="fbench eval")
    assert result.leaderboard is not None
    (row,) = result.leaderboard.rows
    assert row.checkpoint.base_model.startswith("toy@")
    assert len(list((config.out / "images" / "base").glob("*.png"))) == 6


def test_what_it_has_not_is_said(config: EvalConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sampler.*ddim.*euler"):
        plan(config.model_copy(update={"sampler": "ddim"}))
    base = load_pipeline(TOY, precision="fp32")
    base.save_network(base.empty_network(), tmp_path / "trained")
    measured = {"checkpoint": ("base", str(tmp_path / "trained")), "distance": True, "steps": 2}
    with pytest.raises(UserError, match="path_kl"):
        evaluate(config.model_copy(update=measured), command="fbench eval")


def test_an_unfinished_family_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = model_facts(TOY)
    assert facts.family is not None

    def unfinished() -> type[Pipeline]:
        return type("Unfinished", (Pipeline,), {})

    def broken() -> type[Pipeline]:
        raise NameError("nowhere")

    for load, said in (
        (unfinished, "lacks add_noise.*release_encoders"),
        (broken, "cannot be loaded.*nowhere"),
    ):
        family = replace(facts.family, load=load)
        monkeypatch.setattr(loading, "family_of", lambda *_, family=family: family)
        with pytest.raises(UserError, match=said):
            load_pipeline(TOY)


def test_facts_that_lead_nowhere_are_refused() -> None:
    facts = model_facts(TOY)
    with pytest.raises(UserError, match="is Python code.*toy_family.py:NAME"):
        model_facts(str(FILE))
    with pytest.raises(UserError, match="neither where it lies nor its hub id"):
        replace(facts, local=None)
    with pytest.raises(UserError, match="sampler ddim.*euler"):
        replace(facts, sampler=Sampler(name="ddim"))

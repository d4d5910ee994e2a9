"""The facts of base models, without torch."""

from pathlib import Path

import pytest

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.models import model_facts, models


def test_every_registered_model_states_how_it_is_sampled() -> None:
    for name in models.names():
        facts = model_facts(name)
        assert facts.name == name
        assert facts.image_size == 0 or facts.image_size % facts.latent_shape[1] == 0
        assert facts.sampler.steps > 0
        assert facts.licence


def test_the_documented_defaults() -> None:
    shapes, sd15 = model_facts("shapes"), model_facts("sd15")
    assert (shapes.sampler.steps, shapes.sampler.eta, shapes.latent_size) == (16, 0.0, 1024)
    assert (sd15.sampler.steps, sd15.sampler.guidance, sd15.latent_size) == (50, 7.5, 16384)


def test_a_wrong_name_gives_the_close_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean shapes"):
        model_facts("shape")


def test_a_folder_says_what_it_is(tiny_pipeline_folder: Path) -> None:
    facts = model_facts(str(tiny_pipeline_folder))
    assert (facts.name, facts.image_size, facts.latent_shape) == ("tiny-sd", 64, (4, 16, 16))


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model_index\.json"):
        model_facts(str(tmp_path))
    (tmp_path / "model_index.json").write_text('{"_class_name": "MarigoldDepthPipeline"}')
    with pytest.raises(
        UserError,
        match="MarigoldDepthPipeline; allowed: .*StableDiffusionPipeline, StableDiffusionXLPipeline",
    ):
        model_facts(str(tmp_path))


def test_a_hub_id_is_not_looked_up_yet() -> None:
    assert model_facts("owner/some-model").hub_id == "owner/some-model"

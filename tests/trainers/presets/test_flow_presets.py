"""Recipes of flow-matching models: the public loss at the public beta, on sigmas that are stated."""

import pytest
import torch
from torch.nn.functional import logsigmoid

from benchmark.models import model_facts
from benchmark.models.flow.densities import parse_density
from trainers.log_ratio import PolicyAndReference, log_ratio_scale, pair_errors
from trainers.objectives import objectives
from trainers.presets import FLOW, Preset

BETA_DPO = {"flow-dpo-flux": 2000, "rpo-flux": 2000}
"""Of public codes whose errors are means; where nothing is said, 100."""
each = pytest.mark.parametrize("preset", FLOW, ids=lambda preset: preset.name)


@each
def test_they_are_of_flow_models_and_state_how_sigma_is_drawn(preset: Preset) -> None:
    family = model_facts(str(preset.values["base"])).family
    assert family is not None
    assert family.flow
    density = parse_density(str(preset.values["t_density"]), 3.0)
    assert density.name == "logit_normal"


@each
def test_the_loss_is_the_public_one_at_its_beta(preset: Preset) -> None:
    """Theirs: -logsigmoid(-0.5 beta_dpo (delta_w - delta_l)), with means over the latents."""
    values, beta = preset.values, BETA_DPO.get(preset.name, 100)
    kappa = log_ratio_scale(values["log_ratio_scale"], model_facts(str(values["base"])).latent_shape)
    assert kappa * values["beta"] == 0.5 * beta
    policy, reference = torch.rand(2, 2, 1, 5, generator=torch.Generator().manual_seed(0)) / 50
    delta = policy - reference
    theirs = -logsigmoid(-0.5 * beta * (delta[0] - delta[1])).mean()
    ours = objectives.create("diffusion_dpo", beta=values["beta"])(
        pair_errors(PolicyAndReference(policy, reference), kappa)
    )
    assert float(ours.loss) == pytest.approx(float(theirs), rel=1e-6)

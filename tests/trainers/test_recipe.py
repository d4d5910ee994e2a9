"""From settings to objectives: all of them can be planned and trained, and nothing is ignored in silence."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import UserError
from trainers.config import TrainConfig
from trainers.logs import read_metrics
from trainers.objectives import objectives
from trainers.plan import plan
from trainers.recipe import make_recipe
from trainers.train import train

Settings = Callable[..., TrainConfig]
every_objective = pytest.mark.parametrize("name", objectives.names())


def stated(name: str, **more: Any) -> dict[str, Any]:
    """What an objective is told, and no more."""
    takes = inspect.signature(objectives.get(name)).parameters
    uses_reference = name not in ("sft", "mapo")
    return {
        "objective": name,
        "beta": 0.7 if "beta" in takes else None,
        "log_ratio_scale": 100.0 if uses_reference else None,
        **more,
    }


@every_objective
def test_every_objective_can_be_planned(settings: Settings, name: str, tmp_path: Path) -> None:
    for file in ("open_clip_config.json", "open_clip_model.safetensors"):
        (tmp_path / file).touch()  # hashed before a run, and not opened
    line = plan(settings(**stated(name, clip=tmp_path)))[0]
    assert f" with {name}" in line
    assert ("beta 0.7" in line) == (name != "sft")
    assert ("log-ratio scale 100" in line) == (name not in ("sft", "mapo"))


def test_a_plan_says_which_beta_was_given_where_slopes_are_matched(settings: Settings) -> None:
    given = stated("f_dpo", divergence="jensen_shannon", slope_matched=True)
    assert ", beta 1.4 (0.7 slope-matched), log-ratio scale" in plan(settings(**given))[0]


@every_objective
def test_every_objective_trains(settings: Settings, name: str) -> None:
    if name == "rpo":
        return  # needs a CLIP with weights: tests/trainers/test_train.py
    config = settings(**stated(name, steps=1, save_every=1, held_out_draws=2, micro_batches=2))
    recipe = make_recipe(config)
    train(config)
    start, first = read_metrics(config.out)
    value = recipe.objective.value_at_reference
    if value is not None:
        assert start["heldout/loss"] == pytest.approx(value, rel=1e-5)
        assert first["loss"] == pytest.approx(value, rel=1e-5)
    assert first["heldout/loss"] != start["heldout/loss"]
    assert math.isfinite(float(first["grad_norm"] or math.nan))
    assert ("winner/s_mean" in first) == recipe.objective.uses_reference
    assert ("heldout/t2/loser/s_mean" in first) == recipe.objective.uses_reference


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"objective": "ipo", "divergence": "forward_kl"}, "divergence is forward_kl, and ipo has none"),
        (
            {"objective": "mapo", "log_ratio_scale": 100.0},
            "a log-ratio is set up, and mapo uses no reference",
        ),
        (
            {"objective": "mapo", "log_ratio_scale": None, "log_ratio_centre": "drift"},
            "a log-ratio is set up, and mapo uses no reference",
        ),
        ({"objective": "sft", "beta": 1.0}, "beta is 1, and sft has none"),
        ({"objective": "dmpo", "slope_matched": True}, "slope_matched is set, and dmpo takes no divergence"),
        ({"objective": "dspo", "beta": 2.0}, "beta is at most 1, got 2.0"),
        ({"objective": "dmpo(alpha=0.5)"}, "alpha is between 0 and 1/2, got 0.5"),
        (
            {"objective": "f_dpo(beta=0.5)"},
            "divergence and beta are settings of their own; allowed: in the brackets, by name: nothing",
        ),
        ({"objective": "ipo(0.5)"}, "beta are settings of their own; allowed: in the brackets"),
        ({"objective": "rpo(divergence='forward_kl')"}, "by name: tau, weight, normalisation"),
    ],
)
def test_what_would_do_nothing_is_refused(settings: Settings, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        make_recipe(settings(**{"beta": 1.0, **changes}))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "beta"), [("mapo", 0.1), ("dspo", 0.001), ("f_dpo", 1.0), ("kto", 1.0)])
def test_a_beta_that_is_not_stated_is_the_papers_or_1(settings: Settings, name: str, beta: float) -> None:
    assert make_recipe(settings(**stated(name) | {"beta": None})).beta == beta


def test_arguments_reach_the_objective(settings: Settings) -> None:
    kto = make_recipe(settings(objective="kto(desirable=1.5)", beta=0.3))
    assert vars(kto.objective) | {"divergence": None} == {
        "divergence": None,
        "beta": 0.3,
        "desirable": 1.5,
        "undesirable": 1.0,
        "value_at_reference": 0.625,
        **{k: v for k, v in vars(kto.objective).items() if k.startswith("__")},
    }
    assert kto.plan.share_t == "batch"
    assert make_recipe(settings(objective="kto", share_t="pair")).plan.share_t == "pair"
    assert make_recipe(settings(objective="dspo", beta=0.5)).plan.share_t == "pair"


def test_an_objective_of_ones_own_may_take_arguments_in_order(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from trainers.objectives import SFT, Objective\n"
        "class Margin(Objective):\n"
        "    name, value_at_reference = 'margin', None\n"
        "    uses_reference = paired = couples_batch = False\n"
        "    def __init__(self, most): self.most = most\n"
        "    def __call__(self, errors): return SFT()(errors)\n"
    )
    config = settings(objective=f"{file}:Margin(3)", beta=None, log_ratio_scale=None)
    assert getattr(make_recipe(config).objective, "most", None) == 3

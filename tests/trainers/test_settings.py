"""One list of settings: what a field says of itself, and all that is derived from it."""

from pathlib import Path
from typing import Annotated, Any

import pytest

from benchmark.cli.app import command
from benchmark.core.config import Config
from benchmark.core.settings import Setting
from benchmark.evaluate.config import EvalConfig, ScoreConfig
from benchmark.leaderboard.same_method import _BEFORE, method_facts
from benchmark.workflows.frontier.config import FrontierConfig
from benchmark.workflows.pairs.config import PairsConfig
from trainers.config import TRAIN_SETTINGS, TrainConfig, TrainSetting
from trainers.identity import identity_before
from trainers.recipe import hyperparameters, make_recipe, method_settings

CONFIGS: dict[str, type[Config]] = {
    "train": TrainConfig,
    "eval": EvalConfig,
    "score": ScoreConfig,
    "pairs": PairsConfig,
    "frontier": FrontierConfig,
}
INPUTS = {"base": "b", "clip": "c", "trajectories": "t", "objective": "o", "divergence": "d", "pairs": "p"}


def recorded(kind: str) -> set[str]:
    return {name for name, setting in TRAIN_SETTINGS.items() if setting.record == kind}


def stated(**changes: Any) -> dict[str, Any]:
    settings = {"beta": 1.0, "log_ratio_scale": 1.0, "objective": "rpo", "out": "run", **changes}
    config = TrainConfig.parse(settings)
    return hyperparameters(config, make_recipe(config), (4, 8, 8), INPUTS)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_setting_says_what_it_belongs_to(name: str) -> None:
    found = CONFIGS[name].settings(TrainSetting if name == "train" else Setting)
    assert list(found) == list(CONFIGS[name].model_fields)
    for setting in found.values():
        assert setting.help.strip()
        assert "\n" not in setting.help


def test_a_setting_that_says_nothing_is_refused() -> None:
    class Silent(Config):
        told: Annotated[int, Setting("Of nothing.", "", "value")] = 0
        untold: int = 0

    with pytest.raises(TypeError, match=r"Silent\.untold needs an annotation, Setting\(\.\.\.\)"):
        Silent.settings(Setting)
    with pytest.raises(TypeError, match=r"Silent\.told needs an annotation, TrainSetting\(\.\.\.\)"):
        Silent.settings(TrainSetting)
    with pytest.raises(TypeError, match="record"):
        TrainSetting("Of nothing.", "", "value")  # type: ignore[call-arg]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_setting_has_the_flag_that_it_states(name: str) -> None:
    settings = CONFIGS[name].settings(Setting)
    found = command().get_command(None, name).params
    by_name = {one.name: one for one in found}
    assert len(by_name) == len(found)
    for setting, said in settings.items():
        assert (setting in by_name) == (said.flag != "none"), setting
        if said.flag == "none":
            continue
        one, default = by_name[setting], CONFIGS[name].model_fields[setting].default
        assert one.help.split(" (default")[0] == said.help.split(" (default")[0]
        assert "{default}" not in one.help
        assert (getattr(one, "rich_help_panel", None) or "") == said.group
        if "{default}" in said.help:
            values = default if isinstance(default, tuple) else (default,)
            shown = ",".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
            assert one.help.endswith(f"(default {shown})")


def test_the_identity_of_a_run_is_of_the_settings_that_say_so() -> None:
    config = TrainConfig(out=Path("run"))
    by_value = {name for name, setting in TRAIN_SETTINGS.items() if setting.identity == "value"}
    assert config.identity().keys() == by_value
    never = {name for name, setting in TRAIN_SETTINGS.items() if setting.identity == "never"}
    # The hashes of states of before stand in files of users: what made them changes no more.
    assert identity_before(config).keys() == TrainConfig.model_fields.keys() - never
    assert never == {"out", "cache", "offline", "tracker", "validation_images", "early_updates"}


def test_what_decides_the_weights_is_recognised() -> None:
    for name, setting in TRAIN_SETTINGS.items():
        if setting.record in ("method", "content", "field"):
            assert setting.identity in ("value", "content"), name
        if setting.identity in ("never", "formerly"):
            assert setting.record in ("no", "hyperparameter"), name
        if setting.record == "content":
            assert setting.identity == "content", name


def test_every_setting_of_the_method_is_a_hyperparameter() -> None:
    own = {"effective_beta", "log_ratio_scale_setting"}
    contents = {"clip_sha256", "trajectories_sha256", "objective_sha256", "divergence_sha256"}
    named = recorded("method") | recorded("hyperparameter") | recorded("content")
    assert stated().keys() == named | own | contents
    assert method_settings("shapes").keys() == recorded("method") | contents
    assert {f"{name}_sha256" for name in recorded("content")} <= contents


def test_a_method_is_told_apart_by_every_setting_that_is_the_method_s() -> None:
    from benchmark.core.records import Checkpoint

    one = stated()
    run = Checkpoint("a", "shapes", "rpo", None, one, method_settings=method_settings("shapes"))
    for name in run.method_settings:
        other = Checkpoint(
            "b", "shapes", "rpo", None, {**one, name: "other"}, method_settings=run.method_settings
        )
        first, second = method_facts([run, other])
        assert {fact for fact in first if first[fact] != second[fact]} == {name}
    for name in recorded("hyperparameter"):
        other = Checkpoint("b", "shapes", "rpo", None, {**one, name: "other"})
        first, second = method_facts([Checkpoint("a", "shapes", "rpo", None, one), other])
        assert first == second, name


def test_records_that_name_no_settings_of_their_method_are_read_by_those_of_then() -> None:
    assert _BEFORE.keys() <= recorded("method")
    usual = method_settings("shapes")
    assert {k: v for k, v in _BEFORE.items() if v is not None} == {
        k: usual[k] for k, v in _BEFORE.items() if v is not None
    }


def test_policies_that_are_trained_together_share_what_says_so() -> None:
    from benchmark.core.errors import ConfigError
    from trainers.refusals import refuse_unlike

    given = {"beta": 1.0, "log_ratio_scale": 1.0}
    for name, setting in TRAIN_SETTINGS.items():
        if name == "out":
            continue
        one = TrainConfig.parse({**given, "out": "a"})
        other = one.model_copy(update={"out": Path("b"), name: "other"})
        if setting.together == "own":
            refuse_unlike([one, other])
        else:
            with pytest.raises(ConfigError, match=f"runs trained together differ in {name}"):
                refuse_unlike([one, other])

"""Recipes are complete: each makes settings and an objective, with beta, scale and source stated."""

import json
from pathlib import Path
from statistics import fmean

import pytest

from benchmark.core.errors import ConfigError, UnknownNameError
from benchmark.models import draws_embedded_world, models
from tools.docs import presets_page
from trainers.config import TrainConfig
from trainers.log_ratio import log_ratio_scale
from trainers.pairs.sources import find_source
from trainers.presets import PRESETS, UNKNOWN, preset
from trainers.presets.published import BETA_DPO
from trainers.recipe import make_recipe

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "results"
LATENTS = {"sd15": (4, 64, 64), "sdxl": (4, 128, 128)}
EMBEDDED = [name for name, found in PRESETS.items() if draws_embedded_world(found.values["base"])]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_complete(name: str, tmp_path: Path) -> None:
    config = TrainConfig.resolve(None, {"preset": name, "out": tmp_path})
    recipe = make_recipe(config)  # with base `shapes` it refuses what is not stated
    assert config.preset == name
    if recipe.objective.uses_reference:
        assert {"beta", "log_ratio_scale"} <= PRESETS[name].values.keys()
    assert {"steps", "batch_size", "lr", "base", "data"} <= PRESETS[name].values.keys()
    assert config.base in models.names()
    found = PRESETS[name]
    assert found.summary
    assert found.source
    assert found.gives == UNKNOWN or (found.expected is not None and found.expected.source)


@pytest.mark.parametrize("name", EMBEDDED)
def test_what_the_embedded_recipes_learn_from_is_in_the_package(name: str) -> None:
    assert find_source(str(PRESETS[name].values["data"]))


@pytest.mark.parametrize("base", ["shapes", "shapes-flow", "sd15"])
def test_every_divergence_of_the_table_has_a_recipe(base: str) -> None:
    beginning = "f-dpo-sd15-" if base == "sd15" else f"{base}-f-dpo-"
    named = {
        str(p.values["divergence"]).partition("(")[0] for n, p in PRESETS.items() if n.startswith(beginning)
    }
    # Squared Hellinger at beta is alpha(0.5) at beta/2, to the bit.
    assert named == {
        "reverse_kl", "forward_kl", "jensen_shannon", "alpha", "jeffreys", "pearson_chi2", "chi2_kl",
    }  # fmt: skip
    same = [
        {k: v for k, v in p.values.items() if k != "divergence"}
        for n, p in PRESETS.items()
        if n.startswith(beginning)
    ]
    assert all(one == same[0] for one in same)


@pytest.mark.parametrize("name", ["diffusion-dpo-sd15", "diffusion-dpo-sdxl", "rpo-sd15", "rpo-sdxl"])
def test_kappa_times_beta_is_half_of_diffusion_dpos_beta_to_the_bit(name: str) -> None:
    """Theirs: -logsigmoid(-0.5 beta_dpo (delta_w - delta_l)); ours: beta (s_w - s_l), s = -kappa delta."""
    values = PRESETS[name].values
    kappa = log_ratio_scale(values["log_ratio_scale"], LATENTS[values["base"]])
    assert kappa * values["beta"] == 0.5 * BETA_DPO == 2500
    delta_w, delta_l = 0.25, 0.125  # exact in binary
    theirs = -0.5 * BETA_DPO * (delta_w - delta_l)
    assert values["beta"] * (-kappa * delta_w - -kappa * delta_l) == theirs


def test_the_f_dpo_recipes_are_within_two_percent_of_that_product() -> None:
    for name, found in PRESETS.items():
        if name.startswith("f-dpo-sd15-"):
            kappa = log_ratio_scale(found.values["log_ratio_scale"], LATENTS["sd15"])
            assert kappa * found.values["beta"] == pytest.approx(BETA_DPO / 2, rel=0.02)


def test_the_published_recipes_are_what_the_launchers_say() -> None:
    """SalesforceAIResearch/DiffusionDPO: launchers/sd15.sh, launchers/sdxl.sh, defaults of train.py."""
    for base, optimizer, warmup in (("sd15", "adamw", 500), ("sdxl", "adafactor", 200)):
        values = PRESETS[f"diffusion-dpo-{base}"].values
        assert values["lr"] == 1e-8 * 2048
        assert (values["batch_size"], values["steps"], values["warmup"]) == (2048, 2000, warmup)
        assert (values["optimizer"], values["prompt_dropout"]) == (optimizer, 0.2)
        assert (values["weight_decay"], values["max_grad_norm"]) == (0.01, 1.0)
        assert values["lora_rank"] == "full"
        assert (values["ties"], values["crop"], values["flip"]) == ("drop", "centre", True)


def test_the_page_of_presets_is_what_the_tables_say() -> None:
    written = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
    assert written == presets_page.markdown(), "run python -m tools.docs.presets_page docs/presets.md"
    for name in PRESETS:
        assert written.count(f"### `{name}`\n") == 1


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


def test_what_a_preset_should_give_is_what_the_committed_evaluation_says() -> None:
    files = [RESULTS / room / "verdict.json" for room in ("evaluation", "flow")]
    arms = {
        (arm["preset"], arm["beta"]): (arm["seeds"], file)
        for file in files
        for arm in json.loads(file.read_text())
    }
    for name in EMBEDDED:
        recipe = PRESETS[name]
        seeds, file = arms.get((name, recipe.values.get("beta")), (None, ROOT))
        assert (seeds is not None) == (recipe.expected is not None), name
        if seeds is None or recipe.expected is None:
            continue
        found = {"held_out_loss": fmean(seed["held_out_loss"] for seed in seeds)}
        for scorer in ("true_taste", "true_diversity", "oracle"):
            of_seeds = [f["difference"] for s in seeds for f in s["findings"] if f["scorer"] == scorer]
            found[f"{scorer}_difference"] = fmean(of_seeds)
        assert dict(recipe.expected.values) == pytest.approx(found, abs=5e-4)
        assert str(file.parent.relative_to(ROOT)) in recipe.expected.source

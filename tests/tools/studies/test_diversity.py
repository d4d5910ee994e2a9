"""The diversity study: mixtures are what they are called, ranks agree as known, the page is the JSON's."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmark.core.records import ImageSet
from benchmark.shapes.grammar import parse
from tools.studies.diversity import __main__ as command
from tools.studies.diversity.findings import findings
from tools.studies.diversity.measure import LEARNED, SCORERS, SET, Measured, rank_agreement
from tools.studies.diversity.mixtures import blended, noisy, repeated, saturated
from tools.studies.diversity.page import BEGIN, END, block, with_block
from tools.studies.diversity.sources import narrowed, open_prompts

ROOT = Path(__file__).resolve().parents[3]
MakeSet = Callable[..., ImageSet]


def shas(images: ImageSet, prompt: int = 0) -> list[str]:
    wanted = images.prompt_set.prompts[prompt].id
    return [record.sha256 for record in images if record.prompt_id == wanted]


def test_mixtures_keep_cells_and_change_images(make_set: MakeSet) -> None:
    one, other = make_set(prompts=2, k=4), make_set(prompts=2, k=4, name="other", seed=0)
    other = noisy(one, 20, other.records[0].path.parent)
    a, b = shas(one), shas(other)
    for made in (repeated(one, 3), blended(one, other, 1)):
        assert [(r.prompt_id, r.seed) for r in made] == [(r.prompt_id, r.seed) for r in one]
        assert made.id != one.id
        assert all(made.open(record).shape == (64, 64, 3) for record in made)
    assert shas(repeated(one, 3), 0) == [a[0], a[0], a[0], a[3]]
    assert shas(blended(one, other, 1), 0) == [b[0], *a[1:]]


def test_noise_and_saturation_do_what_they_say(make_set: MakeSet, tmp_path: Path) -> None:
    images = make_set(prompts=1, k=1)
    before = images.open(images.records[0]).astype(float)
    loud = noisy(images, 10, tmp_path / "noise")
    added = loud.open(loud.records[0]) - before
    middle = (before > 40) & (before < 215)
    assert added[middle].std() == pytest.approx(10, rel=0.1)
    assert shas(noisy(images, 10, tmp_path / "again")) == shas(loud)
    vivid = saturated(images, 2, tmp_path / "vivid")
    spread = np.ptp(vivid.open(vivid.records[0]).astype(float), axis=2) - np.ptp(before, axis=2)
    assert spread.min() >= -1.5
    assert spread.max() > 20
    assert shas(saturated(images, 1, tmp_path / "same")) == pytest.approx(shas(images)) or np.array_equal(
        images.open(images.records[0]), saturated(images, 1, tmp_path / "same").open(vivid.records[0])
    )


def test_narrowed_prompts_state_more_and_nothing_else() -> None:
    prompts = open_prompts(12)
    assert len(prompts) == 12
    for prompt in prompts:
        facts = parse(prompt.text)
        for fixed, left in ((1, facts.open - 1), (None, 0)):
            asked = narrowed(prompt, fixed)
            assert asked.id == prompt.id
            assert asked == narrowed(prompt, fixed)
            stated = parse(asked.text)
            assert stated.open == left
            kept = [value in (None, new) for (*_, value), (*_, new) in zip(facts.slots(), stated.slots())]  # noqa: B905
            assert all(kept)


def test_rank_agreement_is_spearmans_and_its_interval_is_over_prompts() -> None:
    g = np.random.default_rng(0)
    quality = np.arange(9.0)[:, None]
    truth = quality + g.normal(size=(9, 40))
    scores = np.exp(quality / 3) + g.normal(size=(9, 40))
    scores[2, 5] = truth[7, 1] = np.nan
    found = rank_agreement(truth, scores, resamples=300)
    both = ~np.isnan(truth) & ~np.isnan(scores)
    means = [[v[i][both[i]].mean() for i in range(9)] for v in (truth, scores)]
    assert found.value == pytest.approx(spearmanr(*means).statistic)
    assert found.lo <= found.value <= found.hi
    assert rank_agreement(truth, -truth, resamples=50).value == pytest.approx(-1)
    blind = rank_agreement(g.normal(size=(9, 40)), g.normal(size=(9, 40)), resamples=300)
    assert blind.lo < 0 < blind.hi
    truth[3] = np.nan
    assert np.isnan(rank_agreement(truth, scores, resamples=50).value)


def test_a_scorer_is_fooled_if_it_rises_where_nothing_became_more_varied() -> None:
    g = np.random.default_rng(0)
    zero = {name: g.normal(5, 1, 30) for name in SCORERS if name != SET}
    risen = {name: values + (1 if name == "lpips" else -1) for name, values in zero.items()}
    risen["true_diversity"] = np.full(30, np.nan)
    groups = g.normal(0, 0.01, 20)
    measured = {"base": Measured(zero, 10, 10 + groups), "noise": Measured(risen, 12, 12 + groups)}
    found = findings("cmd", "suite", measured, {"all": ["base"]}, ["noise"], "base")
    fooled = {c.scorer: c.fooled for c in found.controls}
    assert fooled == {name: name in ("lpips", SET, "x") for name in SCORERS} | {"true_diversity": None}
    text = block(json.loads(json.dumps(found, default=vars)))
    assert "**+1.000" in text
    assert "| `true_diversity` |" in text


def test_the_page_shows_the_committed_numbers() -> None:
    page = (ROOT / command.PAGE).read_text(encoding="utf-8")
    committed = json.loads((ROOT / command.RESULT).read_text(encoding="utf-8"))
    assert with_block(page, block(committed)) == page
    (whole,) = [
        a for a in committed["agreement"] if (a["scorer"], a["among"]) == ("attribute_diversity", "all")
    ]
    assert whole["sets"] >= 12
    assert whole["lo"] <= whole["rho"] <= whole["hi"]
    assert {c["scorer"] for c in committed["controls"]} == set(SCORERS)


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no"):
        with_block("# Diversity", "x")


def test_the_command_runs_from_end_to_end(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tools.studies.diversity import sources

    monkeypatch.setattr(sources, "GUIDANCE", ())
    page = tmp_path / "page.md"
    page.write_text(f"# Diversity\n\n{BEGIN}\nstale words\n{END}\n\nafter\n")
    words = ["--out", tmp_path / "run", "--result", tmp_path / "r.json", "--page", page]
    monkeypatch.setattr(
        sys, "argv", ["diversity", *map(str, words), "--prompts", "2", "--images-per-prompt", "2"]
    )
    command.main()
    found = json.loads((tmp_path / "r.json").read_text())
    assert {row["name"] for row in found["sets"]} >= {"base", "saturation x 2", "one image repeated 2 times"}
    repeats = {c["scorer"]: c for c in found["controls"] if c["control"].startswith("one image")}
    assert all(repeats[name]["difference"] < 0 for name in ("clip_diversity", "vendi", "lpips"))
    text = page.read_text()
    assert "stale words" not in text
    assert text.endswith("after\n")
    assert "saturation x 2" in text
    assert {a["scorer"] for a in found["agreement"]} == set(LEARNED)

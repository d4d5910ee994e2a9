"""The simulations' machinery: chunks that are kept, sums, the page's block; and each case, very small."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import UnknownNameError, UnreadableFileError
from benchmark.studies.simulations import running
from benchmark.studies.simulations.cases import Draw, Outcome, clustered, noise
from benchmark.studies.simulations.report import BEGIN, END, kept_its_word, markdown, record, wilson, write
from benchmark.studies.simulations.running import CASES, plan, simulate


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK", 4)


@pytest.mark.parametrize("name", [n for n in CASES if n != "means"])
def test_every_case_gives_a_share_for_every_label(name: str) -> None:
    outcomes = list(CASES[name].run(Draw(np.random.default_rng(0), 3, 60, 1)))
    assert len({o.label for o in outcomes}) == len(outcomes) > 0
    assert all(o.n % 3 == 0 and 0 <= o.hits <= o.n and o.least <= o.most for o in outcomes)


def test_a_study_goes_on_where_it_was_and_grows(few: None, tmp_path: Path) -> None:
    first = simulate(plan(["methods"], 4, 50, tmp_path), 1)
    (kept,) = tmp_path.iterdir()
    stamp = kept.stat().st_mtime_ns
    grown = simulate(plan(["methods"], 9, 50, tmp_path), 1)
    assert kept.stat().st_mtime_ns == stamp
    assert [o.n for o in first[0].outcomes] == [4] * len(first[0].outcomes)
    assert [o.n for o in grown[0].outcomes] == [12] * len(first[0].outcomes)
    kept.unlink()
    again = simulate(plan(["methods"], 9, 50, tmp_path), 1)
    assert again[0].outcomes == grown[0].outcomes


def test_other_resamples_are_another_study(few: None, tmp_path: Path) -> None:
    assert plan(["gate"], 1, 50, tmp_path)[0].path != plan(["gate"], 1, 60, tmp_path)[0].path


def test_an_unknown_case_is_named() -> None:
    with pytest.raises(UnknownNameError, match="simulation"):
        plan(["gates"], 1, 50, Path())


@pytest.mark.parametrize("shape", ["normal", "gamma", "log-normal"])
def test_noise_has_mean_0_and_variance_1(shape: str) -> None:
    drawn = noise(np.random.default_rng(0), shape, (200_000,))  # type: ignore[arg-type]
    assert drawn.mean() == pytest.approx(0.0, abs=0.02)
    assert drawn.var() == pytest.approx(1.0, abs=0.15)
    cells = clustered(np.random.default_rng(0), shape, (1, 4000, 4))[0]  # type: ignore[arg-type]
    assert cells.var(axis=1, ddof=1).mean() == pytest.approx(0.5, rel=0.2)


def test_wilson_equals_statsmodels() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for hits, n in ((0, 10), (3, 10), (50, 50), (3800, 4000)):
        theirs = proportion.proportion_confint(hits, n, method="wilson")
        assert wilson(hits, n) == pytest.approx(theirs, abs=1e-9)


def test_a_word_is_broken_only_beyond_chance() -> None:
    asked = Outcome("x", 940, 1000, 0.95, 1.0)
    assert kept_its_word(asked)
    assert not kept_its_word(replace(asked, hits=920))
    assert kept_its_word(replace(asked, least=0.0)) is None


def test_the_page_is_changed_between_the_marks_only(few: None, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    study = record(simulate(plan(["methods"], 1, 50, tmp_path / "out"), 1), 50, "python -m it")
    write(study, tmp_path / "simulations.json", page)
    assert json.loads((tmp_path / "simulations.json").read_text()) == study
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\nMade by `python -m it`")
    assert text.endswith(f"{END}\nafter\n")
    assert markdown(study) in text
    assert "old" not in text
    page.write_text("no block")
    with pytest.raises(UnreadableFileError, match="block of simulations"):
        write(study, tmp_path / "simulations.json", page)

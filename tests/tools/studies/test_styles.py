"""The style study on simulated tables: its claim holds where it holds, and nowhere else."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import ConfigError
from benchmark.core.records import Checkpoint, ScorerColumn, ScoreRow
from benchmark.leaderboard import ScoreTable, rows_to_frame
from benchmark.leaderboard.equal_level import sweeps_of
from benchmark.prompt_sets import load_prompt_set, read_prompt_file
from tools.studies.styles.figure import style_against_content
from tools.studies.styles.findings import ALL, METHODS, READINGS, findings, mean_sweeps
from tools.studies.styles.page import in_words, markdown, verdict_lines
from tools.studies.styles.records import Claim, Findings, Word
from tools.studies.styles.runs import SHARES, STYLES, Study

SEEDS = (0, 1, 2)
STEPS = (10, 20, 30)
PROMPTS, IMAGES = 24, 4
COLUMNS = tuple(
    ScorerColumn(name, "1", "style" if name == "true_style" else "alignment", "image", True)
    for name in ("true_style", "oracle")
)
Rates = Mapping[str, tuple[float, float]]
"""By method, how much style a step gives and how much content it costs."""
ALIKE: Rates = dict.fromkeys(METHODS, (0.02, 0.005))


def _table(rates: Rates, noise: float = 0.0, seed: int = 0) -> ScoreTable:
    """Style 0.2 and content 0.9 for the base; both move in proportion to the step."""
    generator = np.random.default_rng(seed)
    base = Checkpoint("base", "shapes")
    checkpoints, rows = [base], _rows(base, 0.2, 0.9, generator, noise)
    for method, (gain, cost) in rates.items():
        objective, _, divergence = method.partition(" ")
        for s in SEEDS:
            shift = noise * generator.normal() / 4
            for step in STEPS:
                id_ = f"{method}-{s}-{step}".replace(" ", "-")
                one = Checkpoint(id_, "shapes", objective, divergence or None, {"seed": s}, step)
                checkpoints.append(one)
                rows += _rows(one, 0.2 + gain * step + shift, 0.9 - cost * step, generator, noise)
    return ScoreTable(
        rows_to_frame(rows), f"simulated@1: {PROMPTS} prompts x {IMAGES} images", "signature",
        tuple(checkpoints), COLUMNS, PROMPTS, IMAGES,
    )  # fmt: skip


def _rows(
    one: Checkpoint, style: float, content: float, generator: np.random.Generator, noise: float
) -> list[ScoreRow]:
    values = {"true_style": style, "oracle": content}
    return [
        ScoreRow.measured(one.id, name, "1", mean + noise * generator.normal(), f"p{p:02d}", k)
        for name, mean in values.items()
        for p in range(PROMPTS)
        for k in range(IMAGES)
    ]


def _found(rates: Rates, noise: float = 0.0) -> Findings:
    return findings("command", {"winter": _table(rates, noise)}, SEEDS, resamples=300)


def test_equal_methods_differ_by_nothing() -> None:
    found = _found(ALIKE)
    assert len(found.claims) == len(READINGS) * 3 * (len(METHODS) - 1)
    for claim in found.claims:
        assert claim.word == "undecided"
        assert claim.difference == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("rates", "word"),
    [((0.025, 0.003), "supported"), ((0.015, 0.007), "refuted"), ((0.02, 0.005), "undecided")],
)
def test_the_claim_is_read_off_where_it_holds(rates: tuple[float, float], word: Word) -> None:
    found = _found({**ALIKE, "rpo reverse_kl": rates}, noise=0.02)
    words = [claim.word for claim in found.claims]
    # An interval of 95 % may miss zero now and then where there is no difference.
    assert words.count(word) >= (0.8 if word == "undecided" else 1) * len(words)
    if word != "undecided":
        assert all(f"{word} at all levels" in line for line in verdict_lines(found.claims))


def test_speed_alone_is_no_merit() -> None:
    """A method that goes faster along the same curve is no better where both have lost as much."""
    found = _found({**ALIKE, "rpo reverse_kl": (0.024, 0.006)})
    assert all(claim.difference == pytest.approx(0, abs=1e-6) for claim in found.claims)


def test_differences_at_equal_content_are_those_of_the_curves() -> None:
    found = _found({**ALIKE, "rpo reverse_kl": (0.024, 0.004)})
    own = [c for c in found.claims if c.reading == "style at equal content" and c.against == "SFT"]
    # RPO loses 0.12 at most; there it has 0.72 more style, the others 0.12 * 4 = 0.48.
    for claim in own:
        assert claim.level == pytest.approx(0.12 * claim.share)
        assert claim.difference == pytest.approx(0.24 * claim.share)


def test_without_overlap_nothing_is_said() -> None:
    found = _found({**ALIKE, "rpo reverse_kl": (0.02, -0.002)}, noise=0.02)
    own = [c for c in found.claims if c.reading == "style at equal content"]
    assert {(c.word, c.difference, c.level) for c in own} == {("no overlap", None, None)}
    assert "no overlap, nothing is said" in markdown(found)


def test_several_styles_are_judged_by_their_mean() -> None:
    better, worse = {**ALIKE, "rpo reverse_kl": (0.025, 0.003)}, {**ALIKE, "rpo reverse_kl": (0.015, 0.007)}
    tables = {"sketch": _table(better), "winter": _table(worse)}
    found = findings("command", tables, SEEDS, resamples=100)
    assert {claim.style for claim in found.claims} == {"sketch", "winter", ALL}
    assert {c.word for c in found.claims if c.style == "sketch"} == {"supported"}
    assert {c.word for c in found.claims if c.style == "winter"} == {"refuted"}
    sweeps = [sweeps_of(table, "oracle", "true_style", "step") for table in tables.values()]
    for one, two, mean in zip(*sweeps, mean_sweeps(sweeps), strict=True):
        np.testing.assert_allclose(mean.level, (one.level + two.level) / 2)
        np.testing.assert_allclose(mean.outcome, (one.outcome + two.outcome) / 2)


def test_changes_are_those_of_the_last_step() -> None:
    found = _found({**ALIKE, "sft": (0.01, 0.002)})
    by_method = {(c.method, c.scorer): c for c in found.changes}
    change = by_method["SFT", "true_style"]
    assert (change.step, change.base, change.mean) == (30, 0.2, 0.5)
    assert (change.difference, change.lo, change.hi) == pytest.approx((0.3, 0.3, 0.3))
    assert by_method["SFT", "oracle"].difference == pytest.approx(-0.06)
    page = markdown(found)
    assert "| winter | SFT | 30 | 0.200 → 0.500, +0.300" in page
    assert "| winter | RPO | 30 | **0.200 → 0.800**" in page
    assert "3 training seeds, where a claim about methods in this world asks for 8" in page


def test_points_have_their_seeds() -> None:
    found = _found(ALIKE, noise=0.02)
    assert [p.step for p in found.points if p.method == "RPO"] == list(STEPS)
    for point in found.points:
        if point.method:
            assert len(point.by_seed) == len(SEEDS)
            assert np.mean(point.by_seed, axis=0) == pytest.approx((point.content, point.read))


def test_words_name_the_levels_where_they_differ() -> None:
    words: list[tuple[float, Word]] = [(0.25, "undecided"), (0.5, "supported"), (0.75, "supported")]
    claims = [
        Claim("winter", "SFT", "style at equal content", share, 0.1, 0.1, 0.0, 0.2, word)
        for share, word in words
    ]
    assert in_words(claims) == "undecided at 25 %, supported at 50 % and 75 %"
    assert in_words(claims[1:]) == "supported at all levels"


def test_a_figure_is_drawn_of_what_there_is(tmp_path: Path) -> None:
    path = style_against_content(tmp_path / "figure.svg", _found(ALIKE, noise=0.02))
    drawn = path.read_text(encoding="utf-8")
    assert all(text in drawn for text in (*METHODS.values(), "winter", "mean of 3 training seeds"))


# --- what is trained and asked ---------------------------------------------------------------------


def test_methods_differ_in_objective_divergence_and_length_alone(tmp_path: Path) -> None:
    study = Study((0,), tmp_path)
    methods = [method for share in SHARES for method in share]
    own = {
        "preset",
        "objective",
        "divergence",
        "beta",
        "log_ratio_scale",
        "data",
        "out",
        "steps",
        "save_every",
    }
    runs = [study.run(method, style, 0) for style in STYLES for method in methods]
    assert len({run.model_dump_json(exclude=own) for run in runs}) == 1
    assert {run.data for run in runs} == {f"shapes-style-{style}" for style in STYLES}
    assert {f"{r.objective} {r.divergence or ''}".strip() for r in runs} == set(METHODS)
    assert len({run.beta for run in runs if run.beta is not None}) == 1


def test_every_prompt_leaves_the_style_open_and_asks_for_it(tmp_path: Path) -> None:
    study = Study((0,), tmp_path)
    asked = read_prompt_file(Path(study.eval_config("sketch", ["base"]).prompts))
    assert [p.text for p in asked] == [p.text for p in load_prompt_set(study.prompts)]
    assert {p.style for p in asked} == {"sketch"}
    validation = Study((0,), tmp_path, prompts="shapes-validation")
    asked = read_prompt_file(Path(validation.eval_config("sketch", ["base"]).prompts))
    assert 0 < len(asked) < len(load_prompt_set("shapes-validation"))
    assert not any("style" in p.tags for p in asked)


def test_checkpoints_are_those_asked_for(tmp_path: Path) -> None:
    study = Study((0,), tmp_path, steps=(10, 30))
    run = study.run("rpo", "winter", 0)
    assert (run.steps, run.saves) == (30, 10)
    assert study.checkpoints(run) == [f"{run.out}@10", f"{run.out}@30"]
    with pytest.raises(ConfigError, match="multiples of the first"):
        Study((0,), tmp_path, steps=(20, 30)).run("rpo", "winter", 0)
    with pytest.raises(ConfigError, match="--styles has cubist"):
        study.run("rpo", "cubist", 0)

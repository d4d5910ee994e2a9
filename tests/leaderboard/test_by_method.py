"""Laws of the leaderboard of methods: training runs that are alike but for their seed."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import (
    Checkpoint,
    Hyperparameter,
    Leaderboard,
    LeaderboardCell,
    ScorerColumn,
    ScoreRow,
)
from benchmark.leaderboard import ScoreTable, build_leaderboard, rows_to_frame
from benchmark.leaderboard.by_method import build_method_leaderboard
from benchmark.leaderboard.notes import method_notes
from benchmark.leaderboard.same_method import find_method, methods_of
from benchmark.leaderboard.view import View, view_of
from benchmark.report import TEXT_FORMATS
from benchmark.stats.jackknife import leave_out_id
from benchmark.stats.p_values import holm
from benchmark.stats.training_runs import mean_over_runs, paired_runs

PROMPTS = 20
BASE = Checkpoint("base", "sd15")
HPS = ScorerColumn("hps", "1", "preference", "image", True, primary=True)


def run(divergence: str, seed: int | None, base: str = "sd15", **settings: float | str | bool) -> Checkpoint:
    own = {"beta": 0.3, **settings} | ({} if seed is None else {"seed": seed})
    extra = "".join(f"-{k}{v}" for k, v in settings.items())
    return Checkpoint(f"{divergence}{extra}-s{seed}".replace("/", ""), base, "f_dpo", divergence, own, 50)


def table_of(
    runs: Sequence[Checkpoint], scores: Mapping[str, np.ndarray], columns: Sequence[ScorerColumn] = (HPS,)
) -> ScoreTable:
    """Scores of unit prompt, by column, each of shape (runs, prompts)."""
    frames = [
        pd.DataFrame(
            {
                "checkpoint": np.repeat([r.id for r in runs], x.shape[1]),
                "scorer": name,
                "scorer_version": "1",
                "prompt_id": np.tile([f"p{i:03d}" for i in range(x.shape[1])], len(runs)),
                "seed": pd.array([pd.NA] * x.size, dtype="Int64"),
                "value": x.ravel(),
                "status": np.where(np.isnan(x.ravel()), "error", "ok"),
                "note": np.where(np.isnan(x.ravel()), "failed", ""),
            }
        )
        for name, x in scores.items()
    ]
    rows = pd.concat(frames, ignore_index=True)
    prompts = rows["prompt_id"].nunique()
    return ScoreTable(rows, "s", "fbench:1.0", tuple(runs), tuple(columns), prompts, 1)


def cells_of(board: Leaderboard, scorer: str = "hps") -> dict[str, LeaderboardCell]:
    found = {}
    for row in board.rows:
        (found[row.checkpoint.id],) = [cell for cell in row.cells if cell.scorer == scorer]
    return found


KL, JS, A5 = "f-DPO, reverse KL", "f-DPO, Jensen-Shannon", "f-DPO, alpha(a=0.5)"


@pytest.fixture(scope="module")
def runs() -> tuple[Checkpoint, ...]:
    """Six, seven and three seeds; the first two share five."""
    return (
        BASE,
        *(run("reverse_kl", s) for s in range(6)),
        *(run("jensen_shannon", s) for s in range(1, 8)),
        *(run("alpha(a=0.5)", s) for s in range(3)),
    )


@pytest.fixture(scope="module")
def x(runs: tuple[Checkpoint, ...]) -> np.ndarray:
    generator = np.random.default_rng(0)
    lead = np.array([0.0] + [0.5] * 6 + [0.6] * 7 + [0.1] * 3)[:, None]
    prompts = 2 * generator.normal(size=(1, PROMPTS))
    return lead + prompts + 0.1 * generator.normal(size=(17, 1)) + 0.3 * generator.normal(size=(17, PROMPTS))


@pytest.fixture(scope="module")
def table(runs: tuple[Checkpoint, ...], x: np.ndarray) -> ScoreTable:
    return table_of(runs, {"hps": x}, [replace(HPS, unit="prompt", in_domain=("reverse_kl-s3",))])


@pytest.fixture(scope="module")
def board(table: ScoreTable) -> Leaderboard:
    return build_method_leaderboard([table])


# --- what is one method -------------------------------------------------------------------------


def test_outcomes_and_seeds_make_no_method_and_settings_do() -> None:
    runs = [
        BASE,
        run("reverse_kl", 0, held_out_loss=0.69, diverged=True),
        run("reverse_kl", 1, held_out_loss=0.68, diverged=False),
        # Older records lack settings that have their usual value here.
        run("reverse_kl", 2, optimizer="adamw", crop="centre"),
        run("reverse_kl", 3, optimizer="adafactor"),
        run("reverse_kl", 4, beta=1.0),
        replace(run("reverse_kl", 5), step=100),
        run("reverse_kl", None),
    ]
    methods = methods_of(runs)
    assert [(m.title, m.seeds) for m in methods] == [
        ("base", ()),
        (f"{KL}, step 50, beta 0.3, optimizer adamw (3 seeds)", (0, 1, 2)),
        (f"{KL}, step 50, beta 0.3, optimizer adafactor (1 seed)", (3,)),
        (f"{KL}, step 50, beta 1 (1 seed)", (4,)),
        (f"{KL}, step 100 (1 seed)", (5,)),
        ("reverse_kl-sNone", ()),
    ]
    with pytest.raises(UserError, match="x and reverse_kl-s0 are runs of one method with the same"):
        methods_of([replace(run("reverse_kl", 0), id="x"), run("reverse_kl", 0)])


def test_a_method_is_found_by_its_names_and_an_unknown_one_is_refused(runs: Sequence[Checkpoint]) -> None:
    methods = methods_of([*runs, run("expr: u/(1+u)", 0), run("expr: u/(1+u)", 0, beta=1.0)])
    for asked in (JS, f"{JS} (7 seeds)", "f_dpo jensen_shannon", "jensen_shannon", "jensen_shannon-s4"):
        assert find_method(asked, methods).name == JS
    assert find_method("base", methods).is_base
    with pytest.raises(UnknownNameError, match="unknown method"):
        find_method("jensen", methods)
    with pytest.raises(UserError, match="is the name of 2 methods"):
        find_method("expr: u/(1+u)", methods)
    # A name is an id, which must be usable as that of a folder.
    assert methods[-1].name == "f-DPO, expr: u:(1+u), beta 1"


# --- numbers ------------------------------------------------------------------------------------


def test_a_row_is_the_mean_of_its_runs_and_the_difference_is_paired_by_seed(
    table: ScoreTable, board: Leaderboard, x: np.ndarray
) -> None:
    cells = cells_of(board)
    assert list(cells) == ["base", f"{KL} (6 seeds)", f"{JS} (7 seeds)", f"{A5} (3 seeds)"]
    js = cells[f"{JS} (7 seeds)"]
    mean = mean_over_runs(x[7:14]).interval()
    assert (js.mean, js.lo, js.hi, js.n) == pytest.approx((mean.value, mean.lo, mean.hi, 140))
    single = cells_of(build_leaderboard([table], resamples=99))
    assert js.mean == pytest.approx(np.mean([single[f"jensen_shannon-s{s}"].mean for s in range(1, 8)]))
    # The base is the same for every seed.
    lead = paired_runs(x[7:14], np.repeat(x[:1], 7, axis=0)).interval()
    assert (js.difference, js.difference_lo, js.difference_hi) == pytest.approx(
        (lead.value, lead.lo, lead.hi)
    )
    assert cells["base"].difference is None
    assert board.columns[0].in_domain == (f"{KL} (6 seeds)",)
    assert board.rows[2].checkpoint.hyperparameters == {"beta": 0.3, "seeds": "1 2 3 4 5 6 7"}

    # Against a method: on the seeds that both have, 1 to 5.
    board = build_method_leaderboard([table], reference="reverse_kl")
    cells = cells_of(board)
    lead = paired_runs(x[7:12], x[2:7]).interval()
    js = cells[f"{JS} (7 seeds)"]
    assert (js.difference, js.difference_lo, js.difference_hi) == pytest.approx(
        (lead.value, lead.lo, lead.hi)
    )
    assert cells["base"].difference == pytest.approx((x[:1] - x[1:7]).mean())
    assert cells["base"].p_value is not None
    assert f"Fewer than 5 training seeds shared with {KL} (6 seeds), so no claim about methods: {A5}" in str(
        board.notes
    )


def test_p_values_are_holm_adjusted_over_the_methods(board: Leaderboard, x: np.ndarray) -> None:
    raw = [paired_runs(x[a:b], np.repeat(x[:1], b - a, axis=0)).p_value for a, b in ((1, 7), (7, 14))]
    got = [cell.p_value for cell in cells_of(board).values()]
    assert got[1:3] == pytest.approx(holm(np.array(raw)))
    assert got[0] is got[3] is None


def test_too_few_seeds_show_a_difference_and_claim_nothing(board: Leaderboard, x: np.ndarray) -> None:
    few = cells_of(board)[f"{A5} (3 seeds)"]
    assert few.difference == pytest.approx((x[14:] - x[:1]).mean())
    assert (few.difference_lo, few.p_value, few.group, few.detectable) == (None,) * 4
    # Its mean has an interval all the same: Student's, which knows how few they are.
    assert few.lo is not None
    assert f"Fewer than 5 training seeds, so no claim about methods: {A5} (3 seeds)." in board.notes


@pytest.mark.parametrize(("base", "seeds"), [("shapes", 7), ("shapes", 8), ("sd15", 4), ("sd15", 5)])
def test_shapes_asks_for_eight_seeds_and_others_for_five(base: str, seeds: int) -> None:
    runs = [Checkpoint("base", base), *(run("reverse_kl", s, base) for s in range(seeds))]
    x = np.random.default_rng(1).normal(size=(len(runs), PROMPTS))
    board = build_method_leaderboard([table_of(runs, {"hps": x})])
    claimed = seeds in (5, 8)
    assert (cells_of(board)[f"{KL} ({seeds} seeds)"].p_value is not None) == claimed
    assert ("no claim about methods" in str(board.notes)) != claimed
    assert any(cell.group for cell in cells_of(board).values()) == claimed


def test_one_checkpoint_each_is_said_so() -> None:
    runs = [BASE, run("reverse_kl", 0), run("jensen_shannon", 0), run("alpha(a=0.5)", None)]
    x = np.random.default_rng(1).normal(size=(4, PROMPTS))
    board = build_method_leaderboard([table_of(runs, {"hps": x})])
    assert "One checkpoint each: no claim about methods." in board.notes
    assert [row.checkpoint.id for row in board.rows][1:] == [f"{KL} (1 seed)", f"{JS} (1 seed)", runs[3].id]
    kl, js, unknown = list(cells_of(board).values())[1:]
    assert kl.difference == pytest.approx((x[1] - x[0]).mean())
    assert kl.lo is js.p_value is unknown.difference_lo is None
    # No seed is shared: the difference of the means.
    other = cells_of(build_method_leaderboard([table_of(runs, {"hps": x})], reference=runs[3].id))
    assert other[f"{KL} (1 seed)"].difference == pytest.approx(x[1].mean() - x[3].mean())


def test_intervals_cover_in_95_of_100_tables() -> None:
    """Each scorer is a table of its own: 8 seeds, 60 prompts, effects of both and of both together."""
    generator = np.random.default_rng(2)
    tables, prompts, lead = 400, 60, {"reverse_kl": 0.3, "jensen_shannon": 0.7}
    runs = [BASE, *(run(divergence, s) for divergence in lead for s in range(8))]
    truth = np.array([0.0, *np.repeat(list(lead.values()), 8)])[:, None]
    response = np.repeat(generator.normal(size=(tables, 3, prompts)), [1, 8, 8], axis=1)
    seeds = np.concatenate([np.zeros((tables, 1, 1)), 0.2 * generator.normal(size=(tables, 16, 1))], axis=1)
    shared, own = generator.normal(size=(tables, 1, prompts)), generator.normal(size=(tables, 17, prompts))
    x = truth + shared + 0.5 * response + seeds + 0.5 * own
    columns = [replace(HPS, name=f"s{i:03d}", unit="prompt") for i in range(tables)]
    table = table_of(runs, {c.name: x[i] for i, c in enumerate(columns)}, columns)
    board = build_method_leaderboard([table], reference="reverse_kl")
    for row, mean, difference in zip(board.rows, (0.0, 0.3, 0.7), (-0.3, None, 0.4), strict=True):
        held = [c.lo <= mean <= c.hi for c in row.cells if c.lo is not None and c.hi is not None]
        assert len(held) == tables
        assert 0.92 <= np.mean(held) <= 0.98
        if difference is not None:
            ends = [(c.difference_lo or np.nan, c.difference_hi or np.nan) for c in row.cells]
            assert 0.92 <= np.mean([lo <= difference <= hi for lo, hi in ends]) <= 0.98


# --- groups -------------------------------------------------------------------------------------


def test_the_group_of_the_best_holds_what_cannot_be_told_apart(board: Leaderboard) -> None:
    assert [cell.group for cell in cells_of(board).values()] == [2, 1, 1, None]
    assert "Bonferroni" in str(board.notes)


@pytest.mark.parametrize("higher", [True, False])
def test_what_is_better_is_in_the_scorers_direction(table: ScoreTable, higher: bool) -> None:
    x = np.random.default_rng(3).normal(size=(11, PROMPTS)) + np.repeat([0.0, 1.0, 3.0], [1, 5, 5])[:, None]
    runs = [BASE, *(run(d, s) for d in ("reverse_kl", "jensen_shannon") for s in range(5))]
    columns = [replace(HPS, higher_is_better=higher, unit="prompt")]
    cells = cells_of(build_method_leaderboard([table_of(runs, {"hps": x}, columns)]))
    assert [cell.group for cell in cells.values()] == ([3, 2, 1] if higher else [1, 2, 3])


def test_methods_that_beat_each_other_in_a_circle_are_one_group() -> None:
    """Each pair shares other seeds, and what wins there is another one each time."""
    wins = {"reverse_kl": (range(5), range(10, 15)), "jensen_shannon": (range(5, 10), range(5)),
            "forward_kl": (range(10, 15), range(5, 10))}  # fmt: skip
    runs = [run(d, s) for d, halves in wins.items() for half in halves for s in half]
    lead = np.tile(np.repeat([1.0, 0.0], 5), 3)[:, None]
    x = lead + 0.01 * np.random.default_rng(4).normal(size=(30, PROMPTS))
    cells = cells_of(build_method_leaderboard([table_of(runs, {"hps": x})]))
    assert [cell.group for cell in cells.values()] == [1, 1, 1]


# --- gaps ---------------------------------------------------------------------------------------


def test_a_run_that_lacks_more_than_1_percent_leaves_and_is_named(
    runs: tuple[Checkpoint, ...], x: np.ndarray
) -> None:
    holed = x.copy()
    holed[3, :2] = np.nan
    board = build_method_leaderboard([table_of(runs, {"hps": holed})])
    kl = cells_of(board)[f"{KL} (6 seeds)"]
    assert kl.note == "left out: reverse_kl-s2 (10.0 % missing)"
    assert (kl.n, kl.n_missing) == (100, 2)
    assert kl.p_value is not None
    without = [i for i in range(17) if i != 3]
    rest = build_method_leaderboard([table_of([runs[i] for i in without], {"hps": x[without]})])
    same = cells_of(rest)[f"{KL} (5 seeds)"]
    assert (kl.mean, kl.lo, kl.difference_hi) == (same.mean, same.lo, same.difference_hi)
    assert not board.rows[1].ranked

    holed[4, 5] = np.nan
    kl = cells_of(build_method_leaderboard([table_of(runs, {"hps": holed})]))[f"{KL} (6 seeds)"]
    assert kl.note.endswith("; 4 training seeds are left, no claim about methods")
    assert kl.difference is not None
    assert (kl.p_value, kl.difference_lo, kl.group) == (None, None, None)

    holed[0, :3] = np.nan
    cells = cells_of(build_method_leaderboard([table_of(runs, {"hps": holed})]))
    assert cells["base"].mean is None
    assert all(cell.difference is None for cell in cells.values())


def test_prompts_without_a_number_in_some_run_are_counted(table: ScoreTable) -> None:
    lacks = (table.rows["checkpoint"] == "jensen_shannon-s3") & (table.rows["prompt_id"] == "p003")
    facts = {"value": np.nan, "status": "missing", "note": "undefined: one image"}
    rows = table.rows.assign(**{name: table.rows[name].mask(lacks, fact) for name, fact in facts.items()})
    js = cells_of(build_method_leaderboard([replace(table, rows=rows)]))[f"{JS} (7 seeds)"]
    assert js.note == "1 of 20 prompts left out, for which some run has no number"
    assert (js.n, js.n_missing) == (139, 0)


# --- sets, views and exports --------------------------------------------------------------------


def test_a_set_metric_is_the_mean_of_the_runs_with_both_errors() -> None:
    runs = [BASE, *(run("reverse_kl", s) for s in range(5))]
    generator = np.random.default_rng(5)
    by_run, by_group = 14 + generator.normal(size=6), generator.normal(size=20)
    fid = ScorerColumn("fid", "1", "fidelity", "set", False)
    rows = [
        row
        for r, value in zip(runs, by_run, strict=True)
        for row in (
            ScoreRow(r.id, "fid", "1", None, None, value, note="biased: n = 80"),
            *(ScoreRow(r.id, "fid", "1", leave_out_id(g), None, value + by_group[g]) for g in range(20)),
        )
    ]
    table = ScoreTable(rows_to_frame(rows), "s", "fbench:1.0", tuple(runs), (fid,), 80, 1)
    base, kl = cells_of(build_method_leaderboard([table]), "fid").values()
    alone = cells_of(build_leaderboard([table]), "fid")["base"]
    assert (base.mean, base.lo, base.hi) == pytest.approx((alone.mean, alone.lo, alone.hi))
    assert kl.mean == pytest.approx(by_run[1:].mean())
    # The groups weigh alike on all runs: what is left of a difference is the runs.
    assert kl.difference_hi is not None
    assert kl.difference is not None
    half = 2.776 * by_run[1:].std(ddof=1) / np.sqrt(5)
    assert kl.difference_hi - kl.difference == pytest.approx(half, rel=1e-3)
    assert kl.note == base.note == "biased: n = 80"

    failed = table.rows["checkpoint"].eq("reverse_kl-s1") & table.rows["prompt_id"].isna()
    gone = table.rows.assign(
        value=table.rows["value"].mask(failed), note=table.rows["note"].mask(failed, "missing: n < 5d")
    )
    kl = cells_of(build_method_leaderboard([replace(table, rows=gone)]), "fid")[f"{KL} (5 seeds)"]
    assert "left out: reverse_kl-s1 (missing: n < 5d); 4 training seeds are left" in kl.note
    assert (kl.n, kl.n_missing) == (4, 1)


def test_a_view_keeps_the_notes_of_methods(board: Leaderboard) -> None:
    assert view_of(board, View(), method_notes) == board
    seen = view_of(board, View(where=("divergence=jensen*",)), method_notes)
    assert [row.checkpoint.id for row in seen.rows] == ["base", f"{JS} (7 seeds)"]
    assert seen.notes[:-1] == board.notes


@pytest.mark.parametrize("form", sorted(TEXT_FORMATS))
def test_every_format_shows_methods(board: Leaderboard, form: str) -> None:
    text = TEXT_FORMATS[form][1](board)
    assert "Jensen-Shannon (7 seeds)" in text.replace(r"\allowbreak{}", "").replace(r"\-", "-")
    if form == "csv":
        js = list(csv.DictReader(io.StringIO(text)))[2]
        assert (js["beta"], js["divergence"], js["hps_winrate"]) == ("0.3", "jensen_shannon", "")
        assert float(js["hps_p"]) < 0.05


def test_what_a_record_without_a_clip_stands_for_is_its_own_base_models() -> None:
    """Whatever order the runs of a table have: a CLIP that another base model lacks changes nothing."""

    def run(name: str, seed: int, base: str, clip: str | None = None, **own: str | None) -> Checkpoint:
        numbers: dict[str, Hyperparameter] = {"seed": seed, "beta": 1.0}
        numbers |= {"clip_sha256": clip} if clip else {}
        return Checkpoint(
            id=name, base_model=base, objective="rpo", hyperparameters=numbers, step=10, method_settings=own
        )

    old = run("old", 0, "shapes")
    new = run("new", 1, "shapes", "own", clip_sha256="own")
    other = run("other", 0, "sd15", "given", clip_sha256=None)
    for runs in ([old, new, other], [other, old, new], [new, other, old]):
        assert sorted(len(method.runs) for method in methods_of(runs)) == [1, 2]

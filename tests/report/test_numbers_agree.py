"""One number, one value: trade-off, tables, JSON and page say the same mean and the same n."""

import csv
import io
import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmark.core.records import Leaderboard, LeaderboardCell
from benchmark.leaderboard import ScoreTable, build_leaderboard
from benchmark.leaderboard.frontiers import frontiers_of
from benchmark.leaderboard.names import display_names
from benchmark.report import csv_text, json_text, markdown_text
from benchmark.report.figures.trade_off_points import trade_off_of
from benchmark.report.latex import latex_text
from benchmark.report.numbers import decimals, fixed
from benchmark.report.page.content import PageSource, content_of, plan_of
from benchmark.report.terminal import print_leaderboard
from tools.simulated_tables import simulated_table

RESAMPLES = 19
COMPLETE = simulated_table(n_prompts=30, images_per_prompt=3)


@cache
def with_gaps(seed: int, share: float) -> ScoreTable:
    """A table in which random numbers of random checkpoints do not exist; each has two prompts left."""
    generator = np.random.default_rng(seed)
    rows = COMPLETE.rows
    by_prompt = rows["prompt_id"].notna() & ~rows["prompt_id"].str.startswith("jackknife", na=False)
    holes = pd.Series(generator.random(len(rows)) < share * generator.random(), rows.index)
    # Whole prompts too, more of them for some checkpoints than for others.
    lost = {
        (c.id, column.name, f"p{p:03d}")
        for c in COMPLETE.checkpoints
        for column in COMPLETE.columns
        for p in np.flatnonzero(generator.random(30) < share * generator.random())
        if p > 1
    }
    keys = zip(rows["checkpoint"], rows["scorer"], rows["prompt_id"], strict=True)
    holes |= pd.Series([key in lost for key in keys], rows.index)
    gone = holes & by_prompt & (rows["prompt_id"] > "p001")
    return replace(
        COMPLETE,
        rows=rows.assign(
            value=rows["value"].mask(gone), status=rows["status"].mask(gone, "missing"),
            note=rows["note"].mask(gone, "undefined: no right image"),
        ),
    )  # fmt: skip


@cache
def board_with_gaps(seed: int, share: float) -> Leaderboard:
    return build_leaderboard([with_gaps(seed, share)], resamples=RESAMPLES)


gappy = pytest.mark.parametrize(("seed", "share"), [(0, 0.0), (1, 0.05), (2, 0.3), (3, 0.7), (4, 1.0)])


def own_means(table: ScoreTable, scorer: str, checkpoint: str) -> "pd.Series[float]":
    """The prompt means of one checkpoint, by hand."""
    rows = table.rows[(table.rows["scorer"] == scorer) & (table.rows["checkpoint"] == checkpoint)]
    means: pd.Series[float] = rows.dropna(subset=["value"]).groupby("prompt_id")["value"].mean()
    return means


def sampled(board: Leaderboard) -> list[tuple[str, LeaderboardCell]]:
    return [
        (row.checkpoint.id, cell) for row in board.rows for cell in row.cells if cell.n_prompts is not None
    ]


@gappy
def test_a_mean_is_over_the_prompts_that_it_has(seed: int, share: float) -> None:
    table = with_gaps(seed, share)
    board = board_with_gaps(seed, share)
    for checkpoint, cell in sampled(board):
        own = own_means(table, cell.scorer, checkpoint)
        assert cell.n_prompts == len(own)
        assert cell.mean == pytest.approx(own.mean(), rel=1e-12)


@gappy
def test_a_difference_is_over_the_prompts_that_both_have(seed: int, share: float) -> None:
    table = with_gaps(seed, share)
    keys = ["prompt_id", "seed"]
    for checkpoint, cell in sampled(board_with_gaps(seed, share)):
        if checkpoint == "base":
            assert cell.difference_n_prompts is None
            continue
        ours, theirs = (
            table.rows[(table.rows.scorer == cell.scorer) & (table.rows.checkpoint == id_)].dropna(
                subset=["value"]
            )
            for id_ in (checkpoint, "base")
        )
        both = ours.merge(theirs, on=keys)
        lead = (both["value_x"] - both["value_y"]).groupby(both["prompt_id"]).mean()
        assert cell.difference_n_prompts == len(lead)
        if len(lead):
            assert cell.difference == pytest.approx(lead.mean(), rel=1e-9, abs=1e-12)


@gappy
def test_every_surface_says_the_same_number(seed: int, share: float) -> None:
    """To the last digit: what is kept is equal to the bit, what is printed letter by letter."""
    table = with_gaps(seed, share)
    board = board_with_gaps(seed, share)
    cells = {(id_, cell.scorer): cell for id_, cell in sampled(board)}
    assert board.planes
    for plane in board.planes:
        view = trade_off_of(board, plane.upward, plane.across)
        drawn = {p.id: ((p.x, p.y), p.n) for p in view.points}
        for point in plane.points:
            x, y = cells[point.checkpoint, plane.across], cells[point.checkpoint, plane.upward]
            assert ((point.x, point.y), (point.n_x, point.n_y)) == (
                (x.mean, y.mean),
                (x.n_prompts, y.n_prompts),
            )
            assert drawn[point.checkpoint] == ((x.mean, y.mean), (x.n_prompts, y.n_prompts))
    # Two scorers without a plane stand at the same means.
    for p in trade_off_of(board, "clip", "true_diversity").points:
        assert (p.x, p.y) == (cells[p.id, "true_diversity"].mean, cells[p.id, "clip"].mean)

    stored = json.loads(json_text(board))
    rows = {row["checkpoint"]["id"]: {c["scorer"]: c for c in row["cells"]} for row in stored["rows"]}
    flat = {row["checkpoint"]: row for row in csv.DictReader(io.StringIO(csv_text(board)))}
    source = PageSource(board, table)
    page = content_of(source, plan_of(source))
    names = [column.name for column in board.columns]
    shown = {c["id"]: dict(zip(names, c["cells"], strict=True)) for c in page["checkpoints"]}
    for (id_, name), cell in cells.items():
        assert (rows[id_][name]["mean"], rows[id_][name]["n_prompts"]) == (cell.mean, cell.n_prompts)
        assert (shown[id_][name]["mean"], shown[id_][name]["n"]) == (cell.mean, cell.n_prompts)
        assert shown[id_][name]["diffN"] == cell.difference_n_prompts
        assert flat[id_][name] == f"{cell.mean:.7g}"
        assert flat[id_][f"{name}_n"] == str(cell.n_prompts)
        sizes = "" if cell.difference_n_prompts is None else str(cell.difference_n_prompts)
        assert flat[id_][f"{name}_diff_n"] == sizes
    for plane, records in zip(board.planes, page["planes"], strict=True):
        assert [p["at"] for p in records["points"]] == [[p.x, p.y] for p in plane.points]
        assert [p["n"] for p in records["points"]] == [[p.n_x, p.n_y] for p in plane.points]


@gappy
def test_printed_tables_have_the_digits_and_the_n(seed: int, share: float) -> None:
    board = board_with_gaps(seed, share)
    console = Console(width=400, file=io.StringIO(), record=True)
    print_leaderboard(board, console, verbose=True)
    terminal, markdown = console.export_text(), markdown_text(board)
    forms = {form: latex_text(board, form) for form in ("paper", "column", "long")}
    usual = max(cell.n_prompts or 0 for _, cell in sampled(board))
    names = display_names([row.checkpoint for row in board.rows])
    assert all(
        f"n, the prompts behind a mean: {usual}" in text for text in (terminal, markdown, forms["paper"])
    )
    for i in range(len(board.columns)):
        places = decimals(row.cells[i] for row in board.rows)
        for row in board.rows:
            cell, id_ = row.cells[i], row.checkpoint.id
            if cell.n_prompts is None or cell.mean is None:
                continue
            assert cell.mean is not None
            mean = fixed(cell.mean, places)
            assert re.search(rf"\| {id_}[^\n]*[|*] ?\**{re.escape(mean)}\**", markdown)
            assert all(mean in text for text in (terminal, *forms.values()))
            size = f"{id_} {cell.n_prompts}"
            if cell.n_prompts != usual:
                assert re.search(
                    rf"\| {id_}[^\n]*{re.escape(mean)}\**[^|\n]*\(n={cell.n_prompts}\)", markdown
                )
                assert re.search(rf"\bn {cell.n_prompts}\b", terminal)
                assert f"{names[id_]} {cell.n_prompts}" in " ".join(terminal.split())
                assert all(size in " ".join(text.split()) for text in (forms["paper"], forms["column"]))
            assert re.search(rf"hfill {cell.n_prompts} &", forms["long"])


@gappy
def test_rows_in_another_order_change_nothing(seed: int, share: float) -> None:
    table = with_gaps(seed, share)
    order = np.random.default_rng(seed).permutation(len(table.rows))
    turned = replace(table, rows=table.rows.iloc[order].reset_index(drop=True))
    assert build_leaderboard([turned], resamples=RESAMPLES) == board_with_gaps(seed, share)


@gappy
def test_prompts_by_other_names_have_the_same_numbers(seed: int, share: float) -> None:
    """Which prompt is which is nothing to a mean, its n and its error; only the draws fall otherwise."""
    table = with_gaps(seed, share)
    ids = [f"p{p:03d}" for p in range(30)]
    names = dict(zip(ids, np.random.default_rng(seed).permutation(ids).tolist(), strict=True))
    rows = table.rows.assign(prompt_id=table.rows["prompt_id"].map(lambda id_: names.get(id_, id_)))
    board, other = board_with_gaps(seed, share), build_leaderboard([replace(table, rows=rows)], resamples=19)
    for (_, a), (_, b) in zip(sampled(board), sampled(other), strict=True):
        assert (a.n_prompts, a.difference_n_prompts) == (b.n_prompts, b.difference_n_prompts)
        assert known(a.mean, a.difference, a.detectable) == pytest.approx(
            known(b.mean, b.difference, b.detectable), nan_ok=True
        )
    for one, two in zip(board.planes, other.planes, strict=True):
        for p, q in zip(one.points, two.points, strict=True):
            ours, theirs = ((r.x, r.y, *(r.covariance or ())) for r in (p, q))
            assert ours == pytest.approx(theirs, abs=1e-12)


def known(*values: float | None) -> list[float]:
    return [np.nan if value is None else value for value in values]


@gappy
def test_a_frontier_stands_where_a_checkpoint_of_the_same_numbers_would(seed: int, share: float) -> None:
    table, board = with_gaps(seed, share), board_with_gaps(seed, share)
    plane = next(plane for plane in board.planes if plane.upward == "hps")
    same = next(p for p in plane.points if p.checkpoint == "dpo")
    scaled = replace(table.checkpoints[2], hyperparameters={"guidance": 3.0})
    rows = table.rows[table.rows["checkpoint"].isin(["base", "dpo"])]
    drawn = replace(table, checkpoints=(table.checkpoints[0], scaled), rows=rows)
    (frontier,) = frontiers_of(drawn, plane.across, plane.upward, "base", resamples=RESAMPLES)
    (point,) = frontier.points
    assert (point.x, point.y, point.n_x, point.n_y) == (same.x, same.y, same.n_x, same.n_y)
    assert point.covariance == pytest.approx(same.covariance)

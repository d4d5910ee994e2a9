"""Laws of the exports: nothing is lost, nothing breaks out of its cell, everything carries the signature."""

import csv
import dataclasses
import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from benchmark.core.records import Checkpoint, Gap, Leaderboard, LeaderboardCell
from benchmark.leaderboard import build_leaderboard
from benchmark.leaderboard.names import display_names
from benchmark.leaderboard.win_rate_table import win_rates_of
from benchmark.report import csv_text, json_text, latex_text, markdown_text, write_exports
from benchmark.report.figures.win_rate_bars import draw_win_rate_bars
from benchmark.report.finding import finding
from benchmark.report.markdown import escape_markdown
from benchmark.report.numbers import better_or_worse, decimals, p_text
from benchmark.report.panels import panels, remarks
from benchmark.report.sections import sections, signature_of
from benchmark.report.terminal import print_leaderboard
from tools.simulated_tables import simulated_table

# --- csv and json -------------------------------------------------------------------------------


def test_csv_has_the_columns_that_scripts_depend_on(leaderboard: Leaderboard) -> None:
    frame = pd.read_csv(io.StringIO(csv_text(leaderboard)))
    names = ["checkpoint", "base_model", "objective", "divergence", "beta", "log_ratio_scale", "steps"]
    names += ["n_prompts", "n_images", "n_missing"]
    endings = ["", "_lo", "_hi", "_winrate", "_group", "_diff", "_diff_lo", "_diff_hi", "_p", "_note"]
    endings += ["_n", "_diff_n"]
    for column in leaderboard.columns:
        names += [column.name + ending for ending in endings]
    beside = ["train_seconds", "eval_seconds", "memory_gb"]
    beside += [f"hacking_pickscore{ending}" for ending in ("", "_lo", "_hi", "_n")]
    for pair in ("true_diversity_pickscore", "true_diversity_hps"):
        beside += [f"front_{pair}", f"support_{pair}"]
    assert list(frame.columns) == [*names, *beside, "signature"]
    assert len(frame) == 5
    assert frame["hps"].tolist() == pytest.approx([r.cells[1].mean for r in leaderboard.rows], rel=1e-6)
    assert frame.loc[0, ["objective", "hps_diff", "hps_p", "hps_winrate"]].isna().all()
    assert (frame["signature"] == leaderboard.signature).all()
    assert frame.loc[2, "beta"] == 1.0
    assert frame.loc[2, "hacking_pickscore"] == pytest.approx(leaderboard.gaps[0].value, rel=1e-6)
    assert frame.loc[0, ["train_seconds", "hacking_pickscore"]].isna().all()
    support = [point.support for point in leaderboard.planes[0].points]
    assert frame["support_true_diversity_pickscore"].tolist() == pytest.approx(support)


def test_a_toy_model_is_called_so_in_every_export(leaderboard: Leaderboard) -> None:
    columns = tuple(dataclasses.replace(c, embedded=c.name == "hps") for c in leaderboard.columns)
    toy = dataclasses.replace(leaderboard, columns=columns)
    frame = pd.read_csv(io.StringIO(csv_text(toy)))
    assert {"hps (embedded)", "hps (embedded)_lo", "pickscore"} <= set(frame.columns)
    assert "hps" not in frame.columns
    assert frame["hps (embedded)"].tolist() == pd.read_csv(io.StringIO(csv_text(leaderboard)))["hps"].tolist()
    assert "hps (embedded)" in latex_text(toy, "long")
    assert "hps (embedded) ↑" in markdown_text(toy)
    console = Console(file=io.StringIO(), width=140)
    print_leaderboard(toy, console)
    assert isinstance(console.file, io.StringIO)
    assert "hps (embedded) ↑" in console.file.getvalue()
    named = {column["name"]: column["embedded"] for column in json.loads(json_text(toy))["columns"]}
    assert named == {column.name: column.name == "hps" for column in leaderboard.columns}


def test_a_toy_model_is_called_so_wherever_it_is_named() -> None:
    table = simulated_table(n_prompts=40)
    columns = tuple(dataclasses.replace(c, embedded=True) for c in table.columns)
    table = dataclasses.replace(table, columns=columns)
    board = build_leaderboard([table], resamples=99)
    gap = Gap("dpo", "proxy gap", "pickscore", ("true_reward",), 0.2, 0.1, 0.3)
    board = dataclasses.replace(board, gaps=(*board.gaps, gap))
    told = [*board.notes, *remarks(board)]
    for section in sections(board):
        told += [section.title, *section.header, *section.notes]
    axes = draw_win_rate_bars(win_rates_of(table, resamples=99), table.checkpoints).axes
    told += [place.get_title() for place in axes]
    for column in columns:
        naming = [text for text in told if re.search(rf"\b{column.name}\b", text)]
        assert naming
        for text in naming:
            # A title may be wrapped before the mark.
            assert not re.search(rf"\b{column.name}\b(?!\s\(embedded\))", text), text


def test_csv_survives_hostile_names(nasty: Leaderboard) -> None:
    rows = list(csv.reader(io.StringIO(csv_text(nasty))))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert rows[2][0] == nasty.rows[1].checkpoint.id


def test_csv_of_nothing_still_has_its_header(leaderboard: Leaderboard) -> None:
    empty = dataclasses.replace(leaderboard, rows=())
    assert csv_text(empty).splitlines() == csv_text(leaderboard).splitlines()[:1]


def test_json_holds_every_number_and_no_path(leaderboard: Leaderboard, nasty: Leaderboard) -> None:
    content = json.loads(json_text(leaderboard))
    assert content["schema_version"] == 1
    assert content["signature"] == leaderboard.signature
    assert content["rows"][2]["cells"][1]["p_value"] == leaderboard.rows[2].cells[1].p_value
    assert content["rows"][0]["cells"][0]["difference"] is None
    assert "path" not in content["rows"][0]["checkpoint"]
    assert json.loads(json_text(nasty))["suite"] == nasty.suite


# --- markdown -----------------------------------------------------------------------------------


def test_markdown_rows_have_equally_many_cells(nasty: Leaderboard) -> None:
    blocks = [block for block in markdown_text(nasty).split("\n\n") if block.startswith("| ")]
    assert blocks
    for block in blocks:
        lines = block.splitlines()
        assert len(lines) == 4
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "\n" not in escape_markdown("a\nb")


def test_markdown_marks_the_best_group_and_the_differences(leaderboard: Leaderboard) -> None:
    text = markdown_text(leaderboard)
    dpo = next(line for line in text.splitlines() if line.startswith("| dpo"))
    assert re.search(r"\*\*20\.\d+\*\* ±0\.\d+† ▲", dpo)
    assert "▼" in dpo
    assert f"`{signature_of(leaderboard)}`" in text
    assert "clip ↑" in text
    assert "fid ↓" in text


# --- terminal -----------------------------------------------------------------------------------


def printed(board: Leaderboard, width: int, **options: bool) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    print_leaderboard(board, console, **options)  # type: ignore[arg-type]  # all of them are yes or no
    return str(console.export_text())


@pytest.mark.parametrize("width", [40, 80, 200])
def test_everything_is_shown_at_any_width_when_asked(leaderboard: Leaderboard, width: int) -> None:
    text = printed(leaderboard, width, verbose=True)
    for column in leaderboard.columns:
        assert column.name in text
    assert leaderboard.signature in text
    assert "Beside the scores" in text
    assert "f_dpo reverse_kl = dpo" in text
    # The signature alone is one line, so that it can be copied.
    assert max(len(line.rstrip()) for line in text.splitlines()[:-1]) <= width


def test_eighty_columns_hold_the_declared_scorers_in_one_table(leaderboard: Leaderboard) -> None:
    text = printed(leaderboard, 80)
    assert text.count("\ncheckpoint ") == 1
    heading = text[: text.index("──")].rpartition("told")[2]
    assert all(name in heading for name in ("pickscore", "hps", "diversity ↑"))
    assert not any(name in text for name in ("clip", "fid"))
    assert "Signature" not in text
    assert leaderboard.signature not in text
    assert "For 2 more scorers, notes, the front, costs and the signature add --verbose." in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert text.splitlines()[1].startswith(finding(leaderboard)[:40])
    assert "clip" in printed(leaderboard, 80, every_scorer=True)


def test_without_declared_scorers_each_axis_has_one(leaderboard: Leaderboard) -> None:
    columns = tuple(dataclasses.replace(column, primary=False) for column in leaderboard.columns)
    text = printed(dataclasses.replace(leaderboard, columns=columns), 120)
    table = text[text.index("checkpoint ") - 200 : text.index("±")]
    names = [column.name for column in leaderboard.columns]
    assert {name for name in names if f"{name} " in table} == {*names} - {"hps"}


def test_the_legend_explains_only_the_marks_that_there_are(leaderboard: Leaderboard) -> None:
    rows = [
        dataclasses.replace(
            row,
            cells=tuple(
                dataclasses.replace(cell, group=None, p_value=None, n_prompts=40 - (cell.scorer == "hps"))
                for cell in row.cells
            ),
        )
        for row in leaderboard.rows
    ]
    columns = tuple(dataclasses.replace(column, in_domain=()) for column in leaderboard.columns)
    bare = printed(dataclasses.replace(leaderboard, rows=tuple(rows), columns=columns), 200)
    assert not any(mark in bare for mark in ("▲", "▼", "†", "*"))
    assert bare.count("n 39") == len(rows)
    assert "n: prompts behind the mean, where not 40." in bare
    full = printed(leaderboard, 200)
    assert all(mark in full for mark in ("▲ better", "▼ worse", "† the scorer", "*: may be the best"))
    assert "n: prompts" not in full


def test_the_digits_of_a_column_stand_below_each_other(leaderboard: Leaderboard) -> None:
    text = printed(leaderboard, 80)
    places = {
        line.index("±") for line in text.splitlines() if line.startswith(("base", "f_dpo")) and "±" in line
    }
    assert len(places) == 1
    assert "-0.0 " not in text.replace("\n", " ")


def test_the_terminal_takes_names_as_they_are(nasty: Leaderboard) -> None:
    markup = dataclasses.replace(nasty, suite="[red]x[/red]")
    assert "[red]x[/red]" in printed(markup, 120)


# --- the parts ----------------------------------------------------------------------------------


def test_all_files_are_written_whole(leaderboard: Leaderboard, tmp_path: Path) -> None:
    files = write_exports(leaderboard, tmp_path / "new")
    assert [f.name for f in files] == [f"leaderboard.{e}" for e in ("csv", "tex", "md", "json")]
    assert sorted(files) == sorted((tmp_path / "new").iterdir())


def test_decimals_follow_the_interval() -> None:
    def cells(mean: float, half: float | None) -> list[LeaderboardCell]:
        return [LeaderboardCell("s", mean, *((mean - half, mean + half) if half else (None, None)))]

    assert decimals(cells(20.0, 0.12)) == 2
    assert decimals(cells(0.8, 0.026)) == 3
    assert decimals(cells(300.0, 14.0)) == 0
    assert decimals(cells(0.5, None)) == 3
    assert decimals([]) == 2


def test_verdicts_know_the_direction() -> None:
    better = LeaderboardCell("s", difference=-1.0, p_value=0.01)
    assert better_or_worse(better, higher_is_better=False) == 1
    assert better_or_worse(better, higher_is_better=True) == -1
    assert better_or_worse(dataclasses.replace(better, p_value=0.2), higher_is_better=True) == 0
    assert p_text(0.0001) == "p < 0.001"


def test_panels_keep_every_scorer_once_and_axes_together(leaderboard: Leaderboard) -> None:
    for room in (1, 20, 40, 60, 99, 200):
        split = panels(leaderboard, room=room, least=16)
        names = [column.facts.name for panel in split for column in panel.columns]
        assert sorted(names) == sorted(column.name for column in leaderboard.columns)
        assert max(len(panel.columns) for panel in split) <= max(1, room // 16)
        sizes = {len(panel.columns) for panel in split}
        assert max(sizes) - min(sizes) <= 1
    axes = [column.facts.axis for column in panels(leaderboard, room=200, least=16)[0].columns]
    assert axes == ["alignment", "preference", "preference", "diversity", "fidelity"]


def test_display_names_tell_checkpoints_apart() -> None:
    checkpoints = [
        Checkpoint("base", "sd15"),
        Checkpoint("a", "sd15", "f_dpo", "reverse_kl", {"beta": 1.0, "seed": 0}),
        Checkpoint("b", "sd15", "f_dpo", "reverse_kl", {"beta": 1.0, "seed": 1}),
        Checkpoint("c", "sd15", "sft"),
        Checkpoint("d", "sd15", "rpo", "alpha(a=0.5)"),
        Checkpoint("e", "sd15", "rpo", "alpha(a=0.5)"),
    ]
    names = display_names(checkpoints)
    assert names["c"] == "sft"
    assert names["b"] == "f_dpo reverse_kl, seed 1"
    assert (names["d"], names["e"]) == ("d", "e")


def test_a_name_says_nothing_of_a_seed_that_a_checkpoint_does_not_state() -> None:
    stated = [Checkpoint(f"x{seed}", "sd15", "sft", None, {"seed": seed}) for seed in (0, 1)]
    checkpoints = [*stated, Checkpoint("y", "sd15", "sft")]
    assert list(display_names(checkpoints).values()) == ["sft, seed 0", "sft, seed 1", "sft"]

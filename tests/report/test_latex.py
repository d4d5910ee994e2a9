"""Laws of the LaTeX tables: they compile, they fit, they say what the leaderboard says."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from benchmark.core.errors import UnknownNameError
from benchmark.core.records import Checkpoint, Leaderboard
from benchmark.leaderboard import build_leaderboard
from benchmark.report.latex import LATEX_FORMS, escape_latex, latex_text
from benchmark.report.latex.text import width
from tools.simulated_tables import simulated_table


def compile_latex(folder: Path, source: str) -> str:
    """Compiles a document and returns its log; every error stops it."""
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("pdflatex is not installed")
    (folder / "paper.tex").write_text(source, encoding="utf-8")
    command = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log[-2000:]
    assert (folder / "paper.pdf").stat().st_size > 5000
    return log


@pytest.fixture(scope="module")
def wide() -> Leaderboard:
    """Twelve checkpoints with the long names of real runs, and six scorers."""
    table = simulated_table(n_prompts=12, images_per_prompt=2)
    divergences = (
        "reverse_kl", "jensen_shannon", "forward_kl", "squared_hellinger", "alpha(a=0.5, knee=10.0)",
        "chi_squared", "total_variation", "jeffreys", "triangular", "renyi(alpha=2.0)", "exponential",
    )  # fmt: skip
    scorers = {"pickscore": "true_reward_heldout", "hps": "true_reward", "clip": "imagereward"}
    frames, checkpoints = [table.rows[table.rows.checkpoint == "base"]], [table.checkpoints[0]]
    for i, divergence in enumerate(divergences):
        name = f"f_dpo-{divergence}-beta1-seed0-step200-0a1b2c3d"
        settings = {"beta": 1.0, "seed": 0}
        checkpoints.append(Checkpoint(name, "shapes", "f_dpo", divergence, settings, 200))
        own = table.rows[table.rows.checkpoint == ("dpo", "jsd", "rpo")[i % 3]]
        frames.append(own.assign(checkpoint=name, value=own.value + 0.1 * i))
    rows = pd.concat(frames, ignore_index=True)
    # The sixth scorer: as clip, the other way round.
    extra = rows[rows.scorer == "clip"].assign(scorer="aesthetic", value=lambda frame: -frame.value)
    clip = next(column for column in table.columns if column.name == "clip")
    columns = (*table.columns, replace(clip, name="aesthetic", higher_is_better=False))
    rows = pd.concat([rows, extra], ignore_index=True).replace({"scorer": scorers})
    columns = tuple(replace(c, name=scorers.get(c.name, c.name)) for c in columns)
    ids = tuple(checkpoint.id for checkpoint in checkpoints)
    columns = tuple(replace(c, in_domain=ids[1:] if c.name == "true_reward" else ()) for c in columns)
    made = replace(table, rows=rows, columns=columns, checkpoints=tuple(checkpoints))
    return build_leaderboard([made], resamples=99)


def overfull(log: str) -> list[float]:
    """By how many points lines stick out."""
    return [float(points) for points in re.findall(r"Overfull \\hbox \((\d+\.\d+)pt", log)]


@pytest.mark.parametrize("form", LATEX_FORMS)
def test_every_form_compiles_as_it_stands(leaderboard: Leaderboard, form: str, tmp_path: Path) -> None:
    log = compile_latex(tmp_path, latex_text(leaderboard, form))
    assert "Overfull" not in log
    assert "undefined" not in log


@pytest.mark.parametrize("form", LATEX_FORMS)
def test_every_form_compiles_with_hostile_names(nasty: Leaderboard, form: str, tmp_path: Path) -> None:
    assert "Output written" in compile_latex(tmp_path, latex_text(nasty, form))


@pytest.mark.parametrize("form", ["paper", "column"])
def test_twelve_checkpoints_and_six_scorers_fit_a_two_column_paper(
    wide: Leaderboard, form: str, tmp_path: Path
) -> None:
    (tmp_path / "leaderboard.tex").write_text(latex_text(wide, form), encoding="utf-8")
    paper = (
        r"\documentclass[twocolumn]{article}\usepackage{booktabs}"
        r"\begin{document}A paper.\input{leaderboard}More text.\end{document}"
    )
    log = compile_latex(tmp_path, paper)
    assert max(overfull(log), default=0.0) <= 1.0
    panels = latex_text(wide, form).count(r"\toprule")
    assert panels == {"paper": 1, "column": 2}[form]


def test_the_long_form_goes_over_pages_and_into_a_paper(wide: Leaderboard, tmp_path: Path) -> None:
    (tmp_path / "leaderboard.tex").write_text(latex_text(wide, "long"), encoding="utf-8")
    paper = (
        r"\documentclass[twocolumn]{article}\usepackage{booktabs,longtable}"
        r"\begin{document}A paper.\onecolumn\input{leaderboard}\end{document}"
    )
    log = compile_latex(tmp_path, paper)
    # An article's 410 points are fewer than this form needs, which is for a page.
    alone = compile_latex(tmp_path, latex_text(wide, "long"))
    assert overfull(alone) == []
    assert int(re.findall(r"\((\d+) pages", log)[0]) > 1


def test_the_long_form_has_every_number(leaderboard: Leaderboard) -> None:
    text = latex_text(leaderboard, "long")
    for name in (column.name for column in leaderboard.columns):
        assert rf"\textbf{{{escape_latex(name)}}}" in text
    dpo = next(line for line in text.splitlines() if line.startswith(r"\raggedright\hangindent=1em dpo"))
    cell = leaderboard.rows[2].cells[2]
    assert cell.scorer == "clip"
    assert cell.winrate is not None
    assert cell.p_value is not None
    assert f"{cell.winrate:.2f}" in dpo
    assert f"{cell.p_value:.3f}" in dpo
    assert "may be on" in text
    assert "Hypervolume over" in text
    assert "hv:true" in text.replace(r"\allowbreak{}", "")


def test_widths_are_never_too_small(tmp_path: Path) -> None:
    texts = ["20.55", "0.123", "imagereward", "f_dpo jensen_shannon, beta 0.1", "true_", "+0.12 [0.03, 0.21]"]
    sizes = {5: "tiny", 7: "scriptsize", 8: "footnotesize"}
    lines = [
        rf"\setbox0\hbox{{\{name} {escape_latex(text)}}}\typeout{{WIDTH {size} {i} \the\wd0}}"
        for size, name in sizes.items()
        for i, text in enumerate(texts)
    ]
    source = (
        rf"\documentclass{{article}}\begin{{document}}{''.join(lines)}{'Some words. ' * 99}\end{{document}}"
    )
    found = re.findall(r"WIDTH (\d) (\d) ([\d.]+)pt", compile_latex(tmp_path, source))
    assert len(found) == len(lines)
    for size, i, points in found:
        assert float(points) <= width(texts[int(i)], int(size)) * 1.03


def test_an_unknown_form_is_refused(leaderboard: Leaderboard) -> None:
    with pytest.raises(UnknownNameError, match="allowed: column, long, paper"):
        latex_text(leaderboard, "short")


def test_latex_shows_bold_groups_arrows_and_the_signature(leaderboard: Leaderboard) -> None:
    text = latex_text(leaderboard)
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"clip $\uparrow$" in text
    assert r"fid $\downarrow$" in text
    caption = text.split(r"\caption[")[1].split(r"\label")[0]
    flat = caption.replace(r"\allowbreak{}", "")
    assert escape_latex(leaderboard.signature).replace(r"\textbar{}", "|") in flat
    dpo = next(
        line
        for line in text.replace(r"\allowbreak{}", "").splitlines()
        if line.startswith(r"\raggedright\hangindent=1em f\_dpo reverse")
    )
    assert r"\textbf{20." in dpo
    assert r"\rlap{$^{\dagger\!+}$}" in dpo
    assert r"\textbf{0." not in dpo


def test_latex_escapes_every_special_sign(nasty: Leaderboard) -> None:
    plain = escape_latex(nasty.suite)
    assert re.search(r"(?<!\\)[%&#_$]", plain) is None
    assert "[U+4E2D]" in plain
    assert "é" in plain
    assert escape_latex("ﬁ") == "fi"


@pytest.mark.parametrize("form", ["paper", "column"])
def test_a_suite_with_brackets_is_a_whole_caption(tmp_path: Path, wide: Leaderboard, form: str) -> None:
    compile_latex(tmp_path, latex_text(replace(wide, suite="core@1[:96]: 96 prompts x 4 images"), form))
    assert "core@1[:96]: 96 prompts x 4 images" in (tmp_path / "paper.aux").read_text()


def test_few_scorers_leave_room_for_whole_names(wide: Leaderboard) -> None:
    few = replace(
        wide,
        columns=wide.columns[:2],
        rows=tuple(replace(row, cells=row.cells[:2]) for row in wide.rows),
    )
    places = [float(re.findall(r"p\{(\d+)pt\}", latex_text(board, "paper"))[0]) for board in (wide, few)]
    assert places[1] > places[0]

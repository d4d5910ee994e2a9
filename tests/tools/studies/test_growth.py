"""Time and memory over size: what is run, what is kept, and what the page and the figure say of it."""

from pathlib import Path

import pytest

from benchmark.core.errors import UserError
from benchmark.core.store import read_json
from tools.docs.marks import between_marks
from tools.docs.speed_page import BENCH, peers_table, texts
from tools.studies.growth import measure as measuring
from tools.studies.growth.measure import Command, commands
from tools.studies.growth.page import growth_figure, growth_table
from tools.studies.growth.records import Run, read_runs

ROOT = Path(__file__).resolve().parents[3]


def test_every_evaluation_is_given_again_and_sizes_grow(tmp_path: Path) -> None:
    all_ = list(commands(tmp_path))
    for i, command in enumerate(all_):
        if command.kind == "resumed":
            before = all_[i - 1]
            assert command.keep
            assert (before.kind, before.size) == ("evaluation", command.size)
            assert list(before.arguments) == list(command.arguments)
    for kind in ("evaluation", "results", "sweep"):
        sizes = [command.size for command in all_ if command.kind == kind]
        assert sizes == sorted(set(sizes))
        assert len(sizes) >= 3


def test_each_command_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    words = [("-c", f"x = b'x' * {size}") for size in (1, 300_000_000)]
    small, large = (Command("results", i, f"size {i}", w, tmp_path / str(i)) for i, w in enumerate(words))
    monkeypatch.setattr(measuring, "_train_policies", lambda *_: None)
    monkeypatch.setattr(measuring, "commands", lambda _: [small, large])
    measuring.measure(tmp_path / "runs")
    runs = read_runs()
    assert list(runs) == ["results 0", "results 1"]
    assert 0.28 < runs["results 1"].peak_gb - runs["results 0"].peak_gb < 0.4

    broken = Command("results", 2, "", ("-c", "raise SystemExit('it broke')"), tmp_path / "2")
    monkeypatch.setattr(measuring, "commands", lambda _: [large, broken])
    with pytest.raises(UserError, match="it broke"):
        measuring.measure(tmp_path / "runs")
    assert read_runs() == runs


def test_table_and_figure_show_every_run(tmp_path: Path) -> None:
    kinds = ("evaluation", "resumed", "results", "sweep")
    all_ = [Run(kind, n, f"{n} of {kind}", 2.0 * n, 0.5 + n) for kind in kinds for n in (1, 4)]
    runs = {run.name: run for run in all_}
    table = growth_table(runs)
    assert all(f"{run.words} | {run.seconds:.1f} | {run.peak_gb:.2f} GB" in table for run in all_)
    path = growth_figure(tmp_path / "growth.svg", runs)
    drawn = path.read_text()
    assert all(title in drawn for title in ("making and scoring", "tables, figures and page", "policies"))


def test_the_page_says_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = ROOT / "docs" / "speed.md"
    for name, text in texts().items():
        assert between_marks(page, name, text) == page.read_text()


def test_the_page_leaves_out_no_measurement() -> None:
    rows = read_json(ROOT / BENCH)
    table = peers_table(rows)
    assert all(f"against {row['peer_name']}; {row['note']}." in table for row in rows)

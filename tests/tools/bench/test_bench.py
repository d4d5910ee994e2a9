"""The benches' record and the names; no time is asserted anywhere."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.core.errors import UnknownNameError, UserError
from tools.bench import __main__ as bench
from tools.bench import bootstrap, closed_form, frechet, lpips
from tools.bench.measuring import Measurement, compare, write_measurements

KEYS = {"name", "ours", "peer", "ratio", "unit", "peer_name", "note"}


def test_a_tiny_measurement_has_the_documented_shape(tmp_path: Path) -> None:
    measured = bootstrap.measure(prompts=24, columns=2, resamples=400, rounds=1)
    write_measurements(tmp_path / "bench.json", [measured])
    (row,) = json.loads((tmp_path / "bench.json").read_text())
    assert set(row) == KEYS
    assert row["name"] == "bootstrap"
    assert row["ratio"] == pytest.approx(row["peer"] / row["ours"])
    assert row["peer_name"] == "scipy.stats.bootstrap"


def test_both_sides_of_bootstrap_compute_the_same() -> None:
    note = bootstrap.measure(prompts=96, columns=2, resamples=4000, rounds=1).note
    apart = float(note.split("differ by at most ")[1].split("%")[0])
    assert apart < 8


def test_both_sides_of_the_closed_form_compute_the_same() -> None:
    measured = closed_form.measure(prompts=3, images=8, rounds=1, peer_prompts=2, threads=None)
    assert measured.ratio == pytest.approx(measured.peer / measured.ours)
    assert float(measured.note.split("differ by ")[1].split(" at most")[0]) < 1e-6


def test_the_fastest_peer_counts_and_a_ratio_above_one_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("tools.bench.measuring.time.perf_counter", lambda: now[0])

    def taking(seconds: float) -> Callable[[], None]:
        return lambda: now.append(now.pop() + seconds)

    peers = {"slow": taking(6.0), "fast": taking(3.0)}
    seconds = compare("x", taking(1.0), peers, rounds=1)
    rate = compare("x", taking(1.0), peers, unit="images/s", amount=10, rounds=1)
    assert seconds.peer_name == rate.peer_name == "fast"
    assert (seconds.ours, seconds.peer, seconds.ratio) == pytest.approx((1.0, 3.0, 3.0))
    assert (rate.ours, rate.peer, rate.ratio) == pytest.approx((10.0, 10 / 3, 3.0))
    assert "slow: " in rate.note


def test_other_names_in_the_file_stay_and_what_is_not_there_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bench.json"
    earlier = compare("frechet", lambda: None, {"peer": lambda: None}, rounds=1)
    write_measurements(out, [earlier])

    def nothing() -> Measurement:
        raise UserError("no room")

    tiny = {"scorer_bundle": nothing, "bootstrap": lambda: bootstrap.measure(24, 2, 200, 1)}
    monkeypatch.setattr(bench, "MEASURES", tiny)
    bench.bench(["scorer_bundle", "bootstrap"], out)
    assert [row["name"] for row in json.loads(out.read_text())] == ["frechet", "bootstrap"]
    assert "scorer_bundle not measured: no room" in capsys.readouterr().out


def test_only_takes_a_name_or_its_beginning() -> None:
    assert bench.chosen("train") == ["train_lora", "train_full", "train_full_compiled"]
    assert bench.chosen("cli-help") == ["cli_help"]
    assert len(bench.chosen(None)) == 19
    with pytest.raises(UnknownNameError, match="did you mean generate"):
        bench.chosen("genrate")


def test_both_sides_of_frechet_and_lpips_compute_the_same() -> None:
    note = frechet.measure(d=24, n=200, rounds=1).note
    assert float(note.split("values apart ")[1].split(" ")[0]) < 1e-6
    note = lpips.measure(prompts=1, k=3, rounds=1).note
    assert float(note.split("values apart ")[1].split(";")[0]) < 1e-6

"""The trade-off plane and the sweeps of a table."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import Checkpoint
from benchmark.leaderboard import build_leaderboard
from benchmark.leaderboard.equal_level import sweeps_of
from benchmark.leaderboard.score_table import ScoreTable
from benchmark.leaderboard.trade_off_plane import plane_of, primary_pairs
from benchmark.stats.sweeps import contrasts_at_equal_level
from tools.simulated_tables import simulated_table


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    return simulated_table(n_prompts=40, images_per_prompt=3)


def undefined(rows: pd.DataFrame, gone: "pd.Series[bool]") -> pd.DataFrame:
    """The rows with no number to be had in some of them: no failure."""
    return rows.assign(
        value=rows.value.mask(gone), status=rows.status.mask(gone, "missing"),
        note=rows.note.mask(gone, "undefined: no right image"),
    )  # fmt: skip


def changed(table: ScoreTable, name: str, **facts: object) -> ScoreTable:
    columns = tuple(replace(c, **facts) if c.name == name else c for c in table.columns)  # type: ignore[arg-type]
    return replace(table, columns=columns)


def test_points_stand_at_their_means_with_the_regions_of_differences(table: ScoreTable) -> None:
    plane = plane_of(table, "true_diversity", "hps", "base", resamples=300)
    points = plane.points
    assert [p.checkpoint for p in points] == [c.id for c in table.checkpoints]
    for point in points:
        own = table.rows[table.rows.checkpoint == point.checkpoint]
        means = [
            own[own.scorer == s].groupby("prompt_id")["value"].mean().mean()
            for s in ("true_diversity", "hps")
        ]
        np.testing.assert_allclose([point.x, point.y], means)
        assert point.covariance is not None
        assert (point.covariance == (0.0, 0.0, 0.0)) == (point.checkpoint == "base")
        assert point.support == 0 or point.may_be_on_front


def test_the_front_knows_the_direction_of_a_scorer(table: ScoreTable) -> None:
    kept = {
        p.checkpoint: p for p in plane_of(table, "true_diversity", "pickscore", "base", resamples=300).points
    }
    assert kept["base"].may_be_on_front
    assert kept["dpo"].support > 0.5
    turned = changed(table, "pickscore", higher_is_better=False)
    lost = {
        p.checkpoint: p for p in plane_of(turned, "true_diversity", "pickscore", "base", resamples=300).points
    }
    # Where less is better, the base is ahead of dpo on both axes.
    assert not lost["dpo"].may_be_on_front
    assert lost["base"].support > 0.5
    assert (lost["dpo"].x, lost["dpo"].y) == (kept["dpo"].x, kept["dpo"].y)


def test_a_checkpoint_with_too_many_gaps_is_not_drawn(table: ScoreTable) -> None:
    rows = table.rows.copy()
    gone = (rows.checkpoint == "rpo") & (rows.scorer == "hps") & (rows.prompt_id.isin(["p001", "p002"]))
    rows["value"] = rows["value"].mask(gone)
    points = plane_of(replace(table, rows=rows), "true_diversity", "hps", "base", resamples=50).points
    assert [p.checkpoint for p in points] == ["base", "sft", "dpo", "jsd"]
    with pytest.raises(UnknownNameError, match="rpo"):
        plane_of(replace(table, rows=rows), "true_diversity", "hps", "rpo")


@pytest.mark.parametrize("higher", [True, False])
def test_the_corner_is_three_within_prompt_deviations_worse_than_the_base(
    table: ScoreTable, higher: bool
) -> None:
    turned = changed(table, "hps", higher_is_better=higher)
    corner = plane_of(turned, "true_diversity", "hps", "dpo", resamples=50).corner
    assert corner is not None
    base = table.rows[table.rows.checkpoint == "base"]
    hps = base[base.scorer == "hps"].pivot_table(index="prompt_id", columns="seed", values="value")
    within = float(np.sqrt(hps.var(axis=1, ddof=1).mean()))
    assert corner[1] == pytest.approx(float(hps.to_numpy().mean()) + (-3 if higher else 3) * within)
    # One number a prompt: prompts are all that varies.
    diversity = base[base.scorer == "true_diversity"]["value"]
    assert corner[0] == pytest.approx(diversity.mean() - 3 * diversity.std())


def test_hypervolumes_are_differences_with_their_reference_point(table: ScoreTable) -> None:
    plane = plane_of(table, "true_diversity", "hps", "base", resamples=50)
    (note,) = plane.front_notes
    assert plane.corner is not None
    assert f"true_diversity {plane.corner[0]:.4g}, hps {plane.corner[1]:.4g}" in note
    assert "less that of base" in note
    # In the simulation dpo has lost more diversity than it has gained in preference.
    lead = re.search(r"f_dpo reverse_kl (\S+) \[(\S+), (\S+)\]", note)
    assert lead is not None
    assert float(lead[2]) < float(lead[1]) < float(lead[3]) < 0
    # Turned round, the axis and its corner are, and nothing else.
    rows = table.rows.assign(value=table.rows.value.where(table.rows.scorer != "hps", -table.rows.value))
    turned = changed(replace(table, rows=rows), "hps", higher_is_better=False)
    (other,) = plane_of(turned, "true_diversity", "hps", "base", resamples=50).front_notes
    assert other == note.replace("hps ", "hps -", 1)


def test_a_sweep_is_one_front_and_a_method_can_be_the_reference(table: ScoreTable) -> None:
    plane = plane_of(swept(table), "true_diversity", "hps", "jensen_shannon-1.0-0", resamples=50)
    (note,) = plane.front_notes
    assert "less that of f_dpo jensen_shannon (6 checkpoints)" in note
    # It loses three times the diversity for the same preference.
    lead = re.search(r"f_dpo reverse_kl \(6 checkpoints\) (\S+) \[(\S+), (\S+)\]", note)
    assert lead is not None
    assert float(lead[3]) < 0


def test_without_a_base_model_there_is_no_corner(table: ScoreTable) -> None:
    trained = replace(
        table, checkpoints=table.checkpoints[1:], rows=table.rows[table.rows.checkpoint != "base"]
    )
    assert plane_of(trained, "true_diversity", "hps", "sft", resamples=50).corner is None


def test_without_a_common_prompt_the_two_means_do_not_move_together(table: ScoreTable) -> None:
    apart = (table.rows.scorer == "hps") == (table.rows.prompt_id < "p020")
    plane = plane_of(replace(table, rows=table.rows[apart]), "true_diversity", "hps", "base", resamples=50)
    assert [(p.n_x, p.n_y) for p in plane.points] == [(20, 20)] * 5
    for point in plane.points[1:]:
        assert point.covariance is not None
        xx, xy, yy = point.covariance
        assert abs(xy) < 1e-9 * np.sqrt(xx * yy)


def test_where_prompts_have_numbers_does_not_move_other_points(table: ScoreTable) -> None:
    whole = {p.checkpoint: p for p in plane_of(table, "true_diversity", "hps", "base", resamples=99).points}
    lost = (table.rows.scorer == "true_diversity") & (table.rows.prompt_id < "p012")
    some = replace(table, rows=undefined(table.rows, lost & (table.rows.checkpoint == "dpo")))
    found = {p.checkpoint: p for p in plane_of(some, "true_diversity", "hps", "base", resamples=99).points}
    assert [(p.n_x, p.n_y) for p in found.values()] == [(40, 40), (40, 40), (28, 40), (40, 40), (40, 40)]
    for id_ in ("base", "sft", "jsd", "rpo"):
        same = ("x", "y", "covariance", "q")
        assert [getattr(found[id_], name) for name in same] == [getattr(whole[id_], name) for name in same]
    assert found["dpo"].y == whole["dpo"].y
    assert found["dpo"].covariance is not None
    assert whole["dpo"].covariance is not None
    assert found["dpo"].covariance[2] == pytest.approx(whole["dpo"].covariance[2])


def test_without_a_ranked_reference_there_is_a_table_and_no_plane(table: ScoreTable) -> None:
    rows = table.rows.assign(value=table.rows.value.mask(table.rows.scorer == "hps"))
    with pytest.raises(UnknownNameError, match="ranked reference checkpoint"):
        plane_of(replace(table, rows=rows), "true_diversity", "hps", "base", resamples=50)
    none = undefined(table.rows, table.rows.scorer == "hps")
    with pytest.raises(UnknownNameError, match="ranked reference checkpoint"):
        plane_of(replace(table, rows=none), "true_diversity", "hps", "base", resamples=50)
    board = build_leaderboard([replace(table, rows=none)], resamples=50)
    assert [plane.upward for plane in board.planes] == ["pickscore"]


def test_a_checkpoint_of_one_number_neither_beats_nor_falls(table: ScoreTable) -> None:
    gone = (table.rows.scorer == "true_diversity") & (table.rows.checkpoint == "sft")
    plane = plane_of(
        replace(table, rows=undefined(table.rows, gone & (table.rows.prompt_id > "p000"))),
        "true_diversity", "hps", "base", resamples=99,
    )  # fmt: skip
    sft = next(p for p in plane.points if p.checkpoint == "sft")
    assert (sft.n_x, sft.covariance, sft.may_be_on_front) == (1, None, True)
    none = replace(table, rows=undefined(table.rows, gone))
    drawn = plane_of(none, "true_diversity", "hps", "base", resamples=99).points
    assert [p.checkpoint for p in drawn] == ["base", "dpo", "jsd", "rpo"]


def test_primary_scorers_are_paired_and_the_first_stands_in(table: ScoreTable) -> None:
    assert primary_pairs(table.columns) == (("true_diversity", "pickscore"), ("true_diversity", "hps"))
    none = [replace(column, primary=False) for column in table.columns]
    assert primary_pairs(none) == (("true_diversity", "pickscore"),)
    assert primary_pairs(table.columns[:3]) == ()


def test_set_metrics_have_no_place_in_the_plane(table: ScoreTable) -> None:
    with pytest.raises(UnknownNameError, match="fid"):
        plane_of(table, "fid", "hps", "base")


def swept(table: ScoreTable, seeds: int = 2) -> ScoreTable:
    """Two methods x three betas x seeds: the base's scores, moved by a known law."""
    base = table.rows[(table.rows.checkpoint == "base") & table.rows.scorer.isin(["hps", "true_diversity"])]
    checkpoints, rows = [table.checkpoints[0]], [base]
    for method, loss in (("reverse_kl", 0.3), ("jensen_shannon", 0.1)):
        for beta in (0.1, 1.0, 10.0):
            for seed in range(seeds):
                id_ = f"{method}-{beta}-{seed}"
                strength = {10.0: 0.2, 1.0: 0.6, 0.1: 1.0}[beta]
                own = base.assign(checkpoint=id_)
                own["value"] += np.where(own.scorer == "hps", strength, -loss * strength)
                settings = {"beta": beta, "seed": seed}
                checkpoints.append(Checkpoint(id_, "shapes", "f_dpo", method, settings, 100))
                rows.append(own)
    columns = tuple(c for c in table.columns if c.name in {"hps", "true_diversity"})
    frame = pd.concat(rows, ignore_index=True)
    return replace(table, rows=frame, checkpoints=tuple(checkpoints), columns=columns)


def test_sweeps_go_from_the_base_over_falling_betas(table: ScoreTable) -> None:
    sweeps = sweeps_of(swept(table), "hps", "true_diversity", "beta")
    assert [s.name for s in sweeps] == ["f_dpo reverse_kl", "f_dpo jensen_shannon"]
    for sweep, loss in zip(sweeps, (0.3, 0.1), strict=True):
        assert sweep.level.shape == (4, 2, 40)
        means = sweep.level.mean(axis=(1, 2))
        np.testing.assert_allclose(means - means[0], [0.0, 0.2, 0.6, 1.0])
        diversity = sweep.outcome.mean(axis=(1, 2))
        np.testing.assert_allclose(diversity - diversity[0], -loss * np.array([0.0, 0.2, 0.6, 1.0]))
    found = contrasts_at_equal_level(sweeps, "f_dpo reverse_kl", resamples=20)
    values = [c.interval.value for c in found if c.interval is not None]
    np.testing.assert_allclose(values, 0.2 * np.array([0.25, 0.5, 0.75]))


def test_a_distance_rises_away_from_the_reference_and_a_loss_towards_better(table: ScoreTable) -> None:
    many = swept(table)
    raw = sweeps_of(many, "hps", "true_diversity", "beta")[0].level
    far = changed(many, "hps", higher_is_better=False, axis="distance")
    np.testing.assert_array_equal(sweeps_of(far, "hps", "true_diversity", "beta")[0].level, raw)
    loss = changed(many, "hps", higher_is_better=False)
    np.testing.assert_array_equal(sweeps_of(loss, "hps", "true_diversity", "beta")[0].level, -raw)


def test_points_without_common_seeds_or_twice_are_refused(table: ScoreTable) -> None:
    many = swept(table)
    last = many.checkpoints[-1]
    one = replace(many, checkpoints=many.checkpoints[:-1], rows=many.rows[many.rows.checkpoint != last.id])
    assert sweeps_of(one, "hps", "true_diversity", "beta")[0].level.shape[1] == 1
    moved = [
        replace(c, hyperparameters={"beta": 10.0, "seed": 7 + i}) for i, c in enumerate(many.checkpoints[-2:])
    ]
    with pytest.raises(UserError, match="no training seed is common"):
        sweeps_of(
            replace(many, checkpoints=(*many.checkpoints[:-2], *moved)), "hps", "true_diversity", "beta"
        )
    with pytest.raises(UserError, match="same point of a sweep along step"):
        sweeps_of(many, "hps", "true_diversity", "step")
    without = replace(last, hyperparameters={"seed": 0})
    with pytest.raises(UserError, match="has no beta"):
        sweeps_of(
            replace(many, checkpoints=(*many.checkpoints[:-1], without)), "hps", "true_diversity", "beta"
        )


def test_an_unknown_scorer_is_named(table: ScoreTable) -> None:
    with pytest.raises(UnknownNameError, match="path_kl"):
        sweeps_of(swept(table), "path_kl", "true_diversity", "beta")

"""Frontiers without training in the planes of a leaderboard."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.core.errors import NotComparableError, UnknownNameError, UserError
from benchmark.core.records import Checkpoint, Frontier, Leaderboard
from benchmark.leaderboard import ScoreTable, build_leaderboard
from benchmark.leaderboard.frontiers import (
    best_of_point,
    difference_from,
    frontiers_of,
    guidance_point,
    signature_of_frontier,
    with_frontiers,
)
from tools.simulated_tables import simulated_table

BASE = Checkpoint("base", "shapes")
POINTS = (
    guidance_point(BASE, 10.0),
    guidance_point(BASE, 3.0),
    best_of_point(BASE, 16, "pickscore"),
    best_of_point(BASE, 4, "pickscore"),
)
RESAMPLES = 300


@pytest.fixture(scope="module")
def evaluation() -> ScoreTable:
    return simulated_table(n_prompts=40, images_per_prompt=3)


@pytest.fixture(scope="module")
def board(evaluation: ScoreTable) -> Leaderboard:
    return build_leaderboard([evaluation], resamples=RESAMPLES)


@pytest.fixture(scope="module")
def table(evaluation: ScoreTable) -> ScoreTable:
    """The evaluation's numbers under the names of a frontier's points; the base's own stay the base's."""
    names = {c.id: p.id for c, p in zip(evaluation.checkpoints[1:], POINTS, strict=True)}
    rows = evaluation.rows.assign(checkpoint=evaluation.rows["checkpoint"].replace(names))
    return replace(
        evaluation,
        rows=rows,
        checkpoints=(BASE, *POINTS),
        signature=signature_of_frontier(evaluation.signature, (3.0, 10.0), (4, 16), "pickscore"),
        source="frontier",
    )


def named(frontiers: tuple[Frontier, ...]) -> dict[str, Frontier]:
    return {frontier.name: frontier for frontier in frontiers}


def without(table: ScoreTable, checkpoint: str, scorer: str, prompts: list[str]) -> ScoreTable:
    rows = table.rows.copy()
    gone = (rows.checkpoint == checkpoint) & (rows.scorer == scorer) & rows.prompt_id.isin(prompts)
    rows["value"] = rows["value"].mask(gone)
    rows["status"] = rows["status"].mask(gone, "missing")
    rows["note"] = rows["note"].mask(gone, "no image")
    return replace(table, rows=rows)


def test_points_stand_where_trained_checkpoints_of_the_same_numbers_would(
    board: Leaderboard, table: ScoreTable, evaluation: ScoreTable
) -> None:
    drawn = with_frontiers(board, [table], resamples=RESAMPLES)
    names = {p.id: c.id for c, p in zip(evaluation.checkpoints[1:], POINTS, strict=True)}
    for plane in drawn.planes:
        trained = {point.checkpoint: point for point in plane.points}
        mark = " (in-domain)" if plane.upward == "pickscore" else ""
        found = named(plane.frontiers)
        assert list(found) == ["guidance", f"best of n by pickscore{mark}"]
        guidance, best = found.values()
        assert [point.label for point in guidance.points] == ["cfg 3", "cfg 10"]
        assert [point.label for point in best.points] == ["n = 1", "n = 4", "n = 16"]
        for point, id_ in zip(guidance.points, (POINTS[1].id, POINTS[0].id), strict=True):
            other = trained[names[id_]]
            np.testing.assert_allclose((point.x, point.y), (other.x, other.y))
            np.testing.assert_allclose(point.covariance, other.covariance)  # type: ignore[arg-type]
            assert point.q == pytest.approx(other.q)
        base = trained["base"]
        assert (best.points[0].x, best.points[0].y) == (base.x, base.y)
        assert best.points[0].covariance == base.covariance


def test_nothing_but_the_planes_changes(board: Leaderboard, table: ScoreTable) -> None:
    drawn = with_frontiers(board, [table], resamples=RESAMPLES)
    assert replace(drawn, planes=()) == replace(board, planes=())
    assert tuple(replace(plane, frontiers=()) for plane in drawn.planes) == board.planes


def test_gaps_leave_a_point_out_or_its_prompts(table: ScoreTable) -> None:
    two = without(table, POINTS[0].id, "hps", ["p001", "p002"])
    points = named(frontiers_of(two, "true_diversity", "hps", "base", resamples=RESAMPLES))["guidance"].points
    assert [point.label for point in points] == ["cfg 3"]
    # What a number does not exist for is no failure: the point is on the other prompts.
    rows = two.rows.assign(note=two.rows["note"].replace("no image", "undefined: two right images needed"))
    kept = frontiers_of(replace(two, rows=rows), "true_diversity", "hps", "base", resamples=RESAMPLES)
    assert [point.label for point in named(kept)["guidance"].points] == ["cfg 3", "cfg 10"]
    with pytest.raises(UserError, match="above 1 % of true_diversity or hps is missing for base"):
        frontiers_of(without(table, "base", "hps", ["p001", "p002"]), "true_diversity", "hps", "base")
    with pytest.raises(UnknownNameError, match="unit image or prompt"):
        frontiers_of(table, "true_diversity", "fid", "base")


def test_prompts_that_one_scorer_does_not_concern(table: ScoreTable) -> None:
    some = table.rows[~((table.rows.scorer == "hps") & (table.rows.prompt_id < "p010"))]
    less = replace(table, rows=pd.DataFrame(some).reset_index(drop=True))
    points = named(frontiers_of(less, "true_diversity", "hps", "base", resamples=RESAMPLES))[
        "guidance"
    ].points
    means = some.groupby(["scorer", "checkpoint"])["value"].mean()
    assert points[0].x == pytest.approx(means["true_diversity", POINTS[1].id])
    assert points[0].y == pytest.approx(means["hps", POINTS[1].id])
    assert (points[0].n_x, points[0].n_y) == (40, 30)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cfg:3.0", "cfg:5.0", "cfg is 3.0 in one and 5.0 in the other"),
        ("seed:0", "seed:1", "seed is 0 in one and 1 in the other"),
        (":40x3", ":40x4", "set is simulated@1:40x3 in one"),
        ("hps:v1@", "hps:v2@", "hps is v1@0123abcd in one"),
    ],
)
def test_what_is_not_comparable_is_refused(
    board: Leaderboard, table: ScoreTable, old: str, new: str, said: str
) -> None:
    assert old in table.signature
    with pytest.raises(NotComparableError, match=said):
        with_frontiers(board, [replace(table, signature=table.signature.replace(old, new))])


def test_another_base_and_an_evaluation_are_refused(
    board: Leaderboard, table: ScoreTable, evaluation: ScoreTable
) -> None:
    with pytest.raises(NotComparableError, match="base model is shapes in one and sd15"):
        with_frontiers(board, [replace(table, checkpoints=(Checkpoint("base", "sd15"), *POINTS))])
    with pytest.raises(NotComparableError, match="base's weights are None in one and abc"):
        with_frontiers(board, [replace(table, checkpoints=(replace(BASE, revision="abc"), *POINTS))])
    with pytest.raises(UserError, match="is no frontier"):
        with_frontiers(board, [evaluation])


def of_scorers(table: ScoreTable, *names: str) -> ScoreTable:
    gone = tuple(f"{column.name}:" for column in table.columns if column.name not in names)
    return replace(
        table,
        columns=tuple(column for column in table.columns if column.name in names),
        rows=table.rows[table.rows["scorer"].isin(names)],
        signature="|".join(part for part in table.signature.split("|") if not part.startswith(gone)),
    )


def test_a_scorer_that_only_one_has_is_no_difference(board: Leaderboard, table: ScoreTable) -> None:
    few = of_scorers(table, "hps", "true_diversity")
    assert difference_from(board, few.signature, few.columns) is None
    drawn = with_frontiers(board, [few], resamples=RESAMPLES)
    assert {plane.upward: len(plane.frontiers) for plane in drawn.planes} == {"pickscore": 0, "hps": 2}
    with pytest.raises(UserError, match="both of pickscore against true_diversity or hps against"):
        with_frontiers(board, [of_scorers(table, "hps", "clip")])

"""What stands beside the scores: nothing is lost, nothing is invented."""

from dataclasses import replace

import pytest

from benchmark.core.records import Cost, Gap, Leaderboard, Plane, PlanePoint
from benchmark.report.sections import UNKNOWN, Section, beside, sections, signature_of


def with_costs(leaderboard: Leaderboard) -> Leaderboard:
    rows = [replace(row, cost=Cost(100.0 * i or None, None, 0.5)) for i, row in enumerate(leaderboard.rows)]
    return replace(leaderboard, rows=tuple(rows))


def test_every_number_beside_the_scores_is_in_its_row(leaderboard: Leaderboard) -> None:
    section = beside(with_costs(leaderboard))
    rows = {row[0]: dict(zip(section.header, row, strict=True)) for row in section.rows}
    assert list(rows) == [row.checkpoint.id for row in leaderboard.rows]
    plane = leaderboard.planes[0]
    for point in plane.points:
        own = rows[point.checkpoint]
        assert own["support\ntrue_diversity\npickscore"] == f"{100 * point.support:.0f} %"
        front = own["front\ntrue_diversity\npickscore"]
        assert (front == "may be on") == point.may_be_on_front
    gap = leaderboard.gaps[0]
    assert rows[gap.checkpoint]["hacking\npickscore"].startswith(f"{gap.value:+.2f} [")
    assert rows["base"]["hacking\npickscore"] == UNKNOWN
    assert [rows["base"]["train s"], rows["sft"]["train s"]] == [UNKNOWN, "100"]
    # A cost that nobody knows has no column.
    assert "eval s" not in section.header
    assert any("Hypervolume over" in note for note in section.notes)


def test_a_leaderboard_with_nothing_beside_it_has_no_section(leaderboard: Leaderboard) -> None:
    bare = replace(leaderboard, planes=(), gaps=())
    assert sections(bare) == ()
    assert signature_of(bare) == leaderboard.signature


def test_one_plane_needs_no_names_and_who_is_not_in_it_has_a_dash(leaderboard: Leaderboard) -> None:
    point = PlanePoint("dpo", 0.5, 20.0, None, None, may_be_on_front=False, support=0.25)
    alone = replace(leaderboard, planes=(Plane("true_diversity", "hps", (point,)),), gaps=())
    section = beside(alone)
    assert section.header == ("checkpoint", "front", "support")
    assert {row[0]: row[1:] for row in section.rows}["dpo"] == ("off", "25 %")
    assert section.rows[0] == ("base", UNKNOWN, UNKNOWN)


def test_reference_points_of_hypervolumes_are_in_the_signature(leaderboard: Leaderboard) -> None:
    corners = [plane.corner for plane in leaderboard.planes]
    first = corners[0]
    assert first is not None
    parts = signature_of(leaderboard).split("|")
    assert f"hv:true_diversity@{first[0]:.4g},pickscore@{first[1]:.4g}" in parts
    assert len(parts) == len(leaderboard.signature.split("|")) + len(corners)


def test_each_gap_that_is_shown_is_explained(leaderboard: Leaderboard) -> None:
    kinds = ("hacking", "proxy gap", "taste transfer", "content loss")
    gaps = tuple(Gap("dpo", kind, "", ("oracle",), 0.1, None, None) for kind in kinds)
    section = beside(replace(leaderboard, planes=(), gaps=gaps))
    (note,) = section.notes
    assert all(f"{kind}: " in note for kind in kinds)
    assert section.rows[2] == ("dpo", "+0.10", "+0.10", "+0.10", "+0.10")


@pytest.mark.parametrize("room", [1, 20, 40, 1000])
def test_parts_hold_every_column_once_and_fit(room: int) -> None:
    header = ("checkpoint", *(f"column {i}" for i in range(7)))
    section = Section("title", header, (tuple("x" * (i + 3) for i in range(8)),), ("note",))
    parts = list(section.split(room))
    assert [name for part in parts for name in part.header[1:]] == list(header[1:])
    assert all(part.header[0] == "checkpoint" for part in parts)
    assert [part.notes for part in parts] == [()] * (len(parts) - 1) + [("note",)]
    for part in parts:
        widths = [max(map(len, column)) + 2 for column in zip(part.header, *part.rows, strict=True)]
        assert sum(widths) <= room or len(part.header) == 2

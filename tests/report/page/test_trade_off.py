"""The trade-off as its readers use it: regions, front, frontiers, by pointer and by keyboard."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.records import Frontier, FrontierPoint, Plane, PlanePoint
from benchmark.report.page import PageSource, write_page

Open = Callable[..., Any]

# Checkpoints 2 and 3 lack too many numbers to stand in a plane.
DRAWN = [0, 1, 4]


def shown_rows(tab: Any) -> int:
    return int(tab.locator("#board tbody tr").count())


def centre(tab: Any, mark: Any) -> tuple[float, float]:
    """Of a mark, in the window's pixels; others may lie on it, and the pointer is with the nearest."""
    mark.scroll_into_view_if_needed()
    box = mark.locator(".target").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?[0-9.]+(?:e-?[0-9]+)?", text)]


def test_points_tell_their_numbers_to_pointer_and_keyboard(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    row, columns = source.leaderboard.rows[1], source.leaderboard.columns
    (at,) = [i for i, column in enumerate(columns) if column.name == "pickscore"]
    cell = row.cells[at]
    assert cell.mean is not None
    own = source.leaderboard.planes[0].points[1]
    told = [
        f"{cell.mean:.1f} [{cell.lo:.1f}, ",
        f"on the Pareto front (95 %); support {100 * own.support:.0f} %",
    ]
    point = tab.locator("#plot .point[data-checkpoint='1']")
    tab.mouse.move(*centre(tab, point))
    assert all(text in tab.locator("#tip").text_content() for text in told)
    assert "f_dpo reverse_kl, beta 1" in tab.locator("#tip").text_content()
    assert tab.locator(".region.near").count() == 1
    tab.mouse.move(0, 0)
    assert not tab.locator("#tip").is_visible()
    assert tab.locator(".region.near").count() == 0
    point.focus()
    assert all(text in tab.locator("#tip").text_content() for text in told)
    assert all(text in (point.get_attribute("aria-label") or "") for text in told)
    tab.keyboard.press("Escape")
    assert not tab.locator("#tip").is_visible()


def test_a_point_filters_and_lets_go(open_page: Open) -> None:
    tab = open_page()
    tab.mouse.click(*centre(tab, tab.locator("#plot .point[data-checkpoint='1']")))
    # Beside the reference, which is always shown.
    assert shown_rows(tab) == tab.locator("#compare thead th[scope=col]").count() == 2
    other = tab.locator("#plot .point[data-checkpoint='0']")
    other.focus()
    tab.keyboard.press("Enter")
    assert shown_rows(tab) == 2
    assert other.get_attribute("aria-pressed") == "true"
    assert tab.locator("#plot .point.faded").count() == tab.locator("#plot .region.faded").count() == 1
    tab.keyboard.press(" ")
    tab.click("#filter-clear")
    assert shown_rows(tab) == 5


def test_axes_choose_the_plane_and_others_have_bars(open_page: Open) -> None:
    tab = open_page()
    assert tab.locator("#axis-y option").all_text_contents()[0] == "pickscore (preference)"
    assert {"clip (alignment)"} < set(tab.locator("#axis-y option").all_text_contents())
    assert tab.locator("#axis-x option").all_text_contents() == ["lpips (diversity)", "vendi (diversity)"]
    tab.select_option("#axis-x", label="vendi (diversity)")
    assert tab.locator("#plot .title").first.text_content() == "vendi → better"
    assert tab.locator("#plot .point").count() == len(DRAWN)
    assert tab.locator("#plot > svg > .region").count() == len(DRAWN)
    # No plane was made for this pair: every checkpoint that has means, with the intervals of each scorer.
    tab.select_option("#axis-y", label="hps (preference)")
    assert tab.locator("#plot .point").count() == 5
    assert tab.locator("#plot .point line").count() == 10
    assert tab.locator("#plot .region, #plot .front, #plot .beaten").count() == 0
    assert not tab.locator("#layers").is_visible()
    assert tab.locator("#plot-caption").text_content().startswith("Bars are 95 % intervals")


def test_regions_are_the_ellipses_of_their_covariance(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    plane = source.leaderboard.planes[0]
    point = next(p for p in plane.points if p.checkpoint == "kl-1")
    assert point.covariance is not None
    assert point.q is not None
    (xx, xy, yy), q = point.covariance, point.q
    # A step to the right and one upwards, in pixels, from where the numbers stand on the axes.
    across, up = (
        tab.evaluate(
            """([axis, position]) => {
                const texts = [...document.querySelectorAll("#plot .axes text:not(.title)")]
                    .filter((e) => e.getAttribute("text-anchor") === (axis ? "end" : "middle"));
                const [a, b] = [texts[0], texts.at(-1)];
                const at = (e) => Number(e.getAttribute(position));
                const value = (e) => Number(e.textContent.replace("−", "-"));
                return (at(b) - at(a)) / (value(b) - value(a));
            }""",
            [axis, position],
        )
        for axis, position in ((0, "x"), (1, "y"))
    )
    drawn = tab.locator("#plot > svg > .region[data-checkpoint='1']")
    rx, ry = (float(drawn.get_attribute(name) or "nan") for name in ("rx", "ry"))
    # Trace and determinant of the region in pixels, which no rotation changes.
    a, b, d = (q * v for v in (xx * across**2, xy * across * up, yy * up**2))
    assert rx**2 + ry**2 == pytest.approx(a + d, rel=1e-3)
    assert (rx * ry) ** 2 == pytest.approx(a * d - b * b, rel=1e-3)
    *_, angle = numbers(drawn.get_attribute("transform") or "")
    assert math.tan(2 * math.radians(angle)) == pytest.approx(2 * b / (a - d), rel=1e-2)


@pytest.fixture
def small(source: PageSource, tmp_path: Path) -> Path:
    """Three checkpoints whose front is known: the third is beaten on both axes."""
    places = [(10.0, 20.0, True, 0.9), (12.0, 19.0, True, 0.6), (9.0, 18.0, False, 0.0)]
    points = tuple(
        PlanePoint(source.leaderboard.rows[i].checkpoint.id, x, y, (0.01, 0.0, 0.01), 6.0, may, support)
        for i, (x, y, may, support) in zip(DRAWN, places, strict=True)
    )
    note = "base: hypervolume +1.2 [0.3, 2.1]."
    plane = Plane("lpips", "pickscore", points, (7.5, 16.25), (note,))
    return write_page(
        replace(source, leaderboard=replace(source.leaderboard, planes=(plane,))), tmp_path / "small.html"
    )


def test_what_is_off_the_front_is_pale_and_the_support_is_told(open_page: Open, small: Path) -> None:
    tab = open_page(file=small)
    beaten = tab.locator("#plot .point.beaten")
    assert [beaten.nth(i).get_attribute("data-checkpoint") for i in range(beaten.count())] == ["4"]
    assert "Pale points are off the Pareto front" in tab.locator("#plot-caption").text_content()
    labels = tab.locator("#plot .label").all_text_contents()
    assert {"base", "f_dpo reverse_kl, beta 1"} < set(labels)
    told = beaten.get_attribute("aria-label") or ""
    assert "is not on the Pareto front (95 %); support 0 %" in told


def test_the_line_of_the_front_goes_through_its_members_alone(open_page: Open, small: Path) -> None:
    tab = open_page(file=small)
    centres = []
    for i in (0, 1):
        target = tab.locator(f"#plot .point[data-checkpoint='{i}'] .target")
        centres += [float(target.get_attribute(name) or "nan") for name in ("cx", "cy")]
    (x0, y0, x1, y1) = centres
    *line, bottom = numbers(tab.locator("#plot .front").get_attribute("d") or "")
    assert line[1:] == pytest.approx([y0, y0, x0, y1, x1])
    assert bottom > y1


def test_notes_tell_hypervolumes_and_who_is_not_drawn(open_page: Open, small: Path) -> None:
    tab = open_page(file=small)
    notes = tab.locator("#front-notes li").all_text_contents()
    assert notes[0] == "base: hypervolume +1.2 [0.3, 2.1]."
    assert "Not drawn" in notes[1]
    assert len(notes) == 2
    assert tab.locator("#signature-line").text_content().endswith("|hv:lpips@7.5,pickscore@16.25")


def test_the_numbers_are_a_table_too(open_page: Open, small: Path) -> None:
    tab = open_page(file=small)
    tab.locator("#numbers summary").press("Enter")
    rows = tab.locator("#numbers-table tbody tr")
    assert rows.locator("td:nth-child(4)").all_text_contents() == ["90 %", "60 %", "0 %"]
    assert rows.locator("td:nth-child(5)").all_text_contents() == ["may be", "may be", "is not"]
    tab.fill("#filter-text", "kl-1")
    assert rows.count() == 2


def test_layers_can_be_hidden_and_stay_hidden(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    assert tab.locator("#plot .frontier").count() == 2
    names = [frontier.name for frontier in source.leaderboard.planes[0].frontiers]
    labels = tab.locator("#layers label bdi").all_text_contents()
    assert labels == ["95 % regions", "front of the means", *names]
    box = tab.locator("#layers input").nth(3)
    box.press("Space")
    assert not box.is_checked()
    assert tab.locator("#plot .frontier").count() == 1
    tab.locator("#layers input").nth(0).uncheck()
    assert tab.locator("#plot > svg > .region").count() == 0
    tab.locator("#layers input").nth(1).uncheck()
    assert tab.locator("#plot .front").count() == 0
    tab.select_option("#axis-x", label="vendi (diversity)")
    assert tab.locator("#plot .frontier").count() == 1
    assert tab.locator("#layers input:checked").count() == 1


def test_the_arrows_go_along_a_frontier(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    frontier = source.leaderboard.planes[0].frontiers[1]
    stops = tab.locator("#plot .frontier").nth(1).locator(".stop")
    # One stop for Tab, however many points.
    assert tab.locator("#plot .stop[tabindex='0']").count() == 2
    stops.first.focus()
    told = tab.locator("#tip .name")
    assert told.text_content() == f"{frontier.name}, step 0"
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert told.text_content() == f"{frontier.name}, step 2"
    assert f"pickscore {frontier.points[2].y:.1f}" in tab.locator("#tip").text_content()
    assert stops.nth(2).locator(".region").is_visible()
    assert stops.nth(2).get_attribute("tabindex") == "0"
    # The prompts did not turn.
    assert tab.locator("#prompt-state").text_content() == "Prompt 1 of 7"
    tab.mouse.move(0, 0)
    tab.mouse.move(*centre(tab, stops.nth(4)))
    assert told.text_content() == f"{frontier.name}, step 4"


def test_the_mark_in_focus_has_one_outline(open_page: Open) -> None:
    tab = open_page()
    tab.focus("#axis-x")
    for _ in range(20):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.matches('.point')"):
            break
    style = tab.locator("#plot .point.near").evaluate("e => getComputedStyle(e).outlineStyle")
    target = tab.locator("#plot .point.near .target").evaluate("e => getComputedStyle(e).strokeWidth")
    assert (style, target) == ("none", "3px")


def test_an_optimum_has_its_methods_colour_and_a_hollow_end(
    open_page: Open, source: PageSource, tmp_path: Path
) -> None:
    """What is hollow is dotted, says so, and does not widen the plot."""
    plane = source.leaderboard.planes[0]
    at = plane.points[0]
    steps = tuple(
        FrontierPoint(f"β {n}", at.x - 0.01 * n, at.y + 0.1 * n, effective_share=1 - 0.15 * n, hollow=n > 5)
        for n in range(7)
    )
    far = FrontierPoint("β 9", at.x - 900, at.y + 900, effective_share=0.05, hollow=True)
    lines = tuple(
        Frontier(f"{name}: optimum of pickscore", (*steps, far), name, "pickscore", 16)
        for name in ("reverse_kl", "chi2_kl")
    )
    drawn = replace(plane, frontiers=lines, front_notes=("kl-1 against the optimum: on it.",))
    board = replace(source.leaderboard, planes=(drawn,))
    tab = open_page(file=write_page(replace(source, leaderboard=board), tmp_path / "optima.html"))
    own, other = (tab.locator("#plot .frontier").nth(i) for i in (0, 1))
    method = tab.locator("#plot .point[data-checkpoint='1']").get_attribute("class").split()
    colour = next(word for word in method if word.startswith("m"))
    assert colour in own.get_attribute("class").split()
    assert colour not in other.get_attribute("class").split()
    inks = [
        part.evaluate("e => getComputedStyle(e).color")
        for part in (tab.locator("#plot .point[data-checkpoint='1']"), own, other)
    ]
    assert inks[0] == inks[1] != inks[2]
    assert "untrained" in other.get_attribute("class").split()
    assert "untrained" not in own.get_attribute("class").split()
    assert not any("optimum" in text for text in tab.locator("#plot .label").all_text_contents())
    for line in (own, other):
        assert len(line.locator(".line").get_attribute("points").split()) == 6
        assert len(line.locator(".thin").get_attribute("points").split()) == 2
        assert line.locator(".dot.hollow").count() == 1
        assert line.locator(".stop").count() == 7
    told = own.locator(".stop").last.get_attribute("aria-label")
    assert "effective sample size 10 % of the pool, too small to be read off" in told
    layers = tab.locator("#layers label").all_text_contents()
    assert any("reverse_kl: optimum of pickscore" in text for text in layers)
    assert "Lines named optimum" in tab.locator("#plot-caption").text_content()
    assert "on it." in tab.locator("#front-notes").text_content()

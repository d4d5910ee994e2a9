"""What takes a reader further: zoom, links to a view, files, hints, the keyboard after focus has moved."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.leaderboard.names import method_order
from benchmark.report import csv_text
from benchmark.report.curve_panels import RunCurves
from benchmark.report.finding import finding
from benchmark.report.page import PageSource, TrainingRun, write_page
from benchmark.report.palette import FAMILIAR, looks_of

Open = Callable[..., Any]


def names(tab: Any, part: str) -> list[str]:
    return [str(text) for text in tab.locator(part).all_text_contents()]


def test_the_finding_stands_first_and_is_the_tables(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    assert tab.locator("#finding").text_content() == finding(source.leaderboard)
    assert tab.locator("#plot-finding").text_content().removesuffix(".") in finding(source.leaderboard)


@pytest.mark.parametrize("width", [360, 820, 1440])
def test_the_pictures_are_within_a_screen_and_a_half(open_page: Open, width: int) -> None:
    tab = open_page(width=width)
    top = tab.evaluate("document.getElementById('pictures').getBoundingClientRect().top + scrollY")
    assert top < 1.5 * 900
    assert tab.evaluate("document.documentElement.scrollWidth") == width


# --- zoom -------------------------------------------------------------------------------------------


def test_a_picture_is_zoomed_beside_the_references_and_left_again(open_page: Open) -> None:
    tab = open_page()
    picture = tab.locator("#compare .zoom[data-at='1 0']")
    picture.click()
    assert tab.locator("#zoom").evaluate("e => e.open")
    shown = tab.locator("#zoom-pictures img")
    assert shown.count() == 2
    assert shown.nth(1).get_attribute("src") == picture.locator("img").get_attribute("src")
    assert names(tab, "#zoom-pictures .name") == ["base", "f_dpo reverse_kl, beta 1"]
    wide = [tab.locator(f"{part} img").last.bounding_box()["width"] for part in ("#compare", "#zoom")]
    assert wide[1] > 2 * wide[0]
    tab.keyboard.press("Escape")
    assert not tab.locator("#zoom").evaluate("e => e.open")
    assert picture.evaluate("e => e === document.activeElement")


def test_the_arrows_in_the_zoom_go_along_the_checkpoints_and_turn_no_prompt(open_page: Open) -> None:
    tab = open_page()
    picture = tab.locator("#compare .zoom[data-at='1 0']")
    picture.press("Enter")
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#zoom-title").text_content().startswith("f_dpo reverse_kl, beta 3")
    tab.keyboard.press("ArrowLeft")
    tab.keyboard.press("ArrowLeft")
    assert tab.locator("#zoom-title").text_content() == "base, k = 0"
    # The reference alone has nothing beside it.
    assert tab.locator("#zoom-pictures img").count() == 1
    tab.locator("#zoom-close").press("Enter")
    assert tab.locator("#prompt-state").text_content() == "Prompt 1 of 7"
    assert tab.evaluate("document.activeElement.dataset.at") == "0 0"


# --- links ------------------------------------------------------------------------------------------


def test_a_link_opens_the_same_prompt_filter_scorers_and_axes(open_page: Open, page_file: Path) -> None:
    tab = open_page()
    tab.select_option("#filter-objective", "f_dpo")
    tab.select_option("#columns", "all")
    tab.select_option("#axis-x", label="vendi (diversity)")
    tab.select_option("#prompt-tag", "count")
    tab.click("#next")
    tab.focus("#seed")
    tab.keyboard.press("ArrowRight")
    tab.click("#pictures .copy-link")
    address = tab.evaluate("location.href")
    assert address.startswith(f"{page_file.as_uri()}#")
    seen = [names(tab, part) for part in ("#board tbody th bdi", "#compare thead th", "#prompt-shown .id")]
    again = open_page(at=address.partition("#")[2])
    assert [
        names(again, part) for part in ("#board tbody th bdi", "#compare thead th", "#prompt-shown .id")
    ] == seen
    assert again.locator("#seed-value").text_content() == "1"
    assert again.locator("#plot .title").first.text_content() == "vendi → better"
    assert again.evaluate("location.href") == address
    # A checkpoint that was chosen by its point comes along as well.
    again.locator("#plot .point[data-checkpoint='1']").press("Enter")
    third = open_page(at=again.evaluate("location.hash")[1:])
    assert names(third, "#board tbody th bdi") == ["base", "f_dpo reverse_kl, beta 1"]


def test_a_link_to_what_is_not_here_shows_the_page_as_it_is(open_page: Open) -> None:
    plain = open_page()
    tab = open_page(at="prompt=gone&objective=kto&x=none&only=nobody&k=99&scorers=all")
    for part in ("#board tbody th bdi", "#prompt-shown .id", "#seed-value"):
        assert names(tab, part) == names(plain, part)
    assert tab.locator("#columns").input_value() == "all"


def test_the_parts_can_be_gone_to_without_losing_the_view(open_page: Open) -> None:
    tab = open_page()
    tab.click("#next")
    told = tab.evaluate("location.hash")
    assert told == "#prompt=p1"
    tab.locator("nav a", has_text="Signature").click()
    section = tab.locator("#signature-heading")
    for _ in range(600):
        if section.evaluate("e => e.getBoundingClientRect().top < innerHeight"):
            break
        tab.wait_for_timeout(100)
    assert section.evaluate("e => e.getBoundingClientRect().top < innerHeight")
    assert tab.evaluate("location.hash") == "#prompt=p1"


# --- files ------------------------------------------------------------------------------------------


def test_the_csv_is_the_commands_with_the_checkpoints_on_show(open_page: Open, source: PageSource) -> None:
    tab = open_page(accept_downloads=True)

    def downloaded() -> str:
        with tab.expect_download() as found:
            tab.click("#download")
        assert found.value.suggested_filename == "leaderboard.csv"
        return Path(found.value.path()).read_text("utf-8")

    assert downloaded() == csv_text(source.leaderboard)
    tab.fill("#filter-text", "kl-1")
    rows = list(csv.DictReader(io.StringIO(downloaded())))
    assert [row["checkpoint"] for row in rows] == ["base", "kl-1"]


# --- hints ------------------------------------------------------------------------------------------


def test_scorers_and_tags_say_what_they_mean_to_pointer_and_keyboard(
    open_page: Open, source: PageSource, tmp_path: Path
) -> None:
    sets = tuple(
        replace(
            images,
            prompt_set=replace(
                images.prompt_set,
                prompts=tuple(replace(p, tags=("open_5", *p.tags)) for p in images.prompt_set),
            ),
        )
        for images in source.image_sets
    )
    tab = open_page(file=write_page(replace(source, image_sets=sets), tmp_path / "tagged.html"))
    heading = tab.locator("#board thead button", has_text="lpips")
    heading.hover()
    hint = tab.locator("#hint")
    assert hint.is_visible()
    assert hint.text_content().startswith("Mean pairwise LPIPS among the images of one prompt.")
    assert "diversity, one number each prompt; higher is better" in hint.text_content()
    tab.mouse.move(0, 0)
    assert not hint.is_visible()
    tag = tab.locator("#prompt-shown .tag", has_text="open_5")
    tag.focus()
    assert hint.is_visible()
    assert "leaves 5 facts open" in hint.text_content()
    assert tag.get_attribute("aria-describedby") == "hint"
    box = hint.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280
    tab.keyboard.press("Escape")
    assert not hint.is_visible()


# --- the keyboard after focus has moved -------------------------------------------------------------


def test_arrows_turn_the_prompts_wherever_they_mean_nothing_else(
    open_page: Open,
) -> None:
    tab = open_page()
    state = tab.locator("#prompt-state")
    tab.locator("#next").press("Enter")
    tab.keyboard.press("ArrowRight")
    assert state.text_content() == "Prompt 3 of 7"
    # At a picture: the prompt turns and the place among the pictures stays.
    tab.focus("#compare .zoom[data-at='2 0']")
    tab.keyboard.press("ArrowRight")
    assert state.text_content() == "Prompt 4 of 7"
    assert tab.evaluate("document.activeElement.dataset.at") == "2 0"
    # After a filter was let go, focus is in its field, where the arrows belong to the text.
    tab.fill("#filter-text", "kl")
    tab.click("#filter-clear")
    assert tab.evaluate("document.activeElement.id") == "filter-text"
    tab.keyboard.press("ArrowRight")
    assert state.text_content() == "Prompt 4 of 7"
    # A box that scrolls keeps its arrows.
    tab.locator("#leaderboard .wide").focus()
    tab.keyboard.press("ArrowRight")
    assert state.text_content() == "Prompt 4 of 7"
    # After a sort the button is still there, and Tab goes on from it.
    tab.locator("#board thead button").first.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('#board thead') !== null")


def test_focus_that_loses_its_picture_stays_among_the_pictures(open_page: Open) -> None:
    tab = open_page()
    # Of the second prompt one image was not made.
    tab.focus("#compare .zoom[data-at='3 0']")
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#prompt-state").text_content() == "Prompt 2 of 7"
    assert tab.evaluate("document.activeElement.id") == "compare"


# --- colours and curves -----------------------------------------------------------------------------


def test_methods_have_the_colours_of_the_figures(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    board = source.leaderboard
    methods = method_order([row.checkpoint for row in board.rows], board.reference)
    assert names(tab, "#legend li bdi") == [board.reference, *methods]
    shown = tab.locator("#legend li svg").evaluate_all("all => all.map((e) => getComputedStyle(e).color)")
    looks = looks_of(methods)
    wanted = [looks[method][0] for method in methods]
    assert shown[1:] == [f"rgb({int(c[1:3], 16)}, {int(c[3:5], 16)}, {int(c[5:7], 16)})" for c in wanted]
    assert len(set(wanted)) == len(methods)


def test_training_curves_are_drawn_in_their_methods_colours(
    open_page: Open, source: PageSource, tmp_path: Path
) -> None:
    lines = [{"step": n, "loss": 1 / n, "winner/s_mean": n, "loser/s_mean": -n} for n in range(1, 301)]
    runs = (
        TrainingRun("f_dpo reverse_kl", RunCurves("kl-1", lines)),
        TrainingRun("kto", RunCurves("elsewhere", lines[:5])),
    )
    tab = open_page(file=write_page(replace(source, training=runs), tmp_path / "curves.html"))
    assert names(tab, "#curves-legend bdi") == ["kl-1", "elsewhere"]
    assert names(tab, "#curves figcaption") == ["training loss", "log-ratio s [nats]"]
    first = tab.locator("#curves figure").first
    assert first.locator("polyline").count() == 2
    assert len(first.locator("polyline").first.get_attribute("points").split()) == 120
    assert tab.locator("#curves .loser").count() == 2
    assert (
        f"m{FAMILIAR.index('f_dpo reverse_kl')}"
        in first.locator(".curve").first.get_attribute("class").split()
    )
    assert "m-base" in first.locator(".curve").last.get_attribute("class").split()
    bare = open_page()
    assert not bare.locator("#training").is_visible()
    assert not bare.locator("#training-link").is_visible()

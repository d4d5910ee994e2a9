"""The page as its readers use it, by pointer and by keyboard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.report.page import PageSource, write_page
from benchmark.report.sections import signature_of

Open = Callable[..., Any]


def row_names(tab: Any) -> list[str]:
    return [str(text) for text in tab.locator("#board tbody th bdi:first-child").all_text_contents()]


def shown_columns(tab: Any) -> list[str]:
    return [str(text) for text in tab.locator("#compare thead th[scope=col]").all_text_contents()]


def header(tab: Any, name: str) -> Any:
    return tab.locator("#board th[data-key]", has=tab.locator("button", has_text=name)).first


# --- leaderboard ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scorer", ["pickscore", "kid"])
def test_a_heading_sorts_best_first_then_worst_then_as_evaluated(
    open_page: Open, source: PageSource, scorer: str
) -> None:
    tab = open_page()
    tab.select_option("#columns", "all")
    board = source.leaderboard
    before = row_names(tab)
    (at,) = [i for i, column in enumerate(board.columns) if column.name == scorer]
    higher = board.columns[at].higher_is_better
    means = {name: row.cells[at].mean for name, row in zip(before, board.rows, strict=True)}
    best_first = sorted(before, key=lambda name: means[name] or 0.0, reverse=higher)
    button = header(tab, scorer).locator("button")
    button.click()
    assert row_names(tab) == best_first
    assert header(tab, scorer).get_attribute("aria-sort") == ("descending" if higher else "ascending")
    # The button is still there, and the keyboard does as the pointer does.
    button.press("Enter")
    assert row_names(tab) == best_first[::-1]
    assert header(tab, scorer).get_attribute("aria-sort") == ("ascending" if higher else "descending")
    button.press("Space")
    assert row_names(tab) == before
    assert tab.locator("#board [aria-sort]").count() == 0
    header(tab, "beta").locator("button").click()
    assert tab.locator("#board tbody tr").last.locator("td").nth(2).text_content() == "–"


def test_filters_narrow_every_part_and_let_go(open_page: Open) -> None:
    tab = open_page()
    everyone = row_names(tab)
    tab.fill("#filter-text", "KL")
    # The reference stays, whatever the filter.
    assert row_names(tab) == shown_columns(tab) == everyone[:3]
    # One of the two lacks too many numbers to be drawn.
    assert tab.locator("#plot .point:not(.faded)").count() == 2
    assert tab.locator("#filter-state").text_content() == "3 of 5 checkpoints shown, the reference always."
    tab.fill("#filter-text", "no such")
    assert row_names(tab) == everyone[:1]
    assert "No checkpoint fits the filter" in tab.locator("#filter-state").text_content()
    tab.click("#filter-clear")
    assert row_names(tab) == everyone
    tab.select_option("#filter-objective", "f_dpo")
    assert row_names(tab) == everyone[:3]
    tab.select_option("#filter-divergence", "(none)")
    assert row_names(tab) == everyone[:1]
    tab.select_option("#filter-objective", "")
    assert row_names(tab) == [everyone[0], everyone[4]]


def test_costs_stand_with_the_rest_or_alone_and_sort(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    names = row_names(tab)
    tab.select_option("#columns", "all")
    assert header(tab, "train s").is_visible()
    tab.select_option("#columns", "cost")
    assert tab.locator("#board thead th.number button").all_text_contents() == [
        "missing", "train s", "eval s", "memory GB",
    ]  # fmt: skip
    assert tab.locator("#board tbody tr").nth(1).locator("td.number").all_text_contents() == [
        "0", "660", "91.0", "4.10",
    ]  # fmt: skip
    header(tab, "train s").locator("button").press("Enter")
    # Least first, and what is not known last.
    assert row_names(tab) == [*names[1:], names[0]]
    assert tab.locator("#board tbody tr").last.locator("td.number").nth(1).text_content() == "–"
    tab.select_option("#columns", "primary")
    assert tab.locator("#board thead", has_text="train s").count() == 0


def test_scorers_can_be_fewer_and_say_more(open_page: Open) -> None:
    tab = open_page()
    tab.select_option("#columns", "diversity")
    assert tab.locator("#board thead th.number button").all_text_contents() == [
        "lpips ↑, higher is better",
        "vendi ↑, higher is better",
        "missing",
    ]
    assert "p = " not in tab.locator("#board tbody").text_content()
    tab.check("#details")
    told = tab.locator("#board tbody").text_content().replace("p < 0.001", "p = ")
    # Which of the two is adjusted stands with it.
    assert told.count("p = ") == told.count(" adjusted") > 0


# --- pictures ---------------------------------------------------------------------------------------


def test_prompts_turn_by_buttons_arrows_and_choice(open_page: Open) -> None:
    tab = open_page()
    state = tab.locator("#prompt-state")
    assert state.text_content() == "Prompt 1 of 7"
    tab.click("#next")
    tab.keyboard.press("ArrowRight")
    assert state.text_content() == "Prompt 3 of 7"
    tab.click("#previous")
    tab.locator("body").press("ArrowLeft")
    tab.locator("body").press("ArrowLeft")
    assert state.text_content() == "Prompt 7 of 7"
    tab.select_option("#prompt-choice", "5")
    assert tab.locator("#prompt-shown .text").text_content() == "a heart"
    # In a text field the arrows belong to the text.
    tab.locator("#prompt-text").press("ArrowLeft")
    assert state.text_content() == "Prompt 6 of 7"


def test_prompts_are_found_by_text_tag_and_difference(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    tab.fill("#prompt-text", "<SCRIPT>")
    assert tab.locator("#prompt-choice option").count() == 1
    tab.fill("#prompt-text", "no such prompt")
    assert tab.locator("#prompt-state").text_content() == "No prompt fits."
    assert tab.locator("#next").is_disabled()
    tab.fill("#prompt-text", "")
    tab.select_option("#prompt-tag", "count")
    assert tab.locator("#prompt-choice option").count() == 3
    tab.select_option("#prompt-tag", "")
    tab.select_option("#prompt-order", label="lpips most apart")
    rows = source.table.rows
    spread = rows[rows["scorer"] == "lpips"].groupby("prompt_id")["value"].agg(lambda v: v.max() - v.min())
    assert str(spread.idxmax()) in tab.locator("#prompt-shown .id").text_content()


def test_pictures_stand_side_by_side_with_scores_and_winner(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    tab.select_option("#columns", "all")
    assert tab.locator("#compare img").count() == len(source.image_sets)
    # Only what is shown is in the document.
    assert tab.locator("img").count() == len(source.image_sets)
    assert tab.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth === 64)")
    rows = source.table.rows
    here = rows[(rows["scorer"] == "hps") & (rows["prompt_id"] == "p0") & (rows["seed"] == 0)]
    cells = tab.locator("#compare tbody tr", has_text="hps").locator("td")
    shown = cells.all_text_contents()
    for text, value in zip(shown, here["value"], strict=True):
        assert float(text.split("★")[0].replace("−", "-")) == pytest.approx(value, abs=0.01)
    assert [i for i, text in enumerate(shown) if "★ won" in text] == [int(here["value"].argmax())]
    tab.fill("#filter-text", "kl")
    assert tab.locator("#compare img").count() == 3


def test_prompts_without_pictures_say_so_and_can_be_passed_over(
    open_page: Open, source: PageSource, tmp_path: Path
) -> None:
    tab = open_page(file=write_page(source, tmp_path / "short.html", megabytes=0.03))
    assert tab.locator("#pictures-note").text_content().startswith("To take at most 0.03 MB, this page holds")
    tab.check("#drawn")
    some = tab.locator("#prompt-choice option").count()
    assert 0 < some < 7
    for _ in range(some):
        assert tab.locator("#compare img").count() > 0
        tab.click("#next")
    tab.uncheck("#drawn")
    tab.fill("#prompt-text", "very long")
    assert tab.locator("#compare .gone").first.text_content() == "left out of this page"


def test_the_slider_goes_through_the_seeds(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    first = tab.locator("#compare img").first.get_attribute("src")
    tab.focus("#seed")
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#seed-value").text_content() == "1"
    assert tab.locator("#prompt-state").text_content() == "Prompt 1 of 7"
    assert tab.locator("#compare img").first.get_attribute("src") != first
    tab.check("#all-seeds")
    assert tab.locator("#compare img").count() == 3 * len(source.image_sets)


def test_what_is_missing_is_shown_where_it_is_missing(open_page: Open) -> None:
    tab = open_page()
    assert tab.locator("#missing-state").text_content() == "12 rows have no value."
    assert tab.locator("#missing-rows tbody tr").count() == 3
    tab.click("#next")
    assert tab.locator("#compare .gone").text_content() == "the device ran out of memory"
    assert tab.locator("#compare img").count() == 4
    assert "–" in tab.locator("#compare tbody tr").first.text_content()
    assert "– no value: the scorer" in tab.locator("#compare caption").text_content()
    tab.click("#previous")
    assert "no value" not in tab.locator("#compare caption").text_content()


def test_manifests_and_signature_are_there(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    assert tab.locator("#signature-line").text_content() == signature_of(source.leaderboard)
    assert tab.locator(".manifest").count() == 2
    tab.locator(".manifest > summary").first.press("Enter")
    assert tab.locator(".manifest dd").first.text_content() == "not ended when this page was written"
    assert "A note </script>" in tab.locator("#pictures-note").text_content()

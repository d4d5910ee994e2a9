"""The page on every screen, with hostile texts: nothing runs, nothing breaks, everything can be read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.leaderboard import build_leaderboard
from benchmark.report.page import PageSource, write_page
from tools.simulated_tables import CHECKPOINTS, COLUMNS, simulated_table

Open = Callable[..., Any]


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_can_be_read(open_page: Open, width: int, theme: str) -> None:
    tab = open_page(width=width, color_scheme=theme)
    for _ in range(7):
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.click("#next")
    assert tab.evaluate(LOW_CONTRAST) == []


LOW_CONTRAST = """() => {
    const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const behind = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const colour = parse(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const low = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !element.checkVisibility() || element.closest("script, style, noscript")) continue;
        const style = getComputedStyle(element);
        const ink = parse(element instanceof SVGElement ? style.fill : style.color);
        const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${element.tagName} ${element.textContent}`);
    }
    return low;
}"""


def test_texts_from_outside_are_texts(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    shown = [tab.locator("#prompt-shown .text").text_content()]
    for _ in range(6):
        tab.click("#next")
        shown.append(tab.locator("#prompt-shown .text").text_content())
    assert shown == [prompt.text for prompt in source.image_sets[0].prompt_set]
    assert tab.locator("#prompt-choice option").count() == 7
    assert "<script>alert(1)" in tab.locator("#manifest-list").text_content()
    assert tab.locator("img[src=x], main script, b").count() == 0
    # Text that is written from the right stays within itself.
    assert tab.evaluate(
        "[...document.querySelectorAll('#board bdi')]"
        ".every((e) => getComputedStyle(e).unicodeBidi === 'isolate')"
    )


def test_even_a_script_that_got_in_could_not_act(open_page: Open) -> None:
    tab = open_page(expected=False)
    tab.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.acted = true";
        document.body.append(script);
        const own = "<p id=own onclick='window.acted = true'>x</p>";
        document.body.insertAdjacentHTML("beforeend", own);
        document.getElementById("own").click();
        new Image().src = "https://example.org/leak.png";
        return fetch("https://example.org/leak").catch(() => null);
    }""")
    assert tab.evaluate("window.acted") is None


def test_parts_have_names_and_ids_are_unique(open_page: Open) -> None:
    tab = open_page()
    faults = """() => {
        const all = (selector) => [...document.querySelectorAll(selector)];
        const ids = all("[id]").map((e) => e.id);
        return [
            ...all("input, select").filter((e) => !e.labels.length).map((e) => `no label: ${e.id}`),
            ...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `twice: ${id}`),
            ...all("th").filter((e) => !e.scope).map((e) => `no scope: ${e.textContent}`),
            ...[...document.images].filter((e) => !e.alt).map(() => "no alt"),
        ];
    }"""
    assert tab.evaluate(faults) == []
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "leaderboard"


def test_everything_is_reached_by_tab(open_page: Open) -> None:
    tab = open_page()
    tab.evaluate("""() => {
        const all = document.querySelectorAll("a[href], input, select, button, summary, [tabindex='0']");
        const open = [...all].filter((e) => e.checkVisibility() && !e.disabled);
        open.forEach((e, i) => { e.dataset.stop = i; });
    }""")
    wanted = tab.locator("[data-stop]").count()
    reached = set()
    for _ in range(wanted + 2):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.dataset.stop ?? document.activeElement.tagName"))
    missed = {str(i) for i in range(wanted)} - reached
    assert [tab.locator(f"[data-stop='{i}']").evaluate("e => e.outerHTML.slice(0, 80)") for i in missed] == []


def test_print_has_the_tables_and_not_the_controls(open_page: Open) -> None:
    tab = open_page()
    tab.emulate_media(media="print")
    assert not tab.locator("#filter").is_visible()
    assert not tab.locator("#next").is_visible()
    assert tab.locator("#board thead", has_text="clip").is_visible()


def test_one_checkpoint_one_scorer_and_nothing_else_is_a_page(open_page: Open, tmp_path: Path) -> None:
    table = simulated_table(columns=COLUMNS[2:3], checkpoints=CHECKPOINTS[:1], n_prompts=4)
    source = PageSource(build_leaderboard([table], resamples=99), table)
    tab = open_page(file=write_page(source, tmp_path / "small.html"))
    assert tab.locator("#trade-off-none").is_visible()
    assert tab.locator("#board tbody tr").count() == 1
    assert tab.locator("#compare .gone").text_content() == "no picture"
    assert tab.locator("#missing-state").text_content() == "No row is missing."
    assert "No manifest" in tab.locator("#manifest-list").text_content()

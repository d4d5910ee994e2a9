"""The hacking index and the breakdown by tag on the page."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.core.records import Gap, TagCell
from benchmark.report.page import PageSource, write_page

Open = Callable[..., Any]


def signed(value: float) -> str:
    return "0.00" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "−")


def test_gaps_are_the_leaderboards_and_sort(open_page: Open, source: PageSource) -> None:
    tab = open_page()
    values = [gap.value for gap in source.leaderboard.gaps]
    rows = tab.locator("#gaps tbody tr")
    shown = rows.locator("td .mean")
    assert shown.all_text_contents() == [signed(v) for v in values]
    assert tab.locator("#gaps thead th").last.text_content() == (
        "hacking indexpickscore − mean of hps, imagereward"
    )
    tab.locator("#gaps thead button").last.press("Enter")
    assert shown.all_text_contents() == [signed(v) for v in sorted(values)]
    assert tab.locator("#gaps thead th").last.get_attribute("aria-sort") == "ascending"
    tab.fill("#filter-text", "kl")
    assert rows.count() == 2
    tab.fill("#filter-text", "base")
    assert rows.text_content() == "No checkpoint with a gap fits the filter."


def test_each_truth_is_explained_and_a_sure_gap_is_marked(
    open_page: Open, source: PageSource, tmp_path: Path
) -> None:
    gaps = (
        Gap("kl-1", "proxy gap", "pickscore", ("true_reward",), 0.5, 0.2, 0.8),
        Gap("kl-1", "taste transfer", "true_reward", ("true_reward_heldout",), -0.004, -0.1, 0.09),
        Gap("kl-1", "content loss", "", ("oracle",), 0.1, None, None),
        Gap("kl-3", "proxy gap", "pickscore", ("true_reward",), 0.1, -0.1, 0.3),
    )
    changed = replace(source, leaderboard=replace(source.leaderboard, gaps=gaps))
    tab = open_page(file=write_page(changed, tmp_path / "gaps.html"))
    assert tab.locator("#hacking-what strong").all_text_contents() == [
        "proxy gap", "taste transfer", "content loss",
    ]  # fmt: skip
    first, second = (tab.locator("#gaps tbody tr").nth(i).locator("td") for i in (0, 1))
    assert first.all_text_contents() == ["+0.50▲ above 0[0.20, 0.80]", "0.00[−0.10, 0.09]", "+0.10"]
    assert second.all_text_contents() == ["+0.10[−0.10, 0.30]", "–", "–"]
    assert tab.locator("#gaps thead small").last.text_content() == "− oracle"


def test_tags_are_chosen_by_scorer_or_by_tag(open_page: Open, source: PageSource, tmp_path: Path) -> None:
    cells = tuple(
        TagCell(tag, scorer, id_, 3, 20.0 + t, None if id_ == "base" else 1.5 * sign, *ends)
        for t, tag in enumerate(("colour", "count"))
        for scorer in ("pickscore", "lpips")
        for id_, sign, ends in (("base", 0, (None, None)), ("kl-1", 1, (0.5, 2.5)), ("kl-3", -1, (-2.5, 0.5)))
    )
    changed = replace(source, leaderboard=replace(source.leaderboard, by_tag=cells))
    tab = open_page(file=write_page(changed, tmp_path / "tags.html"))
    rows = tab.locator("#tag-table tbody tr")
    assert rows.locator("th").all_text_contents() == ["colour3 prompts", "count3 prompts"]
    assert rows.first.locator("td").all_text_contents() == [
        "20.0", "20.0▲ better than the reference+1.5 [0.5, 2.5]", "20.0−1.5 [−2.5, 0.5]", "–", "–",
    ]  # fmt: skip
    tab.select_option("#tag-choice", label="count")
    assert rows.locator("th").all_text_contents() == ["pickscore ↑3 prompts", "lpips ↑3 prompts"]
    assert rows.first.locator("td .mean").all_text_contents() == ["21.0"] * 3
    tab.fill("#filter-text", "kl-1")
    assert rows.first.locator("td").count() == 2


def test_tags_come_from_the_prompts_where_the_leaderboard_has_none(
    open_page: Open, source: PageSource
) -> None:
    assert not source.leaderboard.by_tag
    tab = open_page()
    tags = {tag for prompt in source.image_sets[0].prompt_set for tag in prompt.tags} | {"style: sketch"}
    shown = tab.locator("#tag-table tbody th bdi").all_text_contents()
    assert shown == sorted(tags)
    tab.select_option("#tag-choice", label="pickscore")
    rows = source.table.rows
    own = rows[(rows.scorer == "pickscore") & (rows.checkpoint == "base")]
    own = own[own.prompt_id.isin(["p0", "p1", "p5"])]
    mean = own.groupby("prompt_id")["value"].mean().mean()
    count = tab.locator("#tag-table tbody tr", has=tab.locator("th", has_text="count"))
    assert float(count.locator("td .mean").first.text_content()) == round(mean, 1)


def test_without_gaps_and_tags_the_page_says_so(open_page: Open, source: PageSource, tmp_path: Path) -> None:
    bare = PageSource(replace(source.leaderboard, gaps=()), source.table)
    tab = open_page(file=write_page(bare, tmp_path / "bare.html"))
    assert tab.locator("#hacking-none").is_visible()
    assert tab.locator("#tags-none").is_visible()
    assert not tab.locator("#gaps").is_visible()
    assert not tab.locator("#tag-table").is_visible()

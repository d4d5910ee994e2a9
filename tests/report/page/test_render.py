"""Laws of the page's file: complete, closed, the same every time, no larger than asked for."""

import base64
import hashlib
import json
import re
from functools import partial
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark.core.records import ImageSet, Prompt
from benchmark.report import page as package
from benchmark.report.page import PageSource, page_html
from benchmark.report.page.content import plan_of
from benchmark.report.page.pictures import Pictures, pictures_of
from benchmark.report.page.render import palette_css, safe_json
from benchmark.report.sections import signature_of
from tools.bench.report_page import random_checkpoints, random_source

ASSETS = Path(package.__file__).parent / "assets"


class Parts(HTMLParser):
    """The scripts, styles and attributes of a page, as a browser's parser would divide it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.inside = ""
        self.texts: list[tuple[str, dict[str, str | None], str]] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag in ("script", "style"):
            self.inside = tag
            self.texts.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            tag, attrs, text = self.texts[-1]
            self.texts[-1] = (tag, attrs, text + data)


@pytest.fixture(scope="module")
def parts(page_file: Path) -> Parts:
    return Parts(page_file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def content(parts: Parts) -> dict[str, Any]:
    (text,) = [text for _, attrs, text in parts.texts if attrs.get("id") == "content"]
    return dict(json.loads(text))


def test_only_our_own_script_and_style_may_act(parts: Parts) -> None:
    acting = [(tag, text) for tag, attrs, text in parts.texts if attrs.get("type") != "application/json"]
    assert [tag for tag, _ in acting] == ["style", "script"]
    policy = next(
        value for _, name, value in parts.attributes if name == "content" and "default-src" in (value or "")
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for tag, text in acting:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_nothing_points_outside_and_nothing_acts_in_an_attribute(parts: Parts) -> None:
    for tag, name, value in parts.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name != "style", tag
        if name in ("src", "href", "srcset", "action", "data"):
            assert (value or "").startswith(("#", "data:")), (tag, name, value)


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    parts = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_stand_out_as_wcag_asks(theme: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", (ASSETS / "page.css").read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6});", blocks[theme]))
    # Fills are those of the figures; what is seen of a mark on any ground is its edge.
    edges = re.findall(r":root \{ (.*?) \}", palette_css(), re.DOTALL)
    colours |= dict(re.findall(r"--(e\d): (#[0-9a-f]{6});", edges[theme]))

    def contrast(one: str, other: str) -> float:
        low, high = sorted((luminance(colours[one]), luminance(colours[other])))
        return (high + 0.05) / (low + 0.05)

    # AA: 4.5 for text (1.4.3), 3 for what a picture or a control needs to be understood (1.4.11).
    for text in ("ink", "muted", "link", "good", "bad"):
        assert min(contrast(text, "paper"), contrast(text, "tint")) >= 4.5, text
    for mark in ("focus", *(f"e{i}" for i in range(8))):
        assert contrast(mark, "paper") >= 3.0, mark


def test_scripts_make_no_markup_from_text() -> None:
    for path in ASSETS.glob("*.js"):
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\s*\(|new Function|DOMParser|"
            r"fetch\(|XMLHttpRequest|import\(|createContextualFragment|srcdoc|localStorage",
            path.read_text(encoding="utf-8"),
        )
        assert found == [], path.name


@pytest.mark.parametrize(
    "text", ["</script>", "<!--<script>", "a&b", "\u2028\u2029", "\udcff", "ü中", "\\u003c"]
)
def test_json_comes_back_and_cannot_end_its_element(text: str) -> None:
    safe = safe_json([text, {text: 1}])
    assert safe.isascii()
    assert not set("<>&") & set(safe)
    assert json.loads(safe) == [text, {text: 1}]


def test_the_page_says_what_the_leaderboard_says(content: dict[str, Any], source: PageSource) -> None:
    board = source.leaderboard
    assert (content["suite"], content["signature"], content["reference"]) == (
        board.suite,
        signature_of(board),
        board.reference,
    )
    assert [c["id"] for c in content["checkpoints"]] == [row.checkpoint.id for row in board.rows]
    for shown, row in zip(content["checkpoints"], board.rows, strict=True):
        for cell, known in zip(shown["cells"], row.cells, strict=True):
            assert (cell["mean"], cell["lo"], cell["hi"]) == (known.mean, known.lo, known.hi)
            assert (cell["diff"], cell["p"], cell["group"]) == (known.difference, known.p_value, known.group)
    assert [p["text"] for p in content["prompts"]] == [p.text for p in source.image_sets[0].prompt_set]


def test_every_score_stands_at_its_place(content: dict[str, Any], source: PageSource) -> None:
    at = {c["id"]: i for i, c in enumerate(content["checkpoints"])}
    prompt = {p["id"]: i for i, p in enumerate(content["prompts"])}
    names = [scorer["name"] for scorer in content["scorers"]]
    seen = 0
    for row in source.table.rows.itertuples():
        scores = content["scores"][names.index(row.scorer)]
        if scores is None:
            continue
        value = scores[at[row.checkpoint]][prompt[row.prompt_id]]
        value = value if isinstance(value, float) else value[int(str(row.seed))]
        if row.status == "ok":
            assert value == pytest.approx(row.value, abs=0.01)
        else:
            assert value is None
        seen += 1
    assert seen == 5 * (4 * 7 * 3 + 2 * 7)


def test_every_missing_row_is_told(content: dict[str, Any], source: PageSource) -> None:
    gaps = source.table.rows[source.table.rows["status"] != "ok"]
    assert sum(len(entry["scorers"]) for entry in content["missing"]) == len(gaps) == 12
    # One cause, one line: an image that was not made costs every scorer its number.
    assert len(content["missing"]) == 3


def test_equal_input_gives_an_equal_page(source: PageSource, page_file: Path) -> None:
    assert page_html(source) == page_file.read_text(encoding="utf-8")


def test_a_page_without_pictures_and_manifests_is_a_page(source: PageSource) -> None:
    bare = Parts(page_html(PageSource(source.leaderboard, source.table)))
    assert [attrs["id"] for _, attrs, _ in bare.texts if "id" in attrs] == ["content"]


# --- pictures -----------------------------------------------------------------------------------


def size(blocks: dict[int, str]) -> int:
    return sum(
        len(text) for block in blocks.values() for row in json.loads(block) for text in row or () if text
    )


def held(blocks: dict[int, str]) -> set[tuple[int, int, int]]:
    return {
        (p, k, c)
        for p, block in blocks.items()
        for k, row in enumerate(json.loads(block))
        for c, text in enumerate(row or ())
        if text
    }


def test_pictures_stay_below_their_limit_and_a_larger_one_holds_more(source: PageSource) -> None:
    plan = plan_of(source)
    whole = pictures_of(source.image_sets, plan.checkpoints, plan.prompts, plan.seeds)
    assert (whole.note, whole.kept, whole.total) == ("", 102, 102)
    before: set[tuple[int, int, int]] = set()
    for share in (0.2, 0.5, 0.8):
        room = share * size(whole.blocks) / 1e6
        some = pictures_of(source.image_sets, plan.checkpoints, plan.prompts, plan.seeds, room)
        now = held(some.blocks)
        assert size(some.blocks) <= room * 1e6
        assert before < now < held(whole.blocks)
        assert len(now) == some.kept
        assert f"holds {some.kept} of 102 pictures: k = 0 of" in some.note
        # The first k of every prompt before the second of any.
        if any(k == 1 for _, k, _ in now):
            assert {p for p, k, _ in now if k == 0} == set(range(7))
        before = now
    none = pictures_of(source.image_sets, plan.checkpoints, plan.prompts, plan.seeds, 0)
    assert (none.blocks, none.kept) == ({}, 0)
    assert none.note


def test_pictures_are_as_large_as_there_is_room_for_all(tmp_path: Path) -> None:
    prompts = tuple(Prompt(f"p{i}", f"prompt {i}") for i in range(6))
    source = random_source(tmp_path, random_checkpoints(3), prompts, 2, side=300, resamples=99)
    plan = plan_of(source)

    def drawn(megabytes: float) -> tuple[Pictures, set[int]]:
        found = pictures_of(source.image_sets, plan.checkpoints, plan.prompts, plan.seeds, megabytes)
        encoded = [one for block in found.blocks.values() for row in json.loads(block) for one in row or ()]
        sizes = {max(Image.open(BytesIO(base64.b64decode(one))).size) for one in encoded}
        return found, sizes

    whole, sizes = drawn(64)
    # Below 512 they are as they were made.
    assert (sizes, whole.side, whole.made, whole.note) == ({300}, 0, 0, "")
    room = size(whole.blocks) / 1e6
    middle, sizes = drawn(room)
    assert (sizes, middle.side, middle.made, middle.kept) == ({256}, 256, 300, whole.kept)
    least, sizes = drawn(0.02 * room)
    assert (sizes, least.side) == ({128}, 128)
    assert least.note
    assert size(least.blocks) <= 0.02 * room * 1e6


def _note(told: list[tuple[int, int]], done: int, total: int) -> None:
    told.append((done, total))


def test_the_end_is_told_once_however_many_pictures_are_kept(source: PageSource) -> None:
    plan = plan_of(source)
    for megabytes in (64.0, 0.02):
        told: list[tuple[int, int]] = []
        found = pictures_of(
            source.image_sets, plan.checkpoints, plan.prompts, plan.seeds, megabytes,
            partial(_note, told),
        )  # fmt: skip
        assert [(done, total) for done, total in told if done == total] == [(found.kept, found.kept)]


def test_a_picture_that_was_changed_is_a_fault_and_not_shown(source: PageSource, tmp_path: Path) -> None:
    from dataclasses import replace

    first = source.image_sets[0]
    records = (replace(first.records[0], sha256="0" * 64), *first.records[1:])
    changed: ImageSet = replace(first, records=records)
    plan = plan_of(source)
    found = pictures_of([changed], plan.checkpoints, plan.prompts, plan.seeds)
    ((c, p, k, note),) = found.faults
    assert (c, p, k) == (0, 0, 0)
    assert "content has changed" in note
    assert (0, 0, 0) not in held(found.blocks)

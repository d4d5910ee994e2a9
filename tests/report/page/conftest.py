"""A page of hostile texts and random numbers, and a browser that lets nothing leave the file."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.manifest import Manifest
from benchmark.core.records import Checkpoint, Prompt
from benchmark.report.page import PageSource, write_page
from tools.bench.report_page import browser, random_source

ATTACK = "</script><script>alert(1)</script>"
TAG = "<img src=x onerror=alert(2)>\"'`"
PROMPTS = (
    Prompt("p0", "two red stars on sand", ("count", "colour")),
    Prompt("p1", ATTACK, ("count", TAG)),
    Prompt("p2", "قطة حمراء \u202e reversed <b>bold</b> חתול", ("colour",)),
    Prompt("p3", "very long " * 500, ("length",)),
    Prompt("p4", f"{TAG} \u2028 \u2029 &amp; &lt; \\u003c ${{x}} --> <!-- ]]>"),
    Prompt("p5", "a heart", ("count",), "sketch"),
    Prompt("p6", "a" * 5000),
)
CHECKPOINTS = (
    Checkpoint("base", "random"),
    Checkpoint("kl-1", "random", "f_dpo", "reverse_kl", {"beta": 1.0}, 200),
    Checkpoint("kl-3", "random", "f_dpo", "reverse_kl", {"beta": 3.0}, 200),
    Checkpoint(TAG, "random", "rpo", f"expr:{ATTACK}", {"beta": 1.0}, 200),
    Checkpoint("שלום \u202eevil\"'", "random", "sft", None, {}, 100),
)
FAILED = ((3, 1, 0), (3, 1, 1), (2, 4, 1))


@pytest.fixture(scope="package")
def source(tmp_path_factory: pytest.TempPathFactory) -> PageSource:
    folder = tmp_path_factory.mktemp("pictures")
    made = random_source(
        folder, CHECKPOINTS, PROMPTS, 3, failed=FAILED, frontiers=("guidance", TAG), resamples=99
    )
    manifests = (
        Manifest(kind="eval", command=f"fbench eval {ATTACK}", config={"out": TAG}),
        Manifest(
            kind="train", command="fbench train", ended_at="2026-01-01T00:00:00+00:00", status="success"
        ),
    )
    return replace(made, manifests=manifests, notes=(f"A note {ATTACK}.",))


@pytest.fixture(scope="package")
def page_file(source: PageSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(source, tmp_path_factory.mktemp("page") / 'a page\'s "report".html')


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """One headless browser for all tests of this folder."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="the extra page (playwright) is not installed"
    )
    program = browser()
    if program is None:
        pytest.skip("no Chromium or Chrome is installed (apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(chromium: Any, page_file: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page: ``open_page(width=360, color_scheme="dark")``; at the end nothing has gone wrong."""
    contexts, wrong = [], list[str]()

    def note(route: Any) -> None:
        url = route.request.url
        if url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            wrong.append(f"asked for {url}")
            route.abort()

    def refuse(dialog: Any) -> None:
        wrong.append(f"said {dialog.message}")
        dialog.dismiss()

    def open_page(
        *, file: Path = page_file, width: int = 1280, expected: bool = True, at: str = "", **options: Any
    ) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        # A busy machine is no fault of the page.
        context.set_default_timeout(180_000)
        context.route("**/*", note)
        tab = context.new_page()
        tab.on("console", lambda message: wrong.append(message.text) if expected else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", refuse)
        tab.goto(file.as_uri() + (f"#{at}" if at else ""))
        tab.wait_for_selector("html[data-ready]", state="attached", timeout=0)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []

"""How large the report page gets and how long it takes, on an evaluation of random numbers and pictures.

    python -m tools.bench.report_page --checkpoints 20 --prompts 500 --images 4 --out runs/page

writes such a page, opens it in a headless Chromium, and prints what docs/report-page.md says.
"""

import argparse
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmark.core.records import (
    Checkpoint,
    Cost,
    Frontier,
    FrontierPoint,
    ImageRecord,
    ImageSet,
    Leaderboard,
    Prompt,
    PromptSet,
    Sampler,
    ScorerColumn,
)
from benchmark.core.records import ScoreRow as Row
from benchmark.generate import console_progress
from benchmark.leaderboard import ScoreTable, build_leaderboard, rows_to_frame, signature_line
from benchmark.report.page import PICTURE_MEGABYTES, PageSource, write_page

COLUMNS: Final = (
    ScorerColumn("clip", "1@0123abcd", "alignment", "image", True, "x 100", True),
    ScorerColumn("pickscore", "1@0123abcd", "preference", "image", True, "about 20", True),
    ScorerColumn("hps", "v2.1@0123abcd", "preference", "image", True, "x 100"),
    ScorerColumn("imagereward", "1@0123abcd", "preference", "image", True, "about -2..2"),
    ScorerColumn("lpips", "1@0123abcd", "diversity", "prompt", True, "higher is more diverse", True),
    ScorerColumn("vendi", "1@0123abcd", "diversity", "prompt", True, "1..K", True),
    ScorerColumn("kid", "1@0123abcd", "fidelity", "set", False, "lower is better"),
)
DIVERGENCES: Final = ("reverse_kl", "forward_kl", "jensen_shannon", "alpha(a=0.3)", "chi2")
_FAILURE = "the device ran out of memory"
_FILES = 61
"""Pictures that are really made; every record names one of them, and each is encoded where it stands."""


def random_checkpoints(count: int) -> tuple[Checkpoint, ...]:
    """The base model and policies under several divergences, betas and, beyond twenty, seeds."""
    policies = [
        Checkpoint(
            f"f_dpo-{name}-beta{beta:g}-seed{seed}-step200", "random", "f_dpo", name,
            {"beta": beta, "seed": seed} if seed else {"beta": beta}, 200,
        )
        for seed in range(-(-count // 20))
        for beta in (0.1, 0.3, 1.0, 3.0)
        for name in DIVERGENCES
    ]  # fmt: skip
    return (Checkpoint("base", "random"), *policies[: count - 1])


def random_source(
    folder: Path,
    checkpoints: Sequence[Checkpoint],
    prompts: Sequence[Prompt],
    images: int,
    *,
    side: int = 64,
    failed: Sequence[tuple[int, int, int]] = (),
    frontiers: Sequence[str] = ("guidance", "best of n by pickscore"),
    resamples: int = 200,
) -> PageSource:
    """What a page shows, from seeded noise.

    Args:
        folder: Gets the pictures.
        checkpoints: Whose.
        prompts: For what.
        images: K.
        side: Of a picture, in pixels.
        failed: Positions of checkpoint and prompt, and k, of images that were not made.
        frontiers: Names of curves through every plane.
        resamples: Of the leaderboard's bootstrap.

    Returns:
        A source that equal arguments make equal.
    """
    draw = np.random.default_rng(0)
    files = [picture(folder / f"{i}.png", side, draw) for i in range(_FILES)]
    prompt_set = PromptSet("random", "1", tuple(prompts))
    ks, sampler = tuple(range(images)), Sampler()
    gone = set(failed)
    sets = []
    for c, checkpoint in enumerate(checkpoints):
        records = []
        for p, prompt in enumerate(prompts):
            for k in ks:
                file = files[(c + 7 * p + 31 * k) % _FILES]
                bad = (c, p, k) in gone
                record = ImageRecord(prompt.id, k, file, status="error", note=_FAILURE)
                records.append(record if bad else ImageRecord(prompt.id, k, file))
        sets.append(ImageSet(f"random-{c}", checkpoint, prompt_set, sampler, ks, tuple(records)))
    trained = tuple(checkpoint.id for checkpoint in checkpoints if not checkpoint.is_base)
    columns = tuple(replace(c, in_domain=trained) if c.name == "pickscore" else c for c in COLUMNS)
    table = ScoreTable(
        rows=rows_to_frame(_rows(checkpoints, prompts, ks, gone, draw)),
        suite=f"random@1: {len(prompts)} prompts x {images} images",
        signature=signature_line(prompt_set, images, sampler, COLUMNS),
        checkpoints=tuple(checkpoints),
        columns=columns,
        n_prompts=len(prompts),
        images_per_prompt=images,
        source="random numbers",
    )
    board = _with_costs(_with_frontiers(build_leaderboard([table], resamples=resamples), frontiers))
    return PageSource(board, table, tuple(sets))


def _with_frontiers(board: Leaderboard, names: Sequence[str]) -> Leaderboard:
    """Curves from the first point of every plane, towards more preference and less diversity."""
    planes = []
    for plane in board.planes:
        start = plane.points[0]
        curves = []
        for bend, name in enumerate(names, start=1):
            steps = [
                FrontierPoint(
                    f"step {n}", start.x - 0.04 * bend * n, start.y + 0.15 * n**0.5, (1e-3, 0.0, 1e-3), 6.0
                )
                for n in range(6)
            ]
            curves.append(Frontier(name, tuple(steps)))
        planes.append(replace(plane, frontiers=tuple(curves)))
    return replace(board, planes=tuple(planes))


def _with_costs(board: Leaderboard) -> Leaderboard:
    """Policies took some minutes to train; nothing is known of the base's training."""
    rows = [
        replace(row, cost=Cost(None if row.checkpoint.is_base else 600.0 + 60 * i, 90.0 + i, 4.0 + i / 10))
        for i, row in enumerate(board.rows)
    ]
    return replace(board, rows=tuple(rows))


def picture(path: Path, side: int, draw: np.random.Generator) -> Path:
    """A file of noise whose amplitude falls as 1/f, as in photographs, so that it compresses as they do."""
    across, down = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side))
    weight = 1 / np.maximum(np.hypot(across, down), 1 / side)
    grey, *tints = [np.fft.ifft2(np.fft.fft2(draw.normal(size=(side, side))) * weight).real for _ in range(4)]
    colour = np.stack([grey + 0.4 * tint for tint in tints], axis=-1)
    pixels = np.clip(127 + 55 * colour / colour.std(), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)
    return path


def _rows(
    checkpoints: Sequence[Checkpoint],
    prompts: Sequence[Prompt],
    ks: Sequence[int],
    gone: set[tuple[int, int, int]],
    draw: np.random.Generator,
) -> list[Row]:
    rows = []
    for column in COLUMNS:
        easy = draw.normal(size=len(prompts))
        for c, checkpoint in enumerate(checkpoints):
            own = 20 + 0.3 * draw.normal() + easy
            if column.unit == "set":
                rows.append(Row(checkpoint.id, column.name, column.version, None, None, float(own.mean())))
            elif column.unit == "prompt":
                values = own + 0.3 * draw.normal(size=len(prompts))
                rows += [
                    Row(checkpoint.id, column.name, column.version, prompt.id, None, float(v))
                    for prompt, v in zip(prompts, values, strict=True)
                ]
            else:
                values = own[:, None] + 0.6 * draw.normal(size=(len(prompts), len(ks)))
                for (p, k), v in np.ndenumerate(values):
                    where = (checkpoint.id, column.name, column.version, prompts[p].id, ks[k])
                    bad = (c, p, k) in gone
                    rows.append(Row(*where, None, "missing", _FAILURE) if bad else Row(*where, float(v)))
    return rows


def browser() -> str | None:
    """The Chromium or Chrome of this machine."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def load_times(page: Path, program: str) -> dict[str, float]:
    """Seconds until the page answers, and from one prompt to the next with its pictures decoded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = chromium.new_page(viewport={"width": 1280, "height": 900})
        tab.goto(page.resolve().as_uri(), wait_until="commit")
        tab.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
        ready = float(tab.get_attribute("html", "data-ready") or "nan") / 1000
        steps: Any = tab.evaluate(
            """async () => {
                const taken = [];
                for (let i = 0; i < 10; i += 1) {
                    const start = performance.now();
                    document.getElementById("next").click();
                    await Promise.all([...document.images].map((image) => image.decode()));
                    taken.push((performance.now() - start) / 1000);
                }
                return taken.sort((a, b) => a - b)[5];
            }"""
        )
        chromium.close()
    return {"ready": ready, "next prompt": float(steps)}


def main() -> None:
    """Writes the page and prints its size and times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoints", type=int, default=20)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--side", type=int, default=512, help="of a picture, in pixels")
    parser.add_argument("--megabytes", type=float, default=PICTURE_MEGABYTES, help="room for pictures")
    parser.add_argument("--out", type=Path, default=Path("runs/page"))
    asked = parser.parse_args()
    prompts = [
        Prompt(
            f"p{i:04d}",
            f"a photograph of subject number {i}, in the style of painter {i % 17}",
            (f"t{i % 9}",),
        )
        for i in range(asked.prompts)
    ]
    checkpoints = random_checkpoints(asked.checkpoints)
    source = random_source(asked.out / "pictures", checkpoints, prompts, asked.images, side=asked.side)
    start, worked = time.monotonic(), time.process_time()
    with console_progress("pictures") as tell:
        page = write_page(source, asked.out / "report.html", megabytes=asked.megabytes, tell=tell)
    wall, work = time.monotonic() - start, time.process_time() - worked
    print(f"{page}: {page.stat().st_size / 1e6:.1f} MB, written in {wall:.1f} s ({work:.1f} s of processor)")
    program = browser()
    if program is None:
        print("no Chromium or Chrome is installed: not opened")
        return
    for what, seconds in load_times(page, program).items():
        print(f"{what}: {seconds:.2f} s")


if __name__ == "__main__":
    main()

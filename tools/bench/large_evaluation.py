"""How much memory the results of a large evaluation take: table, leaderboard, exports, figures and page.

    python -m tools.bench.large_evaluation --checkpoints 50 --prompts 1632 --images 8 --out runs/large

makes up the scores of so many images by twelve scorers, has the results written as `fbench eval` does once
everything is scored, and prints the seconds and the peak of the process's memory behind each part.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from benchmark.core.console import finish
from benchmark.core.devices import peak_memory_gb
from benchmark.core.manifest import Manifest
from benchmark.core.records import (
    Axis,
    Checkpoint,
    ImageRecord,
    ImageSet,
    Prompt,
    PromptSet,
    Sampler,
    ScorerColumn,
    ScoreRow,
)
from benchmark.evaluate import results
from benchmark.leaderboard import rows_to_frame
from tools.bench.report_page import picture, random_checkpoints

T = TypeVar("T")

_OF_IMAGES: Final[dict[str, Axis]] = {
    "clip": "alignment", "pickscore": "preference", "hps": "preference", "imagereward": "preference",
    "aesthetic": "preference", "vqa": "alignment", "oracle": "alignment", "light": "texture",
    "sharpness": "texture", "contrast": "texture",
}  # fmt: skip
_PRIMARY: Final = ("clip", "pickscore")
COLUMNS: Final = (
    *(
        ScorerColumn(name, "1@0123abcd", axis, "image", True, "", name in _PRIMARY)
        for name, axis in _OF_IMAGES.items()
    ),
    ScorerColumn("lpips", "1@0123abcd", "diversity", "prompt", True, "", True),
    ScorerColumn("kid", "1@0123abcd", "fidelity", "set", False, ""),
)
"""Twelve: ten of images, one of prompts, one of sets."""

_PICTURES: Final = 61


def scores_of(
    checkpoint: Checkpoint, prompts: PromptSet, ks: int, draw: np.random.Generator
) -> list[ScoreRow]:
    """One checkpoint's rows, as scorers give them."""
    rows = []
    for column in COLUMNS:
        where = (checkpoint.id, column.name, column.version)
        values = 20 + draw.normal(size=(len(prompts), ks))
        if column.unit == "set":
            rows.append(ScoreRow(*where, None, None, float(values.mean())))
        elif column.unit == "prompt":
            of_prompts = zip(prompts, values.mean(1), strict=True)
            rows += [ScoreRow(*where, prompt.id, None, float(v)) for prompt, v in of_prompts]
        else:
            rows += [
                ScoreRow(*where, prompt.id, k, float(values[p, k]))
                for p, prompt in enumerate(prompts)
                for k in range(ks)
            ]
    return rows


def image_sets_of(
    folder: Path, checkpoints: int, prompts: PromptSet, ks: int, side: int
) -> Iterator[ImageSet]:
    """Sets whose records name some pictures that are really there."""
    draw = np.random.default_rng(1)
    files = [picture(folder / f"{i}.png", side, draw) for i in range(_PICTURES)]
    for c, checkpoint in enumerate(random_checkpoints(checkpoints)):
        # Each record has a path of its own, as files have.
        records = tuple(
            ImageRecord(prompt.id, k, folder / files[(c + 7 * p + 31 * k) % _PICTURES].name)
            for p, prompt in enumerate(prompts)
            for k in range(ks)
        )
        yield ImageSet(f"random-{c}", checkpoint, prompts, Sampler(), tuple(range(ks)), records)


def timed(what: str, act: Callable[[], T]) -> T:
    """Does something, and prints its seconds and the peak so far."""
    start = time.monotonic()
    found = act()
    print(f"{what:12} {time.monotonic() - start:6.0f} s  peak {peak_memory_gb('cpu'):5.2f} GB", flush=True)
    return found


def measure(checkpoints: int, prompts: int, images: int, side: int, out: Path) -> dict[str, Any]:
    """Writes the results of such an evaluation; how many rows, how long, how much memory and which sizes."""
    texts = tuple(Prompt(f"p{i:04d}", f"prompt number {i}") for i in range(prompts))
    prompt_set = PromptSet("random", "1", texts)
    draw = np.random.default_rng(0)
    timed("imports", lambda: None)
    sets = timed("images", lambda: list(image_sets_of(out / "images", checkpoints, prompt_set, images, side)))
    frames = timed(
        "scores", lambda: [rows_to_frame(scores_of(s.checkpoint, prompt_set, images, draw)) for s in sets]
    )
    count, begin = sum(map(len, frames)), time.monotonic()
    for name in ("write_score_table", "read_score_table", "build_leaderboard", "write_exports", "_figures",
                 "write_page"):  # fmt: skip
        _watch(name)
    timed(
        "everything",
        lambda: results.write_results(results.joined(frames), sets, COLUMNS, out, Manifest(kind="eval")),
    )
    page = (out / "report.html").read_text(encoding="utf-8")
    notes = json.loads(page.partition('"pageNotes":')[2].partition("]")[0] + "]")
    return {
        "rows": count,
        "seconds": round(time.monotonic() - begin),
        "peak_gb": peak_memory_gb("cpu"),
        "table_mb": (out / "scores.parquet").stat().st_size / 1e6,
        "page_mb": (out / "report.html").stat().st_size / 1e6,
        "left_out": " ".join(notes),
    }


def _watch(name: str) -> None:
    act = getattr(results, name)

    def watched(*words: Any, **more: Any) -> Any:
        return timed(name.strip("_").split("_")[-1], lambda: act(*words, **more))

    setattr(results, name, watched)


def main() -> None:
    """Parses the command line and measures."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench.large_evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoints", type=int, default=50)
    parser.add_argument("--prompts", type=int, default=1632)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--side", type=int, default=512, help="of a picture, in pixels")
    parser.add_argument("--out", type=Path, default=Path("runs/large"))
    asked = parser.parse_args()
    print(json.dumps(measure(asked.checkpoints, asked.prompts, asked.images, asked.side, asked.out)))


if __name__ == "__main__":
    finish(main)

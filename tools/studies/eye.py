"""`python -m tools.studies.eye`: does the oracle read the base model's pictures as a person does?

`draw` writes numbered pictures with what the oracle read under each. For those that the scene check accepts,
which alone are worth anything to annotators, a person notes what is not so in a file with the columns
`image,attribute,verdict` (`wrong` or `cannot_tell`); `tally` turns it into a table.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmark.core import store
from benchmark.core.console import finish
from benchmark.core.errors import ConfigError, MissingFileError
from benchmark.core.records import Sampler
from benchmark.generate import image_seed, sample
from benchmark.models import load_pipeline
from benchmark.prompt_sets import load_prompt_set
from benchmark.shapes.alignment import Seen, as_seen
from benchmark.shapes.truth import load_judge
from benchmark.shapes.vocabulary import BACKGROUNDS, COLOURS, SHAPES, SIZES, STYLES

PROMPTS, PICTURES, COLUMNS, TILE, LINES = "shapes-validation", 200, 10, 160, 4
VERDICTS: Final = ("wrong", "cannot_tell")
AXES: Final = ("beside", "stacked")
Reading = Mapping[str, str]


def in_words(seen: Seen) -> Reading:
    """A reading by attribute; of attributes that were not read there is none."""

    def named(names: Sequence[str] | Mapping[str, object], index: int) -> str | None:
        return list(names)[index] if index >= 0 else None

    found = {
        "count": str(seen.count),
        "axis": named(AXES, seen.axis),
        "background": named(BACKGROUNDS, seen.background),
        "style": named(STYLES, seen.style),
    }
    for i in range(2):
        found[f"size {i + 1}"] = named(SIZES, seen.size[i])
        found[f"colour {i + 1}"] = named(COLOURS, seen.colour[i])
        found[f"shape {i + 1}"] = named(SHAPES, seen.shape[i])
    return {kind: value for kind, value in found.items() if value is not None}


def draw(out: Path) -> list[Reading]:
    """Writes sheets of the base model's pictures with their readings."""
    pipeline = load_pipeline("shapes")
    prompts = [p.text for p in load_prompt_set(PROMPTS)]
    sampler: Sampler = pipeline.sampler
    numbered = [(prompts[i % len(prompts)], i // len(prompts)) for i in range(PICTURES)]
    seeds = [image_seed(sampler, text, k) for text, k in numbered]
    images = sample(pipeline, [text for text, _ in numbered], seeds, sampler)
    judged = load_judge("oracle")(images, [text for text, _ in numbered])
    readings: list[Reading] = [
        {"scene": "yes" if scene else "no", **in_words(seen)}
        for scene, seen in zip(judged.scene.tolist(), as_seen(judged.readings), strict=True)
    ]
    out.mkdir(parents=True, exist_ok=True)
    for start in range(0, PICTURES, 5 * COLUMNS):
        part = slice(start, start + 5 * COLUMNS)
        sheet(images[part], readings[part], start).save(out / f"sheet-{start:03d}.png")
    return readings


def write_readings(readings: Sequence[Reading], path: Path) -> None:
    """Writes one row for each attribute that was read."""
    rows = [f"{i},{kind},{value}\n" for i, reading in enumerate(readings) for kind, value in reading.items()]
    store.write_text(path, "image,attribute,reading\n" + "".join(rows))


def sheet(images: NDArray[np.uint8], readings: Sequence[Reading], first: int) -> Image.Image:
    """Pictures with their numbers and readings, `COLUMNS` in a row."""
    height = TILE + 12 * LINES
    out = Image.new("RGB", (COLUMNS * TILE, -(-len(images) // COLUMNS) * height), "white")
    pen, font = ImageDraw.Draw(out), ImageFont.load_default(size=10)
    for i, (image, r) in enumerate(zip(images, readings, strict=True)):
        x, y = i % COLUMNS * TILE, i // COLUMNS * height
        picture = Image.fromarray(image).resize((TILE - 4, TILE - 4), Image.Resampling.NEAREST)
        out.paste(picture, (x + 2, y + 2))
        things = [" ".join(r.get(f"{k} {n}", "?") for k in ("size", "colour", "shape")) for n in "12"]
        lines = [f"{first + i}: {r['count']}, {r.get('background', '?')}, {r.get('style', '?')}", things[0]]
        lines += [things[1], r.get("axis", "?")] if r["count"] == "2" else []
        lines[-1] += ", scene" if r["scene"] == "yes" else ", no scene"
        for n, line in enumerate(lines):
            pen.text((x + 3, y + TILE + 12 * n - 2), line, fill="black", font=font)
    return out


def read_exceptions(path: Path, known: Sequence[Reading]) -> Iterator[tuple[int, str, str]]:
    """The rows of a person's file.

    Raises:
        ConfigError: a row names a picture, an attribute or a verdict that there is not.
    """
    for row in _rows(path):
        given, kind, verdict = row.get("image") or "", row.get("attribute") or "", row.get("verdict")
        image = int(given) if given.isdecimal() else len(known)
        if image >= len(known) or verdict not in VERDICTS or kind not in known[image]:
            raise ConfigError(f"{path} says {row}", allowed=f"what was read, and {', '.join(VERDICTS)}")
        yield image, kind, verdict


def tally(readings: Sequence[Reading], exceptions: Sequence[tuple[int, str, str]]) -> str:
    """A Markdown table of accepted scenes: of each kind of attribute how many were read, vague, and right."""
    scenes = [i for i, reading in enumerate(readings) if reading["scene"] == "yes"]
    total = Counter(kind.split()[0] for i in scenes for kind in readings[i] if kind != "scene")
    said = Counter((kind.split()[0], verdict) for i, kind, verdict in exceptions if i in scenes)
    head = f"| attribute ({len(scenes)} pictures) | read | cannot tell | right of the rest |"
    lines = [head, "|---|--:|--:|--:|"]
    for kind in [*total, "all"]:
        of = [kind] if kind != "all" else list(total)
        n, vague, wrong = (sum(c) for c in ([total[k] for k in of], *([said[k, v] for k in of] for v in
                           ("cannot_tell", "wrong"))))  # fmt: skip
        right = f"{1 - wrong / (n - vague):.1%}" if n > vague else "–"
        lines.append(f"| {kind} | {n} | {vague / n:.1%} | {right} |")
    return "\n".join(lines) + "\n"


def read_readings(path: Path) -> list[Reading]:
    """What `write_readings` wrote."""
    found: dict[int, dict[str, str]] = {}
    for row in _rows(path):
        found.setdefault(int(row["image"]), {})[row["attribute"]] = row["reading"]
    return [found[i] for i in range(len(found))]


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise MissingFileError(
            path, "table of readings or verdicts", do="run `draw`, then note what is not so"
        )
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.studies.eye", description=__doc__)
    parser.add_argument("what", choices=("draw", "tally"))
    parser.add_argument("--out", type=Path, default=Path("runs/eye"), help="the sheets")
    parser.add_argument("--readings", type=Path, default=Path("results/eye/readings.csv"))
    parser.add_argument("--exceptions", type=Path, default=Path("results/eye/exceptions.csv"))
    args = parser.parse_args()
    if args.what == "draw":
        write_readings(draw(args.out), args.readings)
        print(f"wrote {args.out} and {args.readings}")
    else:
        readings = read_readings(args.readings)
        print(tally(readings, list(read_exceptions(args.exceptions, readings))), end="")


if __name__ == "__main__":
    finish(main)

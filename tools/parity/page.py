"""docs/parity.md, from the rows of `results/parity.json` and nothing else."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tools.parity.environments import ALL

RowJson = Mapping[str, Any]


def page(rows: Sequence[RowJson]) -> str:
    """The report.

    Args:
        rows: As in the file.
    """
    return (
        "\n".join([*_head(rows), *_table(rows), *_left_out(rows), *_raw(rows), *_elsewhere(), *_how()]) + "\n"
    )


def _head(rows: Sequence[RowJson]) -> list[str]:
    passed = sum(row["passed"] for row in rows)
    waiting = sum(str(row["status"]).startswith("not run") for row in rows)
    return [
        "# Agreement with the original packages",
        "",
        f"Written by `make parity`. {passed} of {len(rows)} comparisons agree within their tolerance"
        + (f"; {waiting} could not be run." if waiting else "."),
        "",
        "Each of our scorers was given the same weights, the same images and the same prompts as the",
        "package it stands for, and the largest difference of a single number is shown. Differences are",
        "on the scale that the scorer reports (`clip` and `hps` are 100 times a cosine), in fp32; those of",
        "distances between sets are relative. The spread is the standard deviation of our numbers over the",
        "images, or the number itself where there is one: random weights that cannot tell images apart would",
        "agree too.",
        "",
    ]


def _table(rows: Sequence[RowJson]) -> list[str]:
    lines = [
        "| scorer | original | compared | largest difference | tolerance | spread | |",
        "| :-- | :-- | :-- | --: | --: | --: | :-- |",
    ]
    for row in rows:
        apart = "–" if row["max_abs_diff"] is None else f"{row['max_abs_diff']:.1e}"
        kind = " relative" if row["relative"] else ""
        versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        original = f"{row['oracle']} ({versions})" if versions else row["oracle"]
        spread = "–" if row["spread"] is None else f"{row['spread']:.2g}"
        numbers = "1 number" if row["n"] == 1 else f"{row['n']:,} numbers"
        what = f"{numbers}, {row['size']} size: {row['about']}"
        status = "not run" if str(row["status"]).startswith("not run") else row["status"]
        lines.append(
            f"| `{row['scorer']}` | {original} | {what} | {apart}{kind} | "
            f"{row['tolerance']:.0e}{kind} | {spread} | {status} |"
        )
    why = [
        f"- `{row['scorer']}` against {row['oracle']}: {row['status']}."
        for row in rows
        if str(row["status"]).startswith("not run")
    ]
    return [*lines, "", *why, *([""] if why else [])]


def _left_out(rows: Iterable[RowJson]) -> list[str]:
    lines = [
        f"| `{row['scorer']}` | {row['oracle']} | {_cell(what)} | {_cell(why)} |"
        for row in rows
        for what, why in row["left_out"].items()
    ]
    if not lines:
        return []
    return [
        "## What was not counted",
        "",
        "| scorer | original | image and prompt | why |",
        "| :-- | :-- | :-- | :-- |",
        *lines,
        "",
    ]


def _raw(rows: Iterable[RowJson]) -> list[str]:
    asked = [row for row in rows if row["raw"]]
    if not asked:
        return []
    modes = list(asked[0]["raw"])
    lines = [
        f"| {row['oracle']} | {' | '.join(_cell(row['raw'].get(mode, '–')) for mode in modes)} |"
        for row in asked
    ]
    return [
        "## Files that the originals open otherwise",
        "",
        "We decode a file once, to RGB, for all scorers: transparency is laid on white, 16 bits are scaled",
        "to 8, palettes and ink are converted before anything is resized. The originals each do what their",
        "first transform happens to do: they drop transparency and show colours nobody was meant to see,",
        "clip 16 bits at 255, or resize palette entries without interpolation; transformers 5 lays",
        "transparency on white as we do. For the comparison above they were given our RGB pixels of these",
        "files. Given the files themselves, they differ from us by:",
        "",
        f"| original | {' | '.join(f'`{mode}`' for mode in modes)} |",
        f"| :-- |{' :-- |' * len(modes)}",
        *lines,
        "",
    ]


def _elsewhere() -> list[str]:
    return [
        "## What is proven elsewhere",
        "",
        "- `style_fd` has the distance and the features of `fid`; `style_cosine`, `clip_diversity`,",
        "  `vendi_set` and `attribute_diversity` read the embeddings of `clip`.",
        "- `cmmd` was published as code without a package: its formula is tested against one written out",
        "  pair by pair, and its CLIP is open_clip's.",
        "- `entropy` and the embedded truth are our own definitions.",
        '- transformers 5 preprocesses by torchvision unless it is asked for `backend="pil"`, which is what',
        "  PickScore was published with and what its card is compared with here.",
        "",
    ]


def _how() -> list[str]:
    return [
        "## How it was made",
        "",
        "- Weights are random, of the published architecture's full size where it says so, written in the",
        "  published layout and read back by both sides. Matrices have deviation 1/sqrt(fan in), so that",
        "  embeddings differ between images.",
        "- Images are of 17 x 23 to 1024 x 768 pixels, odd sizes and 1:5 ratios among them, in modes RGB, L,",
        "  P, 1, CMYK, RGBA, LA and 16 bit. Prompts have HTML entities, emoji, other scripts, broken",
        "  encodings, upper case and more than 77 tokens.",
        "- Our side reads the files through `read_images` and the scorers' own classes. The originals run in",
        "  processes and environments of their own and are called as their documentation says.",
        *(f"- `{e.name}` ({e.note}): {', '.join(e.packages)}." for e in ALL),
        "",
    ]


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|")

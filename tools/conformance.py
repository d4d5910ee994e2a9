"""Makes the golden images' scores: ``python -m tools.conformance [--images]``.

Every registered scorer that runs with embedded weights scores the committed images of
``benchmark/shapes/data/conformance``; the scores are what `fbench doctor --conformance` and every evaluation
expect of it. Run it when a scorer was added, or was changed on purpose and its version raised.
"""

import argparse
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image

from benchmark.core import resources
from benchmark.core.console import finish
from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_file
from benchmark.core.store import write_json
from benchmark.evaluate import conformance
from benchmark.scorers import Scorer, make_scorers, scorers
from benchmark.shapes.facts import Facts, draw_facts, wanted
from benchmark.shapes.grammar import caption
from benchmark.shapes.renderer import render, to_uint8
from benchmark.shapes.scenes import sample_scenes

SEED: Final = 7
K: Final = 2
STYLES: Final = ("flat", "van_gogh", "sketch", "winter", "pixel", "flat", "flat", "winter")
"""Of the prompts. The images of the last two have odd sizes, so that resizing and cropping are seen."""
ODD: Final = ((97, 71), (50, 83))


def main() -> None:
    """Writes the scores, and the images first if that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tools.conformance")
    parser.add_argument("--images", action="store_true", help="draw the images again; every score changes")
    folder = resources.shapes_data() / conformance.FOLDER
    if parser.parse_args().images:
        draw(folder)
    found = {}
    for scorer in embedded_scorers():
        key, version = conformance.scorer_key(scorer), conformance.fp32_version(scorer)
        values = conformance.measure(scorer, conformance.REPEATS)
        print(f"{key}: {len(values)} scores")
        if values:
            found[key] = {"version": version, "values": values}
    write_json(folder / conformance.EXPECTED, found)


def embedded_scorers() -> list[Scorer]:
    """Every registered scorer that runs with embedded weights, or with none, loaded.

    All of them at once, so that networks and references are in memory once.
    """
    loaded = []
    for entry in scorers:
        try:
            (scorer,) = make_scorers([entry.name], "embedded")
            scorer.load()
        except UserError as error:
            print(f"{entry.name}: left out: {error}")
            continue
        loaded.append(scorer)
    return loaded


def draw(folder: Path) -> None:
    """Draws the images: of each prompt one that shows it, and one that shows what another one asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(SEED)
    facts = [_facts(style, generator) for style in STYLES]
    prompts = [{"id": f"p{i}", "text": caption(f, generator), "style": f.style} for i, f in enumerate(facts)]
    shown = [f for i, f in enumerate(facts) for f in (f, facts[i] if i % 2 else facts[i - 1])]
    pictures = to_uint8(render(sample_scenes(wanted(shown), generator)))
    images: list[dict[str, Any]] = []
    for i, pixels in enumerate(pictures):
        picture = Image.fromarray(pixels.numpy())
        prompt, k = divmod(i, K)
        if prompt >= len(facts) - len(ODD):
            picture = picture.resize(ODD[prompt - len(facts)], Image.Resampling.LANCZOS)
        path = folder / f"p{prompt}_{k}.png"
        picture.save(path, optimize=True)
        images.append({"prompt": f"p{prompt}", "k": k, "file": path.name, "sha256": sha256_file(path)})
    write_json(folder / conformance.IMAGES, {"prompts": prompts, "images": images})


def _facts(style: str, generator: torch.Generator) -> Facts:
    """Facts that ask for a style, or for none where it is flat, and state something else besides."""
    while True:
        facts = draw_facts(generator)
        if (facts.style or "flat") == style and any(vars(facts.objects[0]).values()):
            return facts


if __name__ == "__main__":
    finish(main)

"""Generates, scores, and writes what was found into results/ and docs/diversity.md.

The same command again resumes. Images and scores stay below --out; what is to be committed is small.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmark.core import store
from benchmark.core.console import finish, typed
from benchmark.core.records import ImageSet
from tools.studies.diversity.findings import Findings, findings
from tools.studies.diversity.measure import measure
from tools.studies.diversity.mixtures import blended, noisy, repeated, saturated
from tools.studies.diversity.page import block, with_block
from tools.studies.diversity.sources import ALL, BASE, make_sources, open_prompts

NAME: Final = "tools.studies.diversity"
RESULT: Final = Path("results/diversity/findings.json")
PAGE: Final = Path("docs/diversity.md")
PROMPTS: Final = 64
IMAGES: Final = 8


def study(
    checkpoints: Sequence[str], out: Path, *, prompts: int = PROMPTS, images: int = IMAGES, command: str = ""
) -> Findings:
    """Makes and scores all image sets.

    Args:
        checkpoints: Trained ones, as ``--checkpoint`` takes them.
        out: Images and scores; not committed.
        prompts: How many; see `open_prompts`.
        images: K.
        command: As typed.

    Raises:
        UserError: for anything a user can put right.
    """
    asked = open_prompts(prompts)
    sources = make_sources(asked, images, checkpoints, out)
    base = sources[BASE]
    repeats = {f"{n} of {images} repeated": repeated(base, n) for n in range(2, images, 2)}
    half = {f"half of them: {ALL}": blended(base, sources[ALL], images // 2)}
    controls = {
        "noise, sd 8 of 255": noisy(base, 8, out / "controls" / "noise-8"),
        "noise, sd 32 of 255": noisy(base, 32, out / "controls" / "noise-32"),
        "saturation x 2": saturated(base, 2, out / "controls" / "saturation"),
        f"one image repeated {images} times": repeated(base, images),
    }
    sets: dict[str, ImageSet] = {**sources, **half, **repeats, **controls}
    among = {
        "all": [*sources, *half, *repeats],
        "none with repeated images": [*sources, *half],
    }
    suite = (
        f"{len(asked)} prompts of {asked.name} that leave a nameable fact open, {images} images each, "
        f"{base.sampler.signature.replace('|', ', ')}."
    )
    return findings(command, suite, measure(sets, out), among, tuple(controls), BASE)


def main() -> None:
    """Parses the command line, computes and writes."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/diversity"))
    parser.add_argument(
        "--checkpoint", action="append", default=[], help="a trained run, such as `fbench demo` makes; repeat"
    )
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--images-per-prompt", type=int, default=IMAGES)
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--page", type=Path, default=PAGE, help="its generated part is replaced")
    args = parser.parse_args()
    found = study(
        args.checkpoint, args.out, prompts=args.prompts, images=args.images_per_prompt, command=typed(NAME)
    )
    store.write_json(args.result, found)
    text = block(json.loads(args.result.read_text(encoding="utf-8")))
    store.write_text(args.page, with_block(args.page.read_text(encoding="utf-8"), text))
    print(text)


if __name__ == "__main__":
    finish(main)

"""`lpips` and `vendi`: one number for the images of a prompt."""

import statistics
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Final

from benchmark.workflows.workers import run_workers
from tools.parity.asking import ask, score
from tools.parity.comparison import Answers, Comparison
from tools.parity.environments import CURRENT, OURS
from tools.parity.layouts import SMALL
from tools.parity.material import write_image, write_rows

SIZES: Final = (
    (64, 64, "RGB"), (65, 97, "RGB"), (224, 224, "RGB"), (130, 71, "RGB"),
    (96, 96, "L"), (80, 160, "JPEG"), (99, 101, "L"), (128, 128, "RGB"),
)  # fmt: skip
"""Of the images of one prompt each."""
K: Final = 4


def lpips(oracle: str, net: str, folder: Path) -> Answers:
    """8 prompts of 4 images.

    Args:
        oracle: Which implementation.
        net: The trunk.
        folder: For images and weights.
    """
    files = _files(folder)
    weights = folder / f"lpips-{net}"
    run_workers(_write, [(weights, net)])
    ours = score(folder / "pairs" / "pairs.jsonl", f"lpips(weights={str(weights)!r}, net={net!r})")
    pairs = [pair for images in files for pair in combinations(images, 2)]
    reply = ask(oracle, OURS, folder, pairs, weights=weights / "model.safetensors", net=net)
    each = len(pairs) // len(files)
    apart = reply.complete()
    theirs = [statistics.fmean(apart[i : i + each]) for i in range(0, len(pairs), each)]
    return Answers([ours[f"p{p}"] for p in range(len(files))], theirs, reply.versions)


def vendi(folder: Path) -> Answers:
    """The same images; embeddings of a small CLIP, each side's own."""
    files, weights = _files(folder), folder / SMALL
    ours = score(folder / "pairs" / "pairs.jsonl", f"vendi(weights={str(weights)!r})")
    reply = ask("vendi_of_clip", CURRENT, folder, files, weights=weights)
    return Answers([ours[f"p{p}"] for p in range(len(files))], reply.complete(), reply.versions)


def _files(folder: Path) -> list[list[Path]]:
    """K images of each prompt, and `pairs.jsonl` for `fbench score`."""
    place = folder / "pairs"
    place.mkdir(exist_ok=True)
    files = [
        [write_image(place, f"{K * p + k:02d}", *size).resolve() for k in range(K)]
        for p, size in enumerate(SIZES)
    ]
    rows = [
        {"id": f"p{p}", "prompt": f"prompt {p}", "image_path": file.name}
        for p, images in enumerate(files)
        for file in images
    ]
    write_rows(place / "pairs.jsonl", rows)
    return files


def _write(job: tuple[Path, str]) -> None:
    """A whole network of the lpips package, trunk and layers; the layers positive, as published ones are."""
    from safetensors.torch import save_file

    from benchmark.networks.perceptual import new_perceptual
    from tools.parity.weights import layout_of, lively

    folder, net = job
    folder.mkdir(exist_ok=True)
    network = new_perceptual(net)
    state = lively(layout_of(network))
    for name, value in network.state_dict().items():
        if name.startswith("scaling_layer"):
            state[name] = value
        elif name.startswith("lin"):
            own = name.replace("lins.", "lin", 1) if name.startswith("lins.") else name
            state[name] = state[own].abs().clone()
    save_file(state, folder / "model.safetensors")


def _comparison(oracle: str, name: str, net: str) -> Comparison:
    run: Callable[[Path], Answers] = partial(lpips, oracle, net)
    about = f"{net}, mean over the pairs of {K} images of {len(SIZES)} prompts"
    return Comparison("lpips", f"{name}, {net}", run, about=about)


COMPARISONS: Final = (
    *(
        _comparison(oracle, name, net)
        for net in ("alex", "vgg", "squeeze")
        for oracle, name in (("lpips_pairs", "lpips"), ("torchmetrics_lpips", "torchmetrics"))
    ),
    Comparison(
        "vendi", "vendi-score", vendi, (SMALL,), size="small",
        about=f"{K} images of each of {len(SIZES)} prompts",
    ),
)  # fmt: skip

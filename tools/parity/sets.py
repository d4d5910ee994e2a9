"""`fid`, `kid` and prdc's four numbers between two sets of images, and the extractor behind them."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from benchmark.workflows.workers import run_workers
from tools.parity.asking import Reply, ask, score_all
from tools.parity.comparison import Answers, Comparison
from tools.parity.environments import CURRENT, OURS
from tools.parity.layouts import INCEPTION
from tools.parity.material import write_cases, write_image, write_rows

SETS: Final = ("fid", "kid", "precision", "recall", "density", "coverage")
LAYER: Final = 64
"""Features of Inception: so few that 5 d images are few."""
N: Final = 360
SIZES: Final = ((64, 64), (72, 56), (48, 96))


def distance(name: str, package: str, folder: Path) -> Answers:
    """One number for the whole set.

    Args:
        name: Of our scorer.
        package: Whose function.
        folder: With Inception's weights.
    """
    ours, reply = _both(folder)
    found = reply.complete()[0][f"{package} {name}"]
    versions = {k: v for k, v in reply.versions.items() if k in (package, "torch-fidelity")}
    return Answers([ours[name]], [found], versions)


@cache
def _both(folder: Path) -> tuple[Mapping[str, float], Reply]:
    """Every number of both sides, from the files; the images are looked at once for all comparisons."""
    images, reference, weights = folder / "images", folder / "reference", folder / INCEPTION
    CURRENT.python()
    _write(images, 0)
    _write(reference, N)
    options = f"weights={str(weights)!r}, reference={str(reference)!r}, features={LAYER}"
    found = score_all(images / "images.jsonl", *(f"{name}({options})" for name in SETS))
    reply = ask("set_distances", CURRENT, folder, [(images, reference)], weights=weights, layer=LAYER)
    return {name: values[""] for name, values in found.items()}, reply


def _write(folder: Path, first: int) -> None:
    """Two sets that overlap: the same kind of pictures, of other seeds, and half of ours in grey."""
    folder.mkdir()
    files = [
        write_image(folder, f"{i:04d}", *SIZES[i % len(SIZES)], "L" if i < N and i % 2 else "RGB")
        for i in range(first, first + N)
    ]
    rows = [{"id": file.stem, "prompt": file.stem, "image_path": file.name} for file in files]
    write_rows(folder / "images.jsonl", rows)


def extractor(folder: Path) -> Answers:
    """2048 features of each of 32 images of every size and mode, in our pixels."""
    cases = write_cases(folder / "cases")
    (ours,) = run_workers(_features, [(folder / INCEPTION, [case.raw for case in cases])])
    calls = [(case.given,) for case in cases]
    reply = ask("inception_features", OURS, folder, calls, weights=folder / INCEPTION)
    theirs = [value for row in reply.complete() for value in row]
    return Answers([value for row in ours for value in row], theirs, reply.versions)


def _features(job: tuple[Path, Sequence[Path]]) -> Any:
    from benchmark.core.pixels import read_rgb
    from benchmark.networks.features import Features

    weights, files = job
    return Features(weights, "cpu", "parity").of_images([read_rgb(file) for file in files]).tolist()


def _distance(name: str, package: str, *, relative: bool = False) -> Comparison:
    about = f"{N} images against {N}, {LAYER} features of each side's own Inception v3"
    run = partial(distance, name, package)
    return Comparison(name, package, run, (INCEPTION,), relative=relative, about=about)


COMPARISONS: Final = (
    *(
        _distance(name, package, relative=True)
        for name in ("fid", "kid")
        for package in ("torch-fidelity", "clean-fid")
    ),
    *(_distance(name, "prdc") for name in SETS[2:]),
    Comparison(
        "Inception v3", "torch-fidelity's extractor", extractor, (INCEPTION,),
        about="2048 features of 32 images",
    ),
)  # fmt: skip

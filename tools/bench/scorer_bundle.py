"""`scorer_bundle`: clip, hps, pickscore and imagereward at their published sizes, against their own packages.

Random weights in the published layouts, 8 images with their prompts. Each scorer runs alone in fresh
processes, ours and its package's in turns. Everything computes on one thread, and seconds are the processor's
(user and system): on an idle machine they are those on the wall, and on a busy one the neighbours' load is
not in them. The ratio on the wall stands in the note.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmark.core.hashing import sha256_path
from benchmark.weights.locate import short_hash
from benchmark.workflows.workers import run_workers
from tools.bench.measuring import Measurement
from tools.parity import layouts
from tools.parity.asking import Reply, ask
from tools.parity.environments import CURRENT, IMAGE_REWARD, OLD, OURS, Environment
from tools.parity.layouts import prepare
from tools.parity.material import write_cases

FOLDER: Final = Path(".build/scorer-bundle")
IMAGES: Final = ((512, 512, "RGB"),) * 8
PASSES: Final = 2
"""Of ours, of which the second counts. Theirs are warmed up by one image."""


@dataclass(frozen=True)
class Bundled:
    """A scorer and its package.

    Attributes:
        scorer: Ours, with a place for the precision.
        weights: The file or folder that both read, of `layouts`.
        oracle: The package's call.
        environment: Where it runs.
        given: What it loads, from the weights.
        as_called: What it loads instead where its users' call does more; None where it does the same.
    """

    scorer: str
    weights: str
    oracle: str
    environment: Environment
    given: Callable[[Path], Mapping[str, Any]]
    as_called: Callable[[Path], Mapping[str, Any]] | None = None

    def ours(self, place: Path, precision: str) -> str:
        """As behind `--scorers`."""
        return f"{self.scorer}(weights={str(place)!r}, precision={precision!r})"


BUNDLE: Final = (
    Bundled(
        "hps", layouts.HPS, "hpsv2_score", CURRENT,
        lambda place: {"checkpoint": place, "preset": False}, lambda place: {"checkpoint": place},
    ),
    Bundled(
        "clip", f"{layouts.OPEN_CLIP}/open_clip_model.safetensors", "open_clip_cosine", OURS,
        lambda place: {"checkpoint": place},
    ),
    Bundled(
        "pickscore", layouts.CLIP_MODEL, "pickscore_card", OLD,
        lambda place: {"model": place, "processor": place},
    ),
    Bundled(
        "imagereward", layouts.IMAGE_REWARD, "image_reward_score", IMAGE_REWARD,
        lambda place: {"checkpoint": place / "ImageReward.pt", "med_config": place / "med_config.json"},
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Ours:
    """What one of our scorers took.

    Attributes:
        values: One an image.
        load: Seconds until it was ready, and processor seconds.
        seconds: Of each pass over all images.
        processor: Processor seconds of the same.
        peak: Resident memory, in bytes.
    """

    values: Sequence[float]
    load: Sequence[float]
    seconds: Sequence[float]
    processor: Sequence[float]
    peak: int


@dataclass(frozen=True)
class Taken:
    """Seconds that one scorer took for all images, and processor seconds.

    Attributes:
        best: Ours in bf16.
        equal: Ours in fp32.
        called: Theirs as their users call it.
        steady: Theirs with the model loaded and warm.
        best_fresh: Ours in bf16 from a fresh process's imports on: loading and the first pass.
        called_fresh: Theirs likewise.
        hashing: Processor seconds that the first process takes to hash the weights; later ones know the hash.
        apart: Largest difference between ours in fp32 and theirs.
        peak: Most memory of any process, in bytes.
    """

    best: tuple[float, float]
    equal: tuple[float, float]
    called: tuple[float, float]
    steady: tuple[float, float]
    best_fresh: tuple[float, float]
    called_fresh: tuple[float, float]
    hashing: float
    apart: float
    peak: int


def measure(bundle: Sequence[Bundled] = BUNDLE, folder: Path = FOLDER) -> list[Measurement]:
    """Four ratios: as their users call them, the same with loading, steady, and at equal precision.

    Args:
        bundle: The scorers.
        folder: Of the weights, which are written once and kept (14 GB).

    Raises:
        UserError: if there is no room for weights, or an environment cannot be built.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_cases(folder / "images", IMAGES)
    load = os.getloadavg()[0]
    taken = [_one(bundled, folder) for bundled in bundle]
    note = (
        f"{', '.join(b.scorer for b in bundle)} at full size, random weights, {len(IMAGES)} images of 512 x "
        f"512, CPU, 1 thread; load average {load:.1f} before and {os.getloadavg()[0]:.1f} after; fp32 values "
        f"apart {max(t.apart for t in taken):.1e}; peak {max(t.peak for t in taken) / 2**30:.1f} GiB; "
        f"hashes of the weights known, which take {sum(t.hashing for t in taken):.1f} s once"
    )
    ways = {
        "scorer_bundle": ("best", "called", "the original packages as their users call them", "ours bf16"),
        "scorer_bundle_fresh": (
            "best_fresh",
            "called_fresh",
            "the same, with the loading of both in a fresh process",
            "ours bf16",
        ),
        "scorer_bundle_steady": ("best", "steady", "the same, models loaded and warm", "ours bf16"),
        "scorer_bundle_equal": ("equal", "steady", "the same, models loaded and warm", "ours fp32"),
    }
    return [_measurement(name, taken, *way, note) for name, way in ways.items()]


def _measurement(
    name: str, taken: Sequence[Taken], mine: str, theirs: str, peer: str, how: str, note: str
) -> Measurement:
    wall, processor = (
        [sum(getattr(t, side)[clock] for t in taken) for side in (mine, theirs)] for clock in (0, 1)
    )
    ours, other = processor
    return Measurement(
        name=name,
        ours=len(IMAGES) / ours,
        peer=len(IMAGES) / other,
        ratio=other / ours,
        unit="images/s",
        peer_name=peer,
        note=f"{how}; {note}; seconds of the processor, on the wall {wall[1] / wall[0]:.2f} x",
    )


def _one(bundled: Bundled, folder: Path) -> Taken:
    """Ours and theirs in turns: both sides then see the same neighbours on the machine."""
    name = bundled.weights.partition("/")[0]
    prepare(name, folder)
    place = folder / bundled.weights
    cases = write_cases(folder / "images", IMAGES)
    calls = [(c.raw, c.prompt) for c in cases]
    warm = [calls[0], *calls]

    def theirs(given: Mapping[str, Any], questions: Sequence[tuple[Path, str]]) -> Reply:
        return ask(bundled.oracle, bundled.environment, folder, questions, **given)

    hashing = _hash(place)
    best = _ours(bundled.ours(place, "bf16"), folder, PASSES)
    steady = theirs(bundled.given(place), warm)
    equal = _ours(bundled.ours(place, "fp32"), folder, 1)
    called = theirs(bundled.as_called(place), warm) if bundled.as_called else steady
    values = steady.complete()[1:]
    taken = Taken(
        best=(best.seconds[-1], best.processor[-1]),
        equal=(equal.seconds[0], equal.processor[0]),
        called=_sums(called),
        steady=_sums(steady),
        best_fresh=(best.load[0] + best.seconds[0], best.load[1] + best.processor[0]),
        called_fresh=_fresh(called),
        hashing=hashing,
        apart=max(abs(a - b) for a, b in zip(equal.values, values, strict=True)),
        peak=max(best.peak, equal.peak, steady.peak, called.peak),
    )
    print(f"  {bundled.scorer:12} {taken}", flush=True)
    return taken


def _hash(place: Path) -> float:
    """Hashes weights, so that all processes know them, and says how many processor seconds that takes."""
    short_hash(place)
    start = time.process_time()
    sha256_path(place)
    return time.process_time() - start


def _sums(reply: Reply) -> tuple[float, float]:
    """Of all calls but the first, which warmed it up."""
    return sum(reply.seconds[-1][1:]), sum(reply.processor[-1][1:])


def _fresh(reply: Reply) -> tuple[float, float]:
    """Loading and all calls but the second, which asks for the first one's image again."""
    wall, processor = (list(clock[-1]) for clock in (reply.seconds, reply.processor))
    del wall[1], processor[1]
    return reply.load[0] + sum(wall), reply.load[1] + sum(processor)


def _ours(scorer: str, folder: Path, passes: int) -> Ours:
    (taken,) = run_workers(_score, [(scorer, folder / "images" / "cases.jsonl", passes)])
    return taken


def _score(job: tuple[str, Path, int]) -> Ours:
    import resource

    from benchmark.evaluate.external_images import read_images
    from benchmark.scorers import make_scorers
    from benchmark.scorers.engine.images import forget

    text, listing, passes = job
    images = read_images(listing)
    (scorer,) = make_scorers([text], "published")
    start, busy = time.perf_counter(), time.process_time()
    scorer.load("cpu")
    load = time.perf_counter() - start, time.process_time() - busy
    seconds, processor, values = [], [], []
    for _ in range(passes):
        start, busy = time.perf_counter(), time.process_time()
        values = [float(row.value or "nan") for row in scorer.score(images)]
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
        forget(images)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Ours(values, load, seconds, processor, peak)

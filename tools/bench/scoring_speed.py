"""Images a second of the four large scorers at their published sizes, with random weights, on one device.

    python -m tools.bench.scoring_speed --device cuda --images 256

writes weights (12 GB, once) and images to a folder, scores them in float32 and in bf16 as `fbench score`
does, and says how far bf16 and, on a GPU, the device moved the scores. The figures are those of docs/gpus.md.
"""

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from benchmark.core import resources
from benchmark.core.console import finish
from benchmark.evaluate.external_images import read_images
from benchmark.scorers import Scorer, make_scorers
from benchmark.scorers.engine.images import Shown, forget, parts

SCORERS: Final = ("clip", "hps", "pickscore", "imagereward")
EXACT: Final = 4
"""Images that the processor scores as well, for comparison."""


@dataclass(frozen=True)
class Speed:
    """What one scorer did.

    Attributes:
        scorer: Its name.
        precision: What its network computed in.
        load: Seconds until it was ready.
        rate: Images a second, decoding, preprocessing and texts included, the first batch not.
        moved: Largest difference from float32 on the same device; 0 for float32 itself.
        spread: Standard deviation of the scores.
        swapped: Pairs of images further apart than twice the stated tolerance that bf16 ranks otherwise.
        from_cpu: Largest difference from the processor's float32, for the first images; None on one.
    """

    scorer: str
    precision: str
    load: float
    rate: float
    moved: float
    spread: float
    swapped: int
    from_cpu: float | None

    def line(self) -> str:
        """For the terminal and the page."""
        cpu = "" if self.from_cpu is None else f", from the CPU {self.from_cpu:.2g}"
        return (
            f"{self.scorer:12} {self.precision}  {self.rate:8.2f} images/s, loaded in {self.load:.1f} s; "
            f"spread {self.spread:.3g}, moved by bf16 {self.moved:.2g}, {self.swapped} pairs swapped{cpu}"
        )


def measure(
    folder: Path, device: str, *, images: int = 256, side: int = 512, small: bool = False
) -> list[Speed]:
    """Writes what is missing and measures.

    Args:
        folder: Of weights and images; kept.
        device: Where to compute.
        images: How many.
        side: Of an image, in pixels.
        small: Networks of a few layers, for tests.
    """
    weights = write_weights(folder / ("small" if small else "full"), small=small)
    listing = write_images(folder / f"images-{images}-{side}", images, side)
    found = []
    for name in SCORERS:
        exact: np.ndarray | None = None
        for precision in ("fp32", "bf16"):
            speed, values = _one(name, weights[name], listing, device, precision, exact)
            exact = values if exact is None else exact
            print(speed.line(), flush=True)
            found.append(speed)
    return found


def _one(
    name: str, weights: Path, listing: Path, device: str, precision: str, exact: "np.ndarray | None"
) -> tuple[Speed, "np.ndarray"]:
    text = f"{name}(weights={str(weights)!r}, precision={precision!r})"
    (scorer,) = make_scorers([text], "embedded")
    start = time.perf_counter()
    scorer.load(device)
    load = time.perf_counter() - start
    image_set = read_images(listing)
    # The first part warms the device up, as a long run's does.
    _values(scorer, [next(iter(parts(image_set)))])
    forget(image_set)
    start = time.perf_counter()
    values = _values(scorer, parts(image_set))
    rate = len(values) / (time.perf_counter() - start)
    forget(image_set)
    reference = values if exact is None else exact
    apart = abs(reference[:, None] - reference[None]) > 2 * scorer.bf16_tolerance
    order = np.sign(reference[:, None] - reference[None]) != np.sign(values[:, None] - values[None])
    from_cpu = None
    if device != "cpu" and precision == "fp32":
        (again,) = make_scorers([text], "embedded")
        again.load("cpu")
        few = next(iter(parts(image_set)))
        from_cpu = float(abs(_values(again, [few.at(range(EXACT))]) - values[:EXACT]).max())
        forget(image_set)
    moved = float(abs(values - reference).max())
    swapped = int((apart & order).sum()) // 2
    return Speed(name, precision, load, rate, moved, float(values.std()), swapped, from_cpu), values


def _values(scorer: Scorer, seen: Iterable[Shown]) -> "np.ndarray":
    """What is known of a set is known to every scorer: it is forgotten between two measurements."""
    return np.array([row.value for part in seen for row in scorer.rows(part)], dtype=np.float64)


def write_weights(folder: Path, *, small: bool) -> Mapping[str, Path]:
    """Random weights of the four, in layouts that their scorers open."""
    from benchmark.networks.blip import PUBLISHED, RewardNet
    from tools.build_shapes.small_networks import save_reward_net, small_reward_config
    from tools.parity.weights import (
        layout_of,
        lively,
        write_clip_model,
        write_open_clip_folder,
    )

    clip, hps = folder / "clip", folder / "hps"
    pickscore, reward = folder / "pickscore", folder / "imagereward"
    if not (folder / "complete").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_open_clip_folder(clip, small=small)
        write_open_clip_folder(hps, small=small)
        write_clip_model(pickscore, small=small)
        network = RewardNet(small_reward_config(30524, side=224, patch=16) if small else PUBLISHED)
        network.load_state_dict(lively(layout_of(network), seed=2))
        save_reward_net(network, reward)
        words = resources.shapes_weights("shapes-imagereward/tokenizer")
        (reward / "tokenizer").mkdir(exist_ok=True)
        for file in words.iterdir():
            (reward / "tokenizer" / file.name).write_bytes(file.read_bytes())
        (folder / "complete").touch()
    return {"clip": clip, "hps": hps, "pickscore": pickscore, "imagereward": reward}


def write_images(folder: Path, count: int, side: int) -> Path:
    """Noise of several scales as PNG files, each with a prompt of its own, and their listing."""
    listing = folder / "images.jsonl"
    if not listing.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        g = np.random.default_rng(0)
        rows = []
        for i in range(count):
            coarse = g.integers(0, 256, (4 + i % 13, 4 + i % 7, 3), dtype=np.uint8)
            path = folder / f"{i:05d}.png"
            Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(path)
            rows.append({"id": f"p{i}", "prompt": f"number {i} of {count} colours", "image_path": path.name})
        listing.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return listing


def main() -> None:
    """Parses the command line and measures."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.scoring_speed", description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--folder", type=Path, default=Path("runs/scoring-speed"))
    parser.add_argument("--small", action="store_true", help="networks of a few layers, to try it out")
    args = parser.parse_args()
    measure(args.folder, args.device, images=args.images, side=args.side, small=args.small)


if __name__ == "__main__":
    finish(main)

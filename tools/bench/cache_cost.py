"""What the cache of latents costs and saves: `python -m tools.bench.cache_cost --base shapes`.

Prints its size, the time to fill it, and the time to draw a batch with it and without.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.devices import choose_device, free_threads
from benchmark.models import load_pipeline


@dataclass(frozen=True)
class CacheCost:
    """Size and times.

    Attributes:
        images: Different images of the pairs.
        captions: Different captions, the empty one included.
        image_bytes: Kept on disk of one image.
        caption_bytes: Kept on disk of one caption.
        fill_seconds: To fill the cache.
        cached_seconds: To draw a batch with it, mean.
        plain_seconds: To draw the same batch without it, mean.
    """

    images: int
    captions: int
    image_bytes: float
    caption_bytes: float
    fill_seconds: float
    cached_seconds: float
    plain_seconds: float

    @property
    def pays_after(self) -> float:
        """Steps after which filling the cache has cost less time than going without."""
        return self.fill_seconds / (self.plain_seconds - self.cached_seconds)


def measure(
    base: str, data: str, *, pairs: int, batch_size: int, steps: int, device: str = "auto"
) -> CacheCost:
    """Fills a cache of its own, and draws the same batches with it and without.

    Args:
        base: The base model.
        data: Preference data.
        pairs: How many pairs.
        batch_size: Pairs a batch.
        steps: How many batches are timed, after one that is not.
        device: Where it computes.
    """
    from trainers.batches import draw_batch
    from trainers.encoded_pairs import EncodedPairs
    from trainers.latents import encode_pairs
    from trainers.pairs import load_pairs
    from trainers.recipe import BatchPlan

    pipeline = load_pipeline(base, choose_device(device))
    found = load_pairs(data, held_out=0, limit=pairs).train
    plan = BatchPlan(0, batch_size)

    def drawing(encoded: EncodedPairs) -> float:
        for step in range(steps + 1):
            if step == 1:
                start = time.perf_counter()
            # On a GPU, reading a number waits for all that has been asked of it.
            float(draw_batch(pipeline, encoded, plan, step).inputs.noisy.sum())
        return (time.perf_counter() - start) / steps

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        cached = encode_pairs(pipeline, found, Path(folder))
        fill = time.perf_counter() - start
        sizes = {kind: _bytes(Path(folder), kind) for kind in ("latents", "texts")}
        counts = len(cached.images), len(cached.captions)
        plain = encode_pairs(pipeline, found, None)
        return CacheCost(
            *counts,
            sizes["latents"] / counts[0],
            sizes["texts"] / counts[1],
            fill,
            drawing(cached),
            drawing(plain),
        )


def _bytes(folder: Path, kind: str) -> int:
    return sum(file.stat().st_size for entry in folder.glob(f"{kind}-*") for file in entry.glob("*.npy"))


def main() -> None:
    """Parses the command line, measures, prints."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.cache_cost", description=__doc__)
    parser.add_argument("--base", default="shapes")
    parser.add_argument("--data", default="shapes-prefs")
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=96)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(free_threads())
    found = measure(
        args.base,
        args.data,
        pairs=args.pairs,
        batch_size=args.batch_size,
        steps=args.steps,
        device=args.device,
    )
    print(f"{found.images} images, {found.image_bytes / 1e3:.1f} kB each; ", end="")
    print(f"{found.captions} captions, {found.caption_bytes / 1e3:.1f} kB each")
    print(f"filling the cache   {found.fill_seconds:.1f} s")
    print(f"a batch with it     {1e3 * found.cached_seconds:.1f} ms")
    print(f"a batch without it  {1e3 * found.plain_seconds:.1f} ms")
    print(f"it pays after       {found.pays_after:.0f} steps of {args.batch_size} pairs")


if __name__ == "__main__":
    main()

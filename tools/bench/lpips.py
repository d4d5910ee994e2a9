"""`lpips`: mean pairwise LPIPS of the images of a prompt, against the lpips package called for the pairs."""

import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmark.core import resources
from benchmark.core.hashing import sha256_file
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, PromptSet, Sampler
from benchmark.core.words import number_of
from tools.bench.measuring import Measurement, compare

WEIGHTS = "shapes-perceptual"


def measure(prompts: int = 12, k: int = 8, rounds: int = 3) -> Measurement:
    """Ours sees every image once and compares features; the package sees both images of every pair.

    Args:
        prompts: Number of prompts.
        k: Images of each: k (k - 1) / 2 pairs.
        rounds: Of which the median counts.
    """
    import torch

    from benchmark.networks.perceptual import load_perceptual
    from benchmark.scorers.lpips import Lpips

    network = load_perceptual(resources.shapes_weights(WEIGHTS))
    scorer = Lpips("embedded")
    scorer.load("cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (prompts, k, 64, 64, 3), dtype=np.uint8)
    tensors = torch.from_numpy(pixels).permute(0, 1, 4, 2, 3).float() / 127.5 - 1
    pairs = list(combinations(range(k), 2))
    first, second = (list(side) for side in zip(*pairs, strict=True))

    @torch.inference_mode()
    def one_by_one() -> list[float]:
        return [
            float(np.mean([float(network(x[i : i + 1], x[j : j + 1])) for i, j in pairs])) for x in tensors
        ]

    @torch.inference_mode()
    def together() -> list[float]:
        return [float(network(x[first], x[second]).mean()) for x in tensors]

    with tempfile.TemporaryDirectory() as folder:
        images = _image_set(pixels, Path(folder))

        def ours() -> list[float | None]:
            return [row.value for row in scorer.score(images)]

        apart = max(abs(a - b) for a, b in zip(ours(), together(), strict=True) if a is not None)
        return compare(
            "lpips",
            ours,
            {"lpips, pair by pair": one_by_one, "lpips, all pairs of a prompt at once": together},
            unit="prompts/s",
            amount=prompts,
            rounds=rounds,
            note=f"K = {k}, squeeze, 64 x 64, {number_of(torch.get_num_threads(), 'thread')}; "
            f"values apart {apart:.1e}",
        )


def _image_set(pixels: "np.ndarray", folder: Path) -> ImageSet:
    """The images as files, as a scorer gets them."""
    from PIL import Image

    prompts = tuple(Prompt(f"p{i}", f"prompt {i}") for i in range(len(pixels)))
    records = []
    for prompt, images in zip(prompts, pixels, strict=True):
        for seed, image in enumerate(images):
            path = folder / f"{prompt.id}_{seed}.png"
            Image.fromarray(image).save(path)
            records.append(ImageRecord(prompt.id, seed, path, sha256_file(path)))
    prompt_set = PromptSet("bench", "1", prompts)
    seeds = tuple(range(pixels.shape[1]))
    return ImageSet("bench", Checkpoint("base", "shapes"), prompt_set, Sampler(), seeds, tuple(records))

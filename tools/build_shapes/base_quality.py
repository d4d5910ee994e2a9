"""Stage `base_quality`: chooses the guidance on validation prompts, measures the base on test prompts."""

from collections import defaultdict
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmark.core.records import PromptSet, Sampler
from benchmark.generate import image_seed, sample
from benchmark.models import load_pipeline
from benchmark.models.families.base import Pipeline
from benchmark.prompt_sets import load_prompt_set
from benchmark.shapes.truth import Judgement, load_judge
from benchmark.shapes.vocabulary import COLOURS
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build

SCALES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
TOLERANCE = 0.02
SAMPLER = Sampler(steps=16, batch_size=16)


def draw(
    pipeline: Pipeline, prompts: PromptSet, k: int, sampler: Sampler
) -> tuple[NDArray[np.uint8], list[str]]:
    """K images of every prompt and their captions."""
    texts = [p.text for p in prompts for _ in range(k)]
    seeds = [image_seed(sampler, p.text, i) for p in prompts for i in range(k)]
    return sample(pipeline, texts, seeds, sampler), texts


def by_kind(judged: Judgement) -> dict[str, float]:
    """The share of stated facts shown, for every kind of fact."""
    right = defaultdict(list)
    for match in judged.matches:
        for kind, ok in match.right:
            right[kind].append(ok)
    return {kind: round(float(np.mean(oks)), 4) for kind, oks in right.items()}


def colour_entropy(judged: Judgement) -> float:
    """Entropy of the colours of objects whose colour the prompt leaves open, over the world's log 8."""
    colours = [
        int(judged.readings.colour[n, i ^ judged.matches[n].first])
        for n, facts in enumerate(judged.facts)
        for i, thing in enumerate(facts.objects)
        if thing.colour is None
    ]
    share = np.bincount([c for c in colours if c >= 0], minlength=len(COLOURS)) / max(1, len(colours))
    return round(float(-(share[share > 0] * np.log(share[share > 0])).sum() / log(len(COLOURS))), 4)


def choose_guidance(
    pipeline: Pipeline, sampler: Sampler, build: Build
) -> tuple[float, dict[str, dict[str, float]]]:
    """The smallest scale whose alignment on validation prompts is within 0.02 of the best."""
    prompts = load_prompt_set("shapes-validation", limit=build.amount(96, 2))
    judge = load_judge("oracle", build.weights)
    table = {}
    for scale in SCALES:
        judged = judge(*draw(pipeline, prompts, 2, replace(sampler, guidance=scale)))
        table[str(scale)] = {
            "alignment": round(float(judged.alignment.mean()), 4),
            "scene_rate": round(float(judged.scene.float().mean()), 4),
        }
        print(f"guidance {scale}: {table[str(scale)]}", flush=True)
    best = max(row["alignment"] for row in table.values())
    return next(s for s in SCALES if table[str(s)]["alignment"] >= best - TOLERANCE), table


def write_sheet(images: NDArray[np.uint8], columns: int, path: Path) -> None:
    """Images side by side, twice their size."""
    rows = len(images) // columns
    grid = (
        images[: rows * columns]
        .reshape(rows, columns, 64, 64, 3)
        .swapaxes(1, 2)
        .reshape(rows * 64, columns * 64, 3)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid).resize((columns * 128, rows * 128), Image.Resampling.NEAREST).save(path)


def run(build: Build) -> None:
    """Writes the card with the held-out bars, and a sheet to look at."""
    measure(build, "shapes-sd", "base_quality", SAMPLER)


def measure(build: Build, model: str, stage: str, sampling: Sampler) -> None:
    """Chooses a model's guidance on validation prompts and measures it on test prompts.

    Args:
        build: Where its folder lies, and the judge's.
        model: The folder.
        stage: Whose card is written.
        sampling: How its images are made, but for the guidance.
    """
    torch.set_num_threads(1)
    pipeline = load_pipeline(str(build.weights / model))
    fast = replace(sampling, precision=pipeline.sampler.precision)
    guidance, table = choose_guidance(pipeline, fast, build)
    prompts = load_prompt_set("shapes-core", limit=build.amount(192, 2))
    sampler = replace(fast, guidance=guidance)
    images, texts = draw(pipeline, prompts, 4, sampler)
    judge = load_judge("oracle", build.weights)
    judged = judge(images, texts)
    shuffled = judge(images, texts[len(texts) // 2 :] + texts[: len(texts) // 2])
    kinds = by_kind(judged)
    write_sheet(
        images[: 16 * 12 * 4 : 4] if len(images) >= 768 else images,
        16 if len(images) >= 768 else 2,
        build.state / ("base.png" if stage == "base_quality" else f"{stage}.png"),
    )
    write_card(build, stage, None, {
        "guidance": guidance,
        "guidance_table": table,
        "sampler": sampler.signature,
        "alignment_macro": round(float(np.mean(list(kinds.values()))), 4),
        "alignment_by_kind": kinds,
        "alignment_shuffled_macro": round(float(np.mean(list(by_kind(shuffled).values()))), 4),
        "alignment_mean": round(float(judged.alignment.mean()), 4),
        "scene_rate": round(float(judged.scene.float().mean()), 4),
        "colour_entropy_of_world": colour_entropy(judged),
        "true_reward": round(float(judged.reward.mean()), 4),
    })  # fmt: skip

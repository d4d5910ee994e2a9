"""Stage `preferences`: base images labelled by population 1, and the style pairs; columns as Pick-a-Pic's."""

import numpy as np
from numpy.typing import NDArray

from benchmark.shapes.annotators import TASTE_VERSION
from benchmark.shapes.facts import wanted
from benchmark.shapes.grammar import parse
from benchmark.shapes.renderer import render, to_uint8
from benchmark.shapes.scenes import sample_scenes
from benchmark.shapes.vocabulary import STYLES
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, generator
from tools.build_shapes.prompts import PAPER_STYLES
from tools.build_shapes.samples import Samples, load_samples
from trainers.pairs.parquet import encode_jpeg, preference_row, write_rows

HELD_OUT_PROMPTS, HELD_OUT_PAIRS, STYLE_PAIRS = 350, 1000, 300
TASTE_PAIRS, CONTENT_PAIRS = 8, 1
"""Of each prompt, at most: of two pictures that show all that was asked, and of one that does and one not."""

Row = dict[str, object]


def pair_indices(rewards: NDArray[np.float32], complete: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(better, worse) pairs among the K images of a prompt, no two of which are worth the same.

    Real annotators choose mostly between pictures that are both all right. So most pairs are of complete
    scenes, which differ in taste alone, the largest differences first; the others set the best complete
    scenes against the worst pictures that are none.
    """
    order = np.argsort(-rewards, kind="stable").tolist()
    good = [i for i in order if complete[i]]
    poor = [i for i in order[::-1] if not complete[i]]
    taste = [(a, b) for n, a in enumerate(good) for b in good[n + 1 :] if rewards[a] > rewards[b]]
    taste.sort(key=lambda pair: rewards[pair[1]] - rewards[pair[0]])
    content = [(a, b) for a, b in zip(good, poor, strict=False) if rewards[a] > rewards[b]]
    return taste[:TASTE_PAIRS] + content[:CONTENT_PAIRS]


def label(samples: Samples, prompts: range, rng: np.random.Generator) -> list[Row]:
    """Pairs labelled by Bradley and Terry's model of population 1; the order within a pair is a coin's.

    A miniature's pictures are never scenes: where no prompt has a pair, each gets its first two images.
    """
    rewards = samples.rewards[0]
    found = {p: pair_indices(rewards[p], samples.complete[p]) for p in prompts}
    if not any(found.values()):
        found = {p: [(0, 1)] for p in prompts}
    rows: list[Row] = []
    for p, pairs in found.items():
        for pair in pairs:
            a, b = pair if rng.random() < 0.5 else pair[::-1]
            chance = 1 / (1 + np.exp(rewards[p, b] - rewards[p, a]))
            won = int(rng.random() < chance)
            rows.append(preference_row(samples.captions[p], samples.jpegs[p][a], samples.jpegs[p][b], won))
    return rows


def chances(samples: Samples) -> NDArray[np.float64]:
    """The chance that each population prefers the first of every pair, (2, pairs)."""
    gaps = [
        samples.rewards[:, p, a] - samples.rewards[:, p, b]
        for p in range(len(samples.captions))
        for a, b in pair_indices(samples.rewards[0, p], samples.complete[p])
    ]
    return np.asarray(1 / (1 + np.exp(-np.reshape(gaps, (-1, 2)).T.astype(np.float64))))


def agreement(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """How often two annotators agree on a pair, who prefer its first with these chances."""
    return round(float(np.mean(p * q + (1 - p) * (1 - q))), 4) if p.size else 0.5


def style_rows(style: str, samples: Samples, build: Build) -> list[Row]:
    """Preferred: a render in the style; rejected: a base image of the prompt, which leaves the style open."""
    g = generator(build.seed, "style", style)
    open_style = [p for p, text in enumerate(samples.captions) if parse(text).style is None]
    chosen = [
        open_style[i % len(open_style)]
        for i in range(PAPER_STYLES.index(style), 3 * build.amount(STYLE_PAIRS, 4), 3)
    ]
    facts = [parse(samples.captions[p]) for p in chosen]
    want = wanted(facts)
    want.style[:] = list(STYLES).index(style)
    renders = to_uint8(render(sample_scenes(want, g))).numpy()
    return [
        preference_row(samples.captions[p], encode_jpeg(r), samples.jpegs[p][0], 1)
        for p, r in zip(chosen, renders, strict=True)
    ]


def run(build: Build) -> None:
    """Labels the pairs and writes the data sets with their card."""
    samples = load_samples(build)
    n, held_out = len(samples.captions), build.amount(HELD_OUT_PROMPTS, 4)
    rng = np.random.default_rng(build.seed)
    sizes = {
        "shapes-prefs/train.parquet": label(samples, range(n - held_out), rng),
        "shapes-prefs/heldout.parquet": label(samples, range(n - held_out, n), rng)[:HELD_OUT_PAIRS],
    } | {f"shapes-style-{s}.parquet": style_rows(s, samples, build) for s in PAPER_STYLES}
    bytes_by_file = {name: write_rows(rows, build.data / name, len(rows)) for name, rows in sizes.items()}
    one, two = chances(samples)
    pairs = [pair_indices(r, c) for r, c in zip(samples.rewards[0], samples.complete, strict=True)]
    complete = [samples.complete[p, b] for p, found in enumerate(pairs) for _, b in found]
    write_card(build, "preferences", None, {
        "taste_version": TASTE_VERSION,
        "pairs": {name: len(rows) for name, rows in sizes.items()},
        "pairs_of_two_complete_scenes": round(float(np.mean(complete)), 4) if complete else 0.0,
        "bytes": bytes_by_file,
        "base_alignment": round(samples.alignment, 4),
        "base_scene_rate": round(samples.scene, 4),
        "base_complete": round(float(samples.complete.mean()), 4),
        "agreement_within_population_1": agreement(one, one),
        "agreement_within_population_2": agreement(two, two),
        "agreement_across": agreement(one, two),
    })  # fmt: skip

"""Stage `preferences`: base images labelled by population 1, and the style pairs; columns as Pick-a-Pic's."""

import numpy as np
from numpy.typing import NDArray

from benchmark.shapes.facts import wanted
from benchmark.shapes.grammar import parse
from benchmark.shapes.renderer import render, to_uint8
from benchmark.shapes.scenes import sample_scenes
from benchmark.shapes.vocabulary import STYLES
from benchmark.workflows.pairs.labels import ranked_pairs
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, generator
from tools.build_shapes.prompts import PAPER_STYLES
from tools.build_shapes.samples import Samples, load_samples
from trainers.pairs.parquet import encode_jpeg, preference_row, write_rows

HELD_OUT_PROMPTS, HELD_OUT_PAIRS, STYLE_PAIRS = 500, 1000, 300
PAIRS = 3
"""Of each prompt, at most."""

Row = dict[str, object]


def pair_indices(rewards: NDArray[np.float32], *, ties: bool = False) -> list[tuple[int, int]]:
    """Up to `PAIRS` pairs among four images, of which no two are worth the same.

    Best against worst comes first, then the two between. Two pictures that are no scenes are worth nothing
    both; a label for them would be a coin's, so such ties are dropped, unless they are asked for.
    """
    return [(a, b) for a, b in ranked_pairs(rewards) if ties or rewards[a] > rewards[b]][:PAIRS]


def label(samples: Samples, prompts: range, rng: np.random.Generator) -> list[Row]:
    """Pairs labelled by Bradley and Terry's model of population 1; the order within a pair is a coin's.

    Ties count only if there is nothing else, as in a miniature, whose pictures are never scenes.
    """
    rows: list[Row] = []
    rewards = samples.rewards[0, prompts.start : prompts.stop]
    all_tied = bool((rewards == rewards[:, :1]).all())
    for p in prompts:
        for pair in pair_indices(samples.rewards[0, p], ties=all_tied):
            a, b = pair if rng.random() < 0.5 else pair[::-1]
            chance = 1 / (1 + np.exp(samples.rewards[0, p, b] - samples.rewards[0, p, a]))
            won = int(rng.random() < chance)
            rows.append(preference_row(samples.captions[p], samples.jpegs[p][a], samples.jpegs[p][b], won))
    return rows


def agreement(rewards: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """How often two annotators agree on a pair, one from each table of rewards (P, K)."""
    out = []
    for r, o in zip(rewards, other, strict=True):
        for a, b in pair_indices(r):
            p, q = 1 / (1 + np.exp(r[b] - r[a])), 1 / (1 + np.exp(o[b] - o[a]))
            out.append(p * q + (1 - p) * (1 - q))
    return round(float(np.mean(out)), 4)


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
    one, two = samples.rewards
    spread = [abs(r[a] - r[b]) for r in one for a, b in pair_indices(r)]
    write_card(build, "preferences", None, {
        "pairs": {name: len(rows) for name, rows in sizes.items()},
        "bytes": bytes_by_file,
        "base_alignment": round(samples.alignment, 4),
        "base_scene_rate": round(samples.scene, 4),
        "agreement_within_population_1": agreement(one, one),
        "agreement_within_population_2": agreement(two, two),
        "agreement_across": agreement(one, two),
        "mean_reward_gap": round(float(np.mean(spread)), 3),
        "rms_reward_gap": round(float(np.sqrt(np.mean(np.square(spread)))), 3),
    })  # fmt: skip

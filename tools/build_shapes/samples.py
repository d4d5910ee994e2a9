"""Stage `samples`: base images for many prompts, K of each, as JPEGs: what preferences are about."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch.distributed as dist
from numpy.typing import NDArray

from benchmark.core.hashing import sha256_path
from benchmark.core.pixels import decode_rgb
from benchmark.core.records import Sampler
from benchmark.generate import image_seed, sample
from benchmark.models import load_pipeline
from benchmark.models.families.unet import SHAPES_GUIDANCE
from benchmark.shapes.annotators import TASTE_VERSION, open_likings
from benchmark.shapes.facts import draw_facts
from benchmark.shapes.grammar import caption
from benchmark.shapes.truth import load_judge
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, compiled, generator
from tools.build_shapes.workers import is_first
from trainers.pairs.parquet import encode_jpeg

PROMPTS, K, CHUNK = 2432, 8, 32
LEAST_OPEN = 2.0
"""The weight of what a prompt leaves open, at least: about two facts."""
SAMPLER = Sampler(steps=16, guidance=SHAPES_GUIDANCE, seed=20_000, batch_size=32)


@dataclass(frozen=True)
class Samples:
    """P prompts with K base images each.

    Attributes:
        captions: P texts.
        jpegs: P lists of K encoded images.
        images: The same, decoded: uint8, (P, K, 64, 64, 3).
        rewards: Noise-free rewards of both populations by `oracle_label`, (2, P, K): P(a over b) =
        sigma(r_a - r_b).
        complete: Whether each is a scene that shows all stated facts, (P, K).
    """

    captions: list[str]
    jpegs: list[list[bytes]]
    images: NDArray[np.uint8]
    rewards: NDArray[np.float32]
    complete: NDArray[np.bool_]
    alignment: float
    scene: float


def sample_captions(build: Build) -> list[str]:
    """Captions of distinct preference facts that leave open what annotators have a taste for."""
    g = generator(build.seed, "sample-captions")
    found: dict[str, str] = {}
    while len(found) < build.amount(PROMPTS, 16):
        facts = draw_facts(g, "preference")
        if facts.stated > 1 and sum(weight for *_, weight in open_likings(facts)) >= LEAST_OPEN:
            found.setdefault(facts.key, caption(facts, g))
    return list(found.values())


def chunk_path(build: Build, start: int) -> Path:
    """Where a run of prompts is kept until all are there."""
    return build.state / "samples" / f"{start:06d}.parquet"


def run(build: Build) -> None:
    """Samples what is missing, chunk by chunk; several processes take turns."""
    texts = sample_captions(build)
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    starts = [s for s in range(0, len(texts), CHUNK) if not chunk_path(build, s).exists()]
    pipeline = load_pipeline(str(build.weights / "shapes-sd"))
    sampler = replace(SAMPLER, precision=pipeline.sampler.precision)
    pipeline = pipeline.with_network(compiled(build, pipeline.network))
    for start in starts[rank::world]:
        captions = texts[start : start + CHUNK]
        repeated = [c for c in captions for _ in range(K)]
        seeds = [image_seed(sampler, c, k) for c in captions for k in range(K)]
        jpegs = [encode_jpeg(image) for image in sample(pipeline, repeated, seeds, sampler)]
        table = pa.table({"caption": repeated, "jpg": jpegs})
        path = chunk_path(build, start)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
        print(f"samples {start + len(captions)}/{len(texts)}", flush=True)
    if dist.is_initialized():
        dist.barrier()
    if is_first():
        write_card(build, "samples", None, {"images": len(texts) * K, "sampler": SAMPLER.signature})


def read_chunks(build: Build, texts: list[str]) -> pa.Table:
    """All chunks as one table, in the order of the captions."""
    return pa.concat_tables([pq.read_table(chunk_path(build, s)) for s in range(0, len(texts), CHUNK)])


def judged(build: Build, captions: list[str], images: NDArray[np.uint8]) -> pa.Table:
    """What `oracle_label` and both populations think of every image; computed once for its weights."""
    digest = sha256_path(build.weights / "oracle_label")[:12]
    path = build.state / f"samples-judged-{digest}-taste{TASTE_VERSION}.parquet"
    if path.exists():
        return pq.read_table(path)
    found = load_judge("oracle_label", build.weights)(images, captions)
    table = pa.table({
        "reward_1": found.reward.tolist(),
        "reward_2": found.reward_heldout.tolist(),
        "alignment": found.alignment.tolist(),
        "scene": found.scene.float().tolist(),
        "complete": found.complete.tolist(),
    })  # fmt: skip
    pq.write_table(table, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)
    return table


def load_samples(build: Build) -> Samples:
    """The finished samples with their rewards, in random order: the last captions drawn say the most."""
    texts = sample_captions(build)
    table = read_chunks(build, texts)
    flat: list[bytes] = table["jpg"].to_pylist()
    images = np.stack([decode_rgb(j) for j in flat])
    truth = judged(build, table["caption"].to_pylist(), images)
    columns = [truth[c].to_numpy().reshape(len(texts), K) for c in ("reward_1", "reward_2")]
    order = np.random.default_rng(build.seed).permutation(len(texts))
    jpegs = [flat[i * K : (i + 1) * K] for i in order]
    means = {c: float(np.mean(truth[c].to_numpy())) for c in ("alignment", "scene")}
    shaped = images.reshape(len(texts), K, *images.shape[1:])[order]
    complete = truth["complete"].to_numpy(zero_copy_only=False).reshape(len(texts), K)[order]
    rewards = np.stack(columns).astype(np.float32)[:, order]
    return Samples([texts[i] for i in order], jpegs, shaped, rewards, complete, **means)

"""The images that pairs are made of, as an evaluation samples them; and the parquet files of the pairs."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmark.core import store
from benchmark.core.devices import choose_device
from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet
from benchmark.core.sealed import is_whole
from benchmark.generate import console_progress, generate, image_seed, sample_walks
from benchmark.models import load_pipeline, open_checkpoint
from benchmark.workflows.pairs.labels import Choice
from trainers.pairs.parquet import encode_jpeg, preference_row, write_rows
from trainers.trajectories import WalkRecord, part_file, write_part

if TYPE_CHECKING:
    from benchmark.evaluate.plan import EvalPlan
    from benchmark.models.families.base import Pipeline

LISTING: Final = "images.jsonl"
WALKS: Final = "trajectories"
PAIRS_PER_FILE: Final = 10_000


def sample_images(agenda: "EvalPlan") -> ImageSet:
    """K images a prompt from the one checkpoint of a checked evaluation; what is there is not made again."""
    config = agenda.config
    base, checkpoint, policy = _open(agenda)
    with console_progress(f"generating {checkpoint.id}") as tell:
        return generate(
            checkpoint,
            policy,
            agenda.prompt_set,
            config.sampling(base.sampler),
            config.images_per_prompt,
            config.out,
            progress=tell,
        )


def keep_walks(agenda: "EvalPlan", images: ImageSet, used: Sequence[ImageRecord], folder: Path) -> WalkRecord:
    """Draws some images again and keeps every step; what is there is not drawn again.

    Args:
        agenda: A checked evaluation.
        images: All images.
        used: Those whose walks are kept.
        folder: Beside the one of the pairs; the parts go into a folder named by their content.
    """
    digests = tuple(sha256_bytes(encode_jpeg(images.open(record))) for record in used)
    sampler = images.sampler
    key = sha256_json([digests, sampler.signature, images.checkpoint.revision])[:16]
    found = WalkRecord(
        sampler.steps,
        max(1.0, sampler.guidance),
        images.checkpoint.id,
        digests,
        f"../{WALKS}/{key}",
        sealed=True,
    )
    place, policy = folder / WALKS / key, None
    with console_progress("keeping trajectories") as tell:
        for number in range(found.parts):
            part = used[number * found.part : (number + 1) * found.part]
            if not is_whole(part_file(place, number)):
                policy = policy or _open(agenda)[2]
                texts = [images.prompt(record).text for record in part]
                seeds = [
                    image_seed(sampler, text, record.seed) for text, record in zip(texts, part, strict=True)
                ]
                write_part(place, number, sample_walks(policy, texts, seeds, sampler))
            tell(min((number + 1) * found.part, len(used)), len(used))
    return found


def list_images(images: ImageSet, folder: Path) -> Path:
    """Writes the images as JSONL, for people who label them and for ``fbench score``."""
    path = folder / LISTING
    lines = [
        json.dumps(
            {
                # One id under two names: of `fbench score`'s rows, and of the labels that come back.
                "id": record.prompt_id,
                "prompt_id": record.prompt_id,
                "seed": record.seed,
                "prompt": images.prompt(record).text,
                "image_path": record.path.relative_to(folder).as_posix(),
            },
            ensure_ascii=False,
        )
        for record in images.ok
    ]
    store.write_text(path, "".join(f"{line}\n" for line in lines))
    return path


def write_shards(
    choices: Sequence[Choice], images: ImageSet, folder: Path, split: str, *, labelled_by: str, seed: int
) -> None:
    """Writes pairs as `SPLIT-00000-of-00002.parquet`, as the hub names shards.

    Args:
        choices: The pairs.
        images: Their images.
        folder: Where.
        split: `train` or `heldout`.
        labelled_by: Who labelled them.
        seed: Decides which image of a pair is image 0: else the first one would always be the better.
    """
    records = {(record.prompt_id, record.seed): record for record in images.ok}
    files = -(-len(choices) // PAIRS_PER_FILE)
    for i in range(files):
        part = choices[i * PAIRS_PER_FILE : (i + 1) * PAIRS_PER_FILE]
        rows = _rows(part, images, records, labelled_by, seed)
        write_rows(rows, folder / f"{split}-{i:05d}-of-{files:05d}.parquet")


def held_out_prompts(images: ImageSet, share: float) -> frozenset[str]:
    """The ids of a share of the prompts: those whose texts have the lowest hashes.

    By text, so that no caption is on both sides; at least one where the share is above 0.
    """
    texts = sorted({prompt.text for prompt in images.prompt_set}, key=lambda t: sha256_bytes(t.encode()))
    count = min(max(1, round(share * len(texts))), len(texts) - 1) if share > 0 else 0
    chosen = set(texts[:count])
    return frozenset(prompt.id for prompt in images.prompt_set if prompt.text in chosen)


def _open(agenda: "EvalPlan") -> "tuple[Pipeline, Checkpoint, Pipeline]":
    """The base model, and the checkpoint with its policy."""
    config = agenda.config
    device = choose_device(config.device)
    base = load_pipeline(config.base, device, offline=config.offline, precision=config.precision)
    return base, *open_checkpoint(config.checkpoint[0], base, offline=config.offline)


def _rows(
    choices: Sequence[Choice],
    images: ImageSet,
    records: dict[tuple[str, int], ImageRecord],
    labelled_by: str,
    seed: int,
) -> Iterator[dict[str, object]]:
    prompts, model = images.prompt_set.by_id, images.checkpoint.id
    for choice in choices:
        text = prompts[choice.prompt_id].text
        ks = (choice.better, choice.worse)
        scores: tuple[float | None, float | None] = choice.scores or (None, None)
        swapped = int(sha256_json([seed, text, sorted(ks)])[:8], 16) % 2 == 1
        won = 0.5 if choice.tie else float(not swapped)
        if swapped:
            ks, scores = ks[::-1], scores[::-1]
        pair = [records[choice.prompt_id, k] for k in ks]
        uids = [record.sha256[:32] for record in pair]
        jpegs = [encode_jpeg(images.open(record)) for record in pair]
        yield preference_row(text, jpegs[0], jpegs[1], won) | {
            "image_0_uid": uids[0],
            "image_1_uid": uids[1],
            "best_image_uid": "" if choice.tie else uids[int(swapped)],
            "are_different": uids[0] != uids[1],
            "has_label": True,
            "model_0": model,
            "model_1": model,
            "prompt_id": choice.prompt_id,
            "prompt_set": f"{images.prompt_set.name}@{images.prompt_set.version}",
            "seed_0": ks[0],
            "seed_1": ks[1],
            "score_0": _number(scores[0]),
            "score_1": _number(scores[1]),
            "labelled_by": labelled_by,
            "sampler": images.sampler.signature,
        }


def _number(score: float | None) -> float:
    # A column has one type, also in a file whose labels come without numbers.
    return float("nan") if score is None else score

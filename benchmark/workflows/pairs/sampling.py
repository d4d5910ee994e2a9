"""The images that pairs are made of: sampled from one checkpoint, as an evaluation samples them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmark.core import store
from benchmark.core.devices import choose_device
from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet
from benchmark.core.sealed import is_whole
from benchmark.generate import console_progress, generate, image_seed, sample_walks
from benchmark.models import load_pipeline, open_checkpoint
from trainers.pairs.parquet import encode_jpeg
from trainers.trajectories import WalkRecord, part_file, write_part

if TYPE_CHECKING:
    from benchmark.evaluate.plan import EvalPlan
    from benchmark.models.families.base import Pipeline

LISTING: Final = "images.jsonl"
WALKS: Final = "trajectories"


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


def _open(agenda: "EvalPlan") -> "tuple[Pipeline, Checkpoint, Pipeline]":
    """The base model, and the checkpoint with its policy."""
    config = agenda.config
    device = choose_device(config.device)
    base = load_pipeline(config.base, device, offline=config.offline, precision=config.precision)
    return base, *open_checkpoint(config.checkpoint[0], base, offline=config.offline)

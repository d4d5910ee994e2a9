"""From labelled pairs to parquet: Pick-a-Pic's columns, and where each pair came from."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.records import ImageRecord, ImageSet
from benchmark.workflows.pairs.labels import Choice
from trainers.pairs.parquet import encode_jpeg, preference_row, write_rows

PAIRS_PER_FILE = 10_000


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

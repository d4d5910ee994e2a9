"""The images of one checkpoint on one prompt set, as files: what is there already is not made again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core import hashing, store
from benchmark.core.errors import UserError
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, PromptSet, Sampler
from benchmark.core.words import number_of
from benchmark.generate.index import ImageIndex, image_key
from benchmark.generate.progress import Progress
from benchmark.generate.seeds import Shard, image_seed

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB
    from benchmark.generate.sampling import TextCache
    from benchmark.models.families.base import Pipeline

_ALL = Shard()


@dataclass(frozen=True)
class Cell:
    """One image to be made.

    Attributes:
        prompt_id: For which prompt.
        text: What the model reads.
        k: Index among the prompt's images.
        seed: Of its generator.
        path: Where it goes.
        key: Hash of what decides its pixels.
    """

    prompt_id: str
    text: str
    k: int
    seed: int
    path: Path
    key: str

    def record(self, sha256: str) -> ImageRecord:
        """The trace of the finished image."""
        return ImageRecord(self.prompt_id, self.k, self.path, sha256)

    def failed(self, why: str) -> ImageRecord:
        """The trace of an image that could not be made; one of other settings must not stay in its place."""
        self.path.unlink(missing_ok=True)
        return ImageRecord(self.prompt_id, self.k, self.path, status="error", note=" ".join(why.split()))


def generate(
    checkpoint: Checkpoint,
    pipeline: "Pipeline",
    prompt_set: PromptSet,
    sampler: Sampler,
    images_per_prompt: int,
    folder: Path,
    *,
    shard: Shard = _ALL,
    progress: Progress | None = None,
) -> ImageSet:
    """Makes what is missing of a checkpoint's images and returns all of them.

    The same call again makes nothing; after an interruption it goes on; other settings never reuse an image.

    Args:
        checkpoint: Who, as `open_checkpoint` returns it.
        pipeline: The same, loaded.
        prompt_set: For what.
        sampler: How.
        images_per_prompt: K.
        folder: The evaluation's; images go to `images/<checkpoint-id>/<prompt-id>_<k>.png` below it.
        shard: Only this part of the prompts.
        progress: Told what is there, after each batch.

    Returns:
        A record for each prompt (of the shard) and k; an image that failed has the status `error`.

    Raises:
        UserError: if images_per_prompt is below 1, or the folder cannot be written or is full.
        Exception: what the model raised, if it fails on every image of the first batch.
    """
    if images_per_prompt < 1:
        raise UserError(f"--images-per-prompt is {images_per_prompt}", allowed="a positive number")
    place = folder / "images" / checkpoint.id
    cells = _cells(checkpoint, prompt_set, sampler, images_per_prompt, place, shard)
    index = ImageIndex(place, shard.suffix)
    done = {cell: cell.record(sha) for cell in cells if (sha := index.find(cell.path.name, cell.key))}
    missing = [cell for cell in cells if cell not in done]
    # Twice what an uncompressed image takes, for the worst of noise.
    store.require_space(
        place, len(missing) * 2 * 3 * pipeline.image_size**2, number_of(len(missing), "image")
    )
    tell = progress or _silence
    tell(len(done), len(cells))
    try:
        _make(missing, pipeline, sampler, index, done, lambda n: tell(n, len(cells)))
    finally:
        # Also on Ctrl-C: what has been made is then found by the next call.
        index.write()
    ks = tuple(range(images_per_prompt))
    content = ImageSet.content_id(checkpoint, prompt_set, sampler, ks)
    return ImageSet(content, checkpoint, prompt_set, sampler, ks, tuple(done[cell] for cell in cells))


def _cells(
    checkpoint: Checkpoint, prompt_set: PromptSet, sampler: Sampler, images: int, place: Path, shard: Shard
) -> list[Cell]:
    return [
        Cell(
            prompt_id=prompt.id,
            text=prompt.text,
            k=k,
            seed=image_seed(sampler, prompt.text, k),
            path=place / f"{prompt.id}_{k}.png",
            key=image_key(checkpoint, prompt.text, k, sampler),
        )
        for number, prompt in enumerate(prompt_set)
        if number in shard
        for k in range(images)
    ]


def _make(
    missing: Sequence[Cell],
    pipeline: "Pipeline",
    sampler: Sampler,
    index: ImageIndex,
    done: dict[Cell, ImageRecord],
    tell: Callable[[int], None],
) -> None:
    from benchmark.generate.sampling import TextCache, batches

    if not missing:
        return
    pipeline = pipeline.for_sampling(sampler.precision, compiled=sampler.compiled)
    texts = TextCache(pipeline)
    for rows in batches(len(missing), sampler.batch_size):
        cells = [missing[i] for i in rows]
        outcomes = _draw(cells, pipeline, texts, sampler, first=rows.start == 0)
        for cell, outcome in zip(cells, outcomes, strict=True):
            if isinstance(outcome, str):
                done[cell] = cell.failed(outcome)
                continue
            data = _png(outcome)
            store.write_bytes(cell.path, data)
            done[cell] = cell.record(hashing.sha256_bytes(data))
            index.add(cell.path.name, cell.key, done[cell].sha256)
        tell(len(done))


def _draw(
    cells: list[Cell], pipeline: "Pipeline", texts: "TextCache", sampler: Sampler, *, first: bool
) -> "list[RGB | str]":
    """For each cell its pixels, or in words why it has none."""
    from benchmark.generate.sampling import sample_batch

    try:
        prompts, seeds = [cell.text for cell in cells], [cell.seed for cell in cells]
        drawn = sample_batch(pipeline, texts, prompts, seeds, sampler)
    except UserError:
        raise
    # Whatever goes wrong with one image, the others must still be made.
    except Exception as error:
        if len(cells) == 1:
            return [f"{type(error).__name__}: {error}"]
        # One bad image takes its batch along: alone, each shows whether it is the one.
        alone = [_draw([cell], pipeline, texts, sampler, first=False)[0] for cell in cells]
        if first and all(isinstance(outcome, str) for outcome in alone):
            # Nothing works: that is no failed image but a failed run, and is told now.
            raise
        return alone
    pairs = zip(drawn.images, drawn.finite, strict=True)
    return [image if fine else "the model's latents are not finite" for image, fine in pairs]


def _png(image: "RGB") -> bytes:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _silence(done: int, total: int) -> None:
    """Nobody asked."""

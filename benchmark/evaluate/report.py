"""The report page of finished evaluations, from what lies in their folders: no model is loaded."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.core.manifest import FILE_NAME, Manifest, read_manifest
from benchmark.core.records import ImageSet, Leaderboard
from benchmark.evaluate.reopen import read_image_sets
from benchmark.leaderboard import ScoreTable
from benchmark.leaderboard.comparability import prompt_ids_in
from benchmark.report.page import PageSource


def page_source(leaderboard: Leaderboard, table: ScoreTable, places: Sequence[Path]) -> PageSource:
    """What the page of a leaderboard shows beside it.

    Args:
        leaderboard: The ranking.
        table: The rows it was built from, joined.
        places: The evaluations' folders; a ``scores.parquet`` alone has neither manifest nor pictures.

    Returns:
        The source; where pictures or prompts are gone, a note in their place.
    """
    sets: dict[str, ImageSet] = {}
    manifests, training, notes = list[Manifest](), list[Manifest](), list[str]()
    for place in places:
        folder = place if place.is_dir() else place.parent
        if not (folder / FILE_NAME).is_file():
            notes.append(f"No pictures of {place}: no evaluation lies there.")
            continue
        try:
            manifests.append(read_manifest(folder))
            training += training_manifests(manifests[-1])
            for images in read_image_sets(folder):
                named = _named_as_in(table, images, sets)
                sets.setdefault(named.checkpoint.id, named)
        except UserError as error:
            notes.append(f"No pictures of {place}: {error}.")
    # In the order of the arguments, each once.
    unique = {manifest.model_dump_json(): manifest for manifest in (*manifests, *training)}
    return PageSource(leaderboard, table, tuple(sets.values()), tuple(unique.values()), tuple(notes))


def _named_as_in(table: ScoreTable, images: ImageSet, taken: Collection[str]) -> ImageSet:
    """The images with the names that their checkpoint and prompts have in a table.

    Raises:
        UserError: if they are not the images that were scored.
    """
    own = images.checkpoint
    alike = [c.id for c in table.checkpoints if c.revision == own.revision]
    if not alike:
        raise UserError(f"the images of {own.id} are not those that were scored")
    name = own.id if own.id in alike else next((id_ for id_ in alike if id_ not in taken), alike[0])
    ids = prompt_ids_in(table.prompts, {prompt.id: prompt.content for prompt in images.prompt_set})
    # A table of before prompts were written down has no other names than theirs.
    ids = ids or {prompt.id: prompt.id for prompt in images.prompt_set}
    prompts = tuple(replace(prompt, id=ids[prompt.id]) for prompt in images.prompt_set)
    return replace(
        images,
        checkpoint=replace(own, id=name),
        prompt_set=replace(images.prompt_set, prompts=prompts),
        records=tuple(replace(record, prompt_id=ids[record.prompt_id]) for record in images),
    )


def training_manifests(manifest: Manifest) -> list[Manifest]:
    """The manifests of the runs that an evaluation's checkpoints come from, where they still lie there."""
    found = []
    for spec in manifest.config.get("checkpoint") or ():
        # RUN or RUN@STEP; what is not the folder of a run has none.
        folder = Path(str(spec)) if Path(str(spec)).is_dir() else Path(str(spec).rpartition("@")[0] or ".")
        with suppress(UserError):
            run = read_manifest(folder) if (folder / FILE_NAME).is_file() else None
            found += [run] if run is not None and run.kind == "train" else []
    return found

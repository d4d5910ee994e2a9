"""The report page of finished evaluations, from what lies in their folders: no model is loaded."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.core.manifest import FILE_NAME, Manifest, read_manifest
from benchmark.core.records import ImageSet, Leaderboard
from benchmark.evaluate.reopen import read_image_sets
from benchmark.export.page import PageSource
from benchmark.leaderboard import ScoreTable


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
            sets = {images.checkpoint.id: images for images in read_image_sets(folder)} | sets
        except UserError as error:
            notes.append(f"No pictures of {place}: {error}.")
    # In the order of the arguments, each once.
    unique = {manifest.model_dump_json(): manifest for manifest in (*manifests, *training)}
    return PageSource(leaderboard, table, tuple(sets.values()), tuple(unique.values()), tuple(notes))


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

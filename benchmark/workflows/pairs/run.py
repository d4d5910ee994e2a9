"""Samples, labels and writes; what is there already is not done again."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.core import store
from benchmark.core.devices import choose_device
from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_file, sha256_json, sha256_path
from benchmark.core.locks import held
from benchmark.core.manifest import FILE_NAME, Artefact, read_manifest, track
from benchmark.core.records import ImageSet
from benchmark.core.settings import Setting
from benchmark.evaluate.plan import EvalPlan, plan
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.generate import console_progress
from benchmark.models import checkpoint_hash
from benchmark.workflows.pairs.config import PairsConfig
from benchmark.workflows.pairs.images import (
    LISTING,
    held_out_prompts,
    keep_walks,
    list_images,
    sample_images,
    write_shards,
)
from benchmark.workflows.pairs.labels import Choice, choose, read_labels, refuse_missing_labels, scores_of
from trainers.trajectories import WalkRecord, has_whole_trajectories, write_record

FOLDER, CARD = "pairs", "card.json"


@dataclass(frozen=True)
class PairsResult:
    """What was made.

    Attributes:
        folder: For ``fbench train --data``; empty of pairs where nobody has labelled yet.
        checkpoint: Id of who made the images.
        images: How many there are.
        unlabelled: Images that are in no pair for want of a label.
        pairs: Pairs to learn from.
        held_out: Held-out pairs.
        ties: Ties among both.
        labelled_by: Who labelled them, and by what rule.
        labels_sha256: Hash of the file of labels; empty for scorers.
        reused: Whether all of it was there already.
    """

    folder: Path
    checkpoint: str
    images: int
    unlabelled: int = 0
    pairs: int = 0
    held_out: int = 0
    ties: int = 0
    labelled_by: str = ""
    labels_sha256: str = ""
    reused: bool = False


def plan_pairs(config: PairsConfig) -> list[str]:
    """What `make_pairs` would do, in lines; everything is checked, nothing is loaded.

    Raises:
        UserError: for anything that is wrong with the inputs.
    """
    agenda = _check(config)
    n = len(agenda.prompt_set)
    possible = config.images_per_prompt * (config.images_per_prompt - 1) // 2
    most, apart = n * min(possible, config.pairs_per_prompt), f"{config.held_out_share:.0%}"
    return [
        f"checkpoint   {config.checkpoint} of {config.base}",
        f"prompts      {n} of {agenda.prompt_set.name}",
        f"images       {n * config.images_per_prompt}, {agenda.sampler.signature}",
        f"labels       {_labelled_by(config, agenda) or 'none yet: images only'}",
        f"pairs        at most {most}, those of {apart} of the prompts held out",
        f"out          {config.out}",
    ]


def make_pairs(config: PairsConfig) -> PairsResult:
    """Preference data of a checkpoint's own images.

    The same call again goes on from what is finished. Other labels for the same images cost no new image.

    Raises:
        UserError: for anything that is wrong with the inputs, before the first image is made.
        InUseError: if another command is writing to the folder.
    """
    agenda = _check(config)
    inputs = _inputs(config, agenda)
    if (done := _finished(config, inputs)) is not None:
        return done
    with (
        held(config.out, config.model_dump(mode="json")),
        track(config.out, "pairs", config, device=choose_device(config.device), inputs=inputs) as manifest,
    ):
        images = sample_images(agenda)
        listing = list_images(images, config.out)
        manifest.add_output(listing.name, sha256_path(listing))
        if not images.ok:
            raise UserError(f"no image could be made: {images.records[0].note}")
        folder = config.out / FOLDER
        if config.labels is None and not agenda.scorers:
            shutil.rmtree(folder, ignore_errors=True)
            return PairsResult(folder, images.checkpoint.id, len(images.ok))
        choices = _label(config, agenda, images)
        walks = None
        if config.trajectories:
            used = {(c.prompt_id, k) for c in choices for k in (c.better, c.worse)}
            kept = [record for record in images.ok if (record.prompt_id, record.seed) in used]
            walks = keep_walks(agenda, images, kept, config.out)
        by = _labelled_by(config, agenda)
        labels = manifest.read_as("labels")
        result = _write(config, images, choices, folder, by, labels.sha256 if labels else "", walks)
        manifest.add_output(FOLDER, sha256_path(folder))
    return result


def _check(config: PairsConfig) -> EvalPlan:
    agenda = plan(config.evaluation, "pairs")
    for scorer in agenda.scorers:
        if scorer.unit != "image":
            raise UserError(
                f"scorer {scorer.name} scores a {scorer.unit}", allowed="scorers of single images"
            )
    if config.labels is not None:
        refuse_missing_labels(config.labels)
    return agenda


def _labelled_by(config: PairsConfig, agenda: EvalPlan) -> str:
    """Who labels, by which rule."""
    if config.labels is not None:
        return config.labels.name
    names = [f"{scorer.name} {scorer.scorer_version}" for scorer in agenda.scorers]
    margin = f", ties within {config.margin:g}" if config.margin else ""
    return (f"mean rank of {', '.join(names)}" if len(names) > 1 else "".join(names)) + (
        margin if names else ""
    )


def _label(config: PairsConfig, agenda: EvalPlan, images: ImageSet) -> list[Choice]:
    if config.labels is not None:
        return read_labels(config.labels, images, config.pairs_per_prompt, config.margin)
    cache, loaded = ScoreCache(config.out), Loaded(choose_device(config.device))
    with console_progress(f"scoring {images.checkpoint.id}") as tell:
        rows = score_all(images, agenda.scorers, loaded, cache, tell)
    scores = scores_of(agenda.scorers, rows)
    if not scores:
        note = next((row.note for row in rows if row.note), "they are about other prompts")
        raise UserError(f"no image has a score of {', '.join(s.name for s in agenda.scorers)}: {note}")
    return choose(images, scores, config.pairs_per_prompt, config.margin)


def _write(
    config: PairsConfig,
    images: ImageSet,
    choices: Sequence[Choice],
    folder: Path,
    labelled_by: str,
    labels_sha256: str,
    walks: WalkRecord | None,
) -> PairsResult:
    apart = held_out_prompts(images, config.held_out_share)
    parts = {
        "train": [c for c in choices if c.prompt_id not in apart],
        "heldout": [c for c in choices if c.prompt_id in apart],
    }
    used = {(c.prompt_id, k) for c in choices for k in (c.better, c.worse)}
    result = PairsResult(
        folder,
        images.checkpoint.id,
        len(images.ok),
        len({(r.prompt_id, r.seed) for r in images.ok} - used),
        len(parts["train"]),
        len(parts["heldout"]),
        sum(c.tie for c in choices),
        labelled_by,
        labels_sha256,
    )
    # All files at once: a folder that is there is a whole data set.
    with store.atomic_folder(folder) as temporary:
        for split, found in parts.items():
            write_shards(found, images, temporary, split, labelled_by=labelled_by, seed=config.seed)
        card = {k: v for k, v in asdict(result).items() if k not in ("folder", "reused")}
        store.write_json(temporary / CARD, card)
        if walks is not None:
            write_record(temporary, walks)
    return result


def _inputs(config: PairsConfig, agenda: EvalPlan) -> list[Artefact]:
    """What pairs are made of, each by its content; who labels by name, version and options."""
    prompts, who = agenda.prompt_set, [scorer.identity for scorer in agenda.scorers]
    model = checkpoint_hash(config.checkpoint, config.base, offline=config.offline)
    found = [
        Artefact(path=config.checkpoint, sha256=model, role="checkpoint"),
        Artefact(path=prompts.name, sha256=prompts.sha256, role="prompts"),
    ]
    if who:
        found.append(Artefact(path=",".join(config.scorers), sha256=sha256_json(who), role="scorers"))
    if config.labels is not None:
        labels = sha256_file(config.labels)
        found.append(Artefact(path=config.labels.as_posix(), sha256=labels, role="labels"))
    return found


def _finished(config: PairsConfig, inputs: Sequence[Artefact]) -> PairsResult | None:
    """The result of an earlier call of the same inputs, if it is still what was written."""
    card = config.out / FOLDER / CARD
    if not (config.out / FILE_NAME).is_file() or not card.is_file():
        return None
    record = read_manifest(config.out)
    by_value = [name for name, one in PairsConfig.settings(Setting).items() if one.identity == "value"]
    then, now = (
        {name: settings.get(name) for name in by_value}
        for settings in (record.config, config.model_dump(mode="json"))
    )
    hashes = [{one.role: one.sha256 for one in some} for some in (record.inputs, inputs)]
    if record.kind != "pairs" or record.status != "success" or then != now or hashes[0] != hashes[1]:
        return None
    written = {one.path: one.sha256 for one in record.outputs}
    listing = config.out / LISTING
    if not listing.is_file() or any(
        sha256_path(place) != written.get(place.name) for place in (config.out / FOLDER, listing)
    ):
        return None
    if config.trajectories and not has_whole_trajectories(config.out / FOLDER):
        return None
    return PairsResult(folder=config.out / FOLDER, reused=True, **store.read_json(card, "card of pairs"))

"""What runs trained together share, loaded and computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import PartialState

from benchmark.core.environment import cache_folder
from benchmark.models import load_pipeline
from benchmark.models.families.base import Pipeline
from trainers.clip_source import clip_source
from trainers.config import TrainConfig
from trainers.embeddings import ClipEmbeddings, clip_embeddings
from trainers.encoded_pairs import EncodedPairs
from trainers.heldout import HeldOut
from trainers.latents import encode_pairs
from trainers.networks import BaseNetwork, base_network
from trainers.pairs import PairSet, PreferenceData, refuse_bad_rows
from trainers.recipe import Recipe
from trainers.trajectories import data_folder, open_trajectories


@dataclass(frozen=True, eq=False)
class Shared:
    """What the runs of one process share.

    Attributes:
        pipeline: The base model.
        base: Its network, which is the reference and carries the adapters.
        train: The pairs to learn from.
        embeddings: CLIP's of `train`; None where no objective needs them.
        held_out: The pairs to watch; None for none.
        data_sha256: Hash of the training data.
        state: Processes and ranks.
    """

    pipeline: Pipeline
    base: BaseNetwork
    train: EncodedPairs
    embeddings: ClipEmbeddings | None
    held_out: HeldOut | None
    data_sha256: str
    state: PartialState


def load_shared(
    config: TrainConfig,
    data: PreferenceData,
    recipes: Sequence[Recipe],
    state: PartialState,
    folders: Sequence[Path],
) -> Shared:
    """Loads the base model and encodes the data, or finds it in the cache.

    Args:
        config: Of one of the runs, for what they have in common.
        data: The pairs.
        recipes: Of all runs: what they need is made.
        state: Processes and ranks.
        folders: Of the runs, to list bad rows in.

    Raises:
        UserError: if the model cannot be loaded, or too much of the data cannot be used.
    """
    # Each process its own GPU; CPUs have no numbers.
    device = config.device if state.num_processes == 1 or state.device.type == "cpu" else str(state.device)
    pipeline = load_pipeline(config.base, device, offline=config.offline, precision=config.precision)
    for recipe in recipes:
        pipeline.density(recipe.plan.t_density)  # refused before anything is encoded
    cache = (config.cache or cache_folder()) if config.cache_latents else None
    train = _encode(config, pipeline, data.train, cache, flip=config.flip)
    # Few, and looked at many times over: without a cache they are kept in memory.
    watched = _encode(config, pipeline, data.held_out, cache).in_memory() if len(data.held_out) else None
    embeddings = watched_embeddings = None
    if any(recipe.objective.needs_embeddings for recipe in recipes):
        source = clip_source(config.base, config.clip)
        embeddings = clip_embeddings(source, train, pipeline.device, cache)
        if watched is not None:
            watched_embeddings = clip_embeddings(source, watched, pipeline.device, cache)
    # Who finds the cache empty fills it, and the others wait at its lock, however long that takes.
    state.wait_for_everyone()
    bad = [*data.bad, *train.bad, *(watched.bad if watched else ())]
    refuse_bad_rows(data.name, bad, data.read, config.max_bad_share, folders)
    base = base_network(
        pipeline, gradient_checkpointing=config.gradient_checkpointing, compiled=config.compile
    )
    held_out = None
    if watched is not None:
        held_out = HeldOut(
            pipeline, base, watched, config.held_out_draws, watched_embeddings, config.error_of
        )
    return Shared(pipeline, base, train, embeddings, held_out, data.sha256, state)


def _encode(
    config: TrainConfig, pipeline: Pipeline, pairs: PairSet, cache: Path | None, *, flip: bool = False
) -> EncodedPairs:
    """The pairs as networks read them, with the steps in which their images were drawn where those count."""
    encoded = encode_pairs(pipeline, pairs, cache, crop=config.crop, flip=flip)
    if config.estimator == "denoising":
        return encoded
    walks = open_trajectories(data_folder(pairs), pipeline, encoded.image_digests)
    return replace(encoded, trajectories=walks)

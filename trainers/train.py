"""`fbench train`: checks everything, then trains. The same settings again resume, or reuse what is done."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core import locks
from benchmark.core import manifest as manifests
from benchmark.core.devices import choose_device
from benchmark.core.errors import UserError
from benchmark.models import model_facts
from trainers import refusals
from trainers.config import TrainConfig
from trainers.pairs import PreferenceData
from trainers.progress import say

if TYPE_CHECKING:
    from trainers.checkpoints import RunFailure, RunResult
    from trainers.identity import Identity
    from trainers.recipe import Recipe
    from trainers.run import Run


def train(config: TrainConfig) -> "RunResult":
    """Trains one policy; see `train_many`."""
    return train_many([config])[0]


def train_many(configs: Sequence[TrainConfig]) -> "list[RunResult]":
    """Trains several policies, all of which must succeed; see `train_each`.

    Raises:
        UserError: also for a policy whose loss is no number, when the others are done.
    """
    from trainers.checkpoints import RunFailure, RunResult

    ended = train_each(configs)
    for one in ended:
        if isinstance(one, RunFailure):
            raise UserError(one.error)
    return [one for one in ended if isinstance(one, RunResult)]


def train_each(configs: Sequence[TrainConfig]) -> "list[RunResult | RunFailure]":
    """Trains several policies on the same base model and data; each result is as if it were alone.

    Batches, latents and the reference's passes are shared where they are the same. Runs that are
    finished are reused; those that were broken off go on from their last checkpoint. One whose loss is
    no number fails alone.

    Args:
        configs: Each with a folder of its own.

    Returns:
        How each run ended, in the order given.

    Raises:
        UserError: for anything a user can put right, before anything expensive where possible.
        InUseError: if another command is writing to a run's folder.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; the same command goes on.
    """
    refusals.refuse_unlike(configs)
    asked = ask(configs)
    done: dict[Path, RunResult | RunFailure | None] = {one.config.out: _finished(one) for one in asked}
    todo = [one for one in asked if done[one.config.out] is None]
    if todo:
        done |= _run(todo)
    return [result for config in configs if (result := done[config.out]) is not None]


def are_finished(configs: Sequence[TrainConfig]) -> bool:
    """Whether `train_each` would find nothing to do; nothing is loaded.

    Raises:
        UserError: as of `train_each`, for a folder that holds another run or damaged files.
    """
    return all(_finished(one) is not None for one in ask(configs))


@dataclass(frozen=True, eq=False)
class Asked:
    """A run as it is asked for.

    Attributes:
        config: Its settings.
        recipe: What they mean.
        identity: What tells it from other runs.
    """

    config: TrainConfig
    recipe: "Recipe"
    identity: "Identity"


def check(configs: Sequence[TrainConfig], *, fetch: bool = True, elsewhere: bool = False) -> None:
    """Everything that can be wrong and is seen before a model is loaded: names, settings, folders, pairs.

    Args:
        configs: The runs.
        fetch: As of `ask`.
        elsewhere: As of `ask`.

    Raises:
        UserError: for the first thing that is wrong.
    """
    read_data(ask(configs, fetch=fetch, elsewhere=elsewhere))


def ask(configs: Sequence[TrainConfig], *, fetch: bool = True, elsewhere: bool = False) -> list[Asked]:
    """Settings with what they mean, and what they name found and recognised by its content.

    Args:
        configs: At least one; what runs share is that of the first.
        fetch: Whether a published base model that is not here is fetched, so that its content is known.
        elsewhere: Whether other machines compute, which may have another device than this one.

    Raises:
        UserError: for the first thing that is wrong, such as a folder that holds another run.
    """
    from trainers.clip_source import clip_source
    from trainers.identity import identities, refuse_other_run
    from trainers.recipe import make_recipe
    from trainers.tracking import refuse_tracker

    for config in configs:
        refuse_tracker(config.tracker, offline=config.offline)
        refusals.refuse_savings(config)
    recipes = [make_recipe(config) for config in configs]
    shared = configs[0]
    model_facts(shared.base)
    if any(recipe.objective.needs_embeddings for recipe in recipes):
        clip_source(shared.base, shared.clip)
    if not elsewhere:
        choose_device(shared.device)
    found = [
        Asked(*each) for each in zip(configs, recipes, identities(configs, recipes, fetch=fetch), strict=True)
    ]
    for one in found:
        refuse_other_run(one.identity)
    return found


def read_data(asked: Sequence[Asked], *, list_bad_rows: bool = False) -> PreferenceData:
    """The pairs of some runs, all of them checked.

    Args:
        asked: The runs.
        list_bad_rows: Whether unusable rows are listed in the runs' folders.

    Raises:
        UserError: if they cannot be read, too many are bad, or they lack the trajectories that are asked for.
    """
    from trainers.identity import load_pairs_of

    shared = asked[0].config
    data = load_pairs_of(shared, [one.config.out for one in asked] if list_bad_rows else ())
    if shared.estimator == "transition":
        from trainers.trajectories import data_folder, refuse_missing_trajectories

        refuse_missing_trajectories(data_folder(data.train))
    return data


def _run(asked: Sequence[Asked]) -> "dict[Path, RunResult | RunFailure | None]":
    from accelerate import PartialState

    from trainers.identity import refuse_other_run
    from trainers.loop import train_runs
    from trainers.networks import new_policy
    from trainers.run import Run
    from trainers.shared import load_shared

    configs, recipes = [one.config for one in asked], [one.recipe for one in asked]
    # One process writes: the others compute the same losses and keep nothing.
    device = choose_device(configs[0].device)
    state = PartialState(cpu=device == "cpu")
    refusals.refuse_savings_here(configs, device, state.num_processes)
    writers = asked if state.is_main_process else ()
    with ExitStack() as stack:
        for one in writers:
            stack.enter_context(locks.held(one.config.out, one.config.identity()))
            # Another run may have begun and ended there since this one was asked for.
            refuse_other_run(one.identity)
        data = read_data(asked, list_bad_rows=state.is_main_process)
        for remark in refusals.toy_pairs(configs[0]):
            say(remark)
        tracked = [
            manifests.track(
                one.config.out, "train", one.config, device=device, inputs=one.identity.reading(data)
            )
            for one in writers
        ]
        ends = [stack.enter_context(_ending(one)) for one in tracked]
        shared = load_shared(configs[0], data, recipes, state, [one.config.out for one in writers])
        stack.callback(shared.base.release)
        refusals.refuse_odd_split(configs, state.num_processes)
        refusals.refuse_small_disk(configs, shared.pipeline)
        # Full policies are copies of the network: made first, while it carries no adapter.
        order = sorted(range(len(configs)), key=lambda i: configs[i].lora_rank != "full")
        runs: dict[int, Run] = {}
        for i in order:
            policy = new_policy(configs[i], shared.base, f"policy_{i}")
            runs[i] = Run(configs[i], recipes[i], policy, shared)
            stack.callback(runs[i].close)
            runs[i].begin(asked[i].identity.of_state(data))
        shared.base.halve(shared.pipeline.precision)
        if configs[0].cache_latents and not any(config.validation_images for config in configs):
            shared.pipeline.release_encoders()
        train_runs([runs[i] for i in range(len(configs))], shared)
        for i, end in enumerate(ends):
            end.record.outputs.clear()
            for name, sha256 in runs[i].written().items():
                end.record.add_output(name, sha256)
            end.failure = runs[i].failure
        state.wait_for_everyone()
        return {c.out: _result(runs[i]) for i, c in enumerate(configs)}


@dataclass
class _End:
    """A run's record, and what ended it before its time."""

    record: manifests.Manifest
    failure: UserError | None = None


@contextmanager
def _ending(tracked: AbstractContextManager[manifests.Manifest]) -> Iterator[_End]:
    """Lets a manifest tell of a failure that the other runs do not share."""
    end: _End | None = None
    try:
        with tracked as record:
            end = _End(record)
            yield end
            if end.failure is not None:
                raise end.failure
    except UserError as error:
        if end is None or end.failure is not error:
            raise


def _result(run: "Run") -> "RunResult | RunFailure":
    from trainers.checkpoints import RunFailure, RunResult, read_checkpoints

    watch, out = run.watch, run.config.out
    if run.failure is not None:
        return RunFailure(out, str(run.failure))
    every = read_checkpoints(out)
    return RunResult(out, every[-1], every, watch.diverged, watch.held_out_loss, watch.at_reference)


def _finished(asked: Asked) -> "RunResult | None":
    """The result of a run that needs nothing more, when its files are what was written."""
    run, steps = asked.config.out, asked.config.steps
    if not (run / manifests.FILE_NAME).is_file():
        return None
    record = manifests.read_manifest(run)
    if record.status != "success":
        return None
    from trainers.checkpoints import METRICS, RunResult, damaged, read_checkpoints, refuse_damaged

    # Of runs of before inputs were hashed, what is written as a hash is another thing.
    known = {one.path: one.sha256 for one in record.outputs} if record.read_as("base") else {}
    wrong = damaged(run, known)
    refuse_damaged(run, wrong, steps)
    lost = [name for name in known if name == METRICS and not (run / name).exists()]
    if wrong or lost:
        say(f"{run / [*wrong, *lost][0]} is not what was written: made again from the state of the run")
        return None
    every = read_checkpoints(run)
    if not every or every[-1].step != steps:
        return None
    numbers = every[-1].hyperparameters
    losses = [
        float(v) if isinstance(v := numbers.get(f"held_out_loss{s}"), float) else None
        for s in ("", "_at_reference")
    ]
    return RunResult(run, every[-1], every, bool(numbers.get("diverged")), losses[0], losses[1], reused=True)

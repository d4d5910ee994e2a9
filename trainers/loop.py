"""The one training loop: any number of policies on one base model, one set of latents, one reference pass.

`fbench train` is the case of one. Policies whose batches are the same (`BatchPlan`) share them and what
the reference says of them. None sees anything of the others: each ends as it would have ended alone, to
the bit.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import reduce
from jaxtyping import UInt8
from numpy.typing import NDArray

from benchmark.core.devices import peak_memory_gb
from benchmark.core.errors import UserError
from benchmark.core.interrupts import Terminated, postponed
from benchmark.core.records import Checkpoint
from trainers import checkpoints
from trainers.batch_plan import BatchPlan
from trainers.config import TrainConfig
from trainers.draws import Batch
from trainers.embeddings import ClipEmbeddings
from trainers.identity import identity_before, refuse_other_precision
from trainers.latents import EncodedPairs
from trainers.log_ratio_cloud import log_ratios_file
from trainers.material import Material
from trainers.networks import (
    FullPolicy,
    LoraPolicy,
    NetworkErrors,
    Policy,
    SharedUNet,
    join,
    network_errors,
    split,
)
from trainers.pairs import BAD_ROWS_FILE
from trainers.prefetch import batches
from trainers.progress import progress
from trainers.recipe import Recipe, hyperparameters, method_settings
from trainers.run_files import METRICS, damaged, hashes_of, refuse_damaged
from trainers.step_logs import Metrics, MetricsFile, lines_up_to
from trainers.tracking import Tracker
from trainers.trainee import Embedded, Trainee
from trainers.validation import validation_images, write_strip


class Member:
    """A policy with its folder: what it logs and saves.

    Args:
        config: Its settings.
        recipe: What they mean.
        name: Unique in this process.
        material: What it shares.
        identity: What tells the run from others: settings, and hashes of inputs.

    Attributes:
        files: What it wrote so far, by name and hash.

    Raises:
        UserError: if an earlier attempt left a state or files that are damaged, or of another run.
    """

    def __init__(
        self,
        config: TrainConfig,
        recipe: Recipe,
        name: str,
        material: Material,
        identity: Mapping[str, Any],
    ) -> None:
        self.config, self.recipe, self.material, self._identity = config, recipe, material, identity
        state, shared = material.state, material.shared
        self.trainee = Trainee(
            config,
            recipe,
            _new_policy(config, shared, name),
            material.pipeline,
            processes=state.num_processes,
            rank=state.process_index,
        )
        earlier = checkpoints.load_resume(config.out, identity, identity_before(config))
        self.files: dict[str, str] = {}
        text, lost = "", False
        if earlier is not None:
            refuse_other_precision(config, material.pipeline.precision, earlier.get("precision"))
            self.trainee.restore(earlier)
            self.files = dict(earlier.get("files", {}))
            text, lost = self._what_stays(earlier)
            state.wait_for_everyone()  # all have looked before one writes
        self.failure: UserError | None = None
        self._metrics = self._tracker = None
        if state.is_main_process:
            self._metrics = MetricsFile(config.out / METRICS, text)
            if config.tracker is not None:
                self._tracker = Tracker(
                    config.tracker, config.out, config.model_dump(mode="json"), offline=config.offline
                )
        if earlier is None:
            self._write({"step": 0, **self._look()})
        elif lost:
            with self.trainee.result():
                self._look()
                self._save()

    @property
    def step(self) -> int:
        """Steps done."""
        return self.trainee.step

    def needs_reference(self) -> bool:
        """Whether its objective compares with the reference."""
        return self.recipe.objective.uses_reference

    def advance(self, batch: Batch, reference: NetworkErrors | None, shared_seconds: float) -> Metrics:
        """One step, its metrics, and a checkpoint where one is due.

        Args:
            batch: The pairs.
            reference: What the reference says of them.
            shared_seconds: What the policies of this batch waited for together.
        """
        start = time.perf_counter()
        pairs = self.material.train
        metrics = self.trainee.update(
            batch,
            reference if self.needs_reference() else None,
            self._embedded(self.material.embeddings, pairs, batch.rows),
            lambda: _few([pairs.rows[i] for i in batch.rows]),
        )
        seconds = time.perf_counter() - start
        samples = (2 if self.recipe.objective.paired else 1) * batch.moments.t.numel()
        metrics |= {
            "seconds": seconds,
            "shared_seconds": shared_seconds,
            "samples_per_second": samples / (seconds + shared_seconds),
        }
        due = self._is_due()
        if due:
            with self.trainee.result():
                metrics |= self._look()
                self.trainee.watch.close_window()
                metrics["diverged"] = self.trainee.watch.diverged
                metrics["memory_gb"] = peak_memory_gb(str(self.material.pipeline.device))
                self._save()
        self._write(metrics)
        if due:  # after the checkpoint: a run killed in between makes it again
            self.keep_state()
        return metrics

    def _is_due(self) -> bool:
        """Whether there is a checkpoint of this step."""
        return self.step % self.config.saves == 0 or self.step == self.config.steps

    def _what_stays(self, earlier: Mapping[str, Any]) -> tuple[str, bool]:
        """Of an earlier attempt the metrics, and whether the checkpoint of its step must be made again.

        Raises:
            UserError: if something is damaged that is not made again.
        """
        run, step = self.config.out, self.step
        wrong = damaged(run, self.files)
        refuse_damaged(run, wrong, step)
        record = checkpoints.step_folder(run, step) / checkpoints.RECORD
        lost = self._is_due() and (bool(wrong) or not record.is_file())
        text = earlier["metrics"] if "metrics" in earlier else lines_up_to(run / METRICS, step)
        return text, lost

    def keep_state(self) -> None:
        """Saves what the same command goes on from; a policy that failed keeps its last checkpoint."""
        if not self.step or self.failure is not None or not self._takes_part():
            return
        state = self.trainee.state()
        if self._metrics is not None:
            state |= {"metrics": self._metrics.text, "files": self.files}
            state["precision"] = self.material.pipeline.precision
            checkpoints.save_resume(self.config.out, state, self._identity)

    def written(self) -> dict[str, str]:
        """All files that it leaves, by name and hash; but for the state, which has a checksum of its own."""
        run = self.config.out
        return self.files | hashes_of(run, run / METRICS) | hashes_of(run, run / BAD_ROWS_FILE)

    def _takes_part(self) -> bool:
        """Whether this process has something to do where one process writes: a shard to give."""
        return self.material.state.is_main_process or self.trainee.policy.sharded

    def close(self) -> None:
        """Closes its files."""
        for file in (self._metrics, self._tracker):
            if file is not None:
                file.close()

    def _look(self) -> Metrics:
        held_out = self.material.held_out
        if held_out is None:
            return {}
        rows = np.arange(len(held_out.pairs))
        seen = self.trainee.look(held_out, self._embedded(held_out.embeddings, held_out.pairs, rows))
        self._note(log_ratios_file(self.config.out, self.step))
        return seen

    def _note(self, place: Path) -> None:
        """Notes what was written in a place, if anything was."""
        if self.material.state.is_main_process:
            self.files |= hashes_of(self.config.out, place)

    def _embedded(
        self, embeddings: ClipEmbeddings | None, pairs: EncodedPairs, rows: NDArray[np.int64]
    ) -> Embedded | None:
        if embeddings is None or not self.recipe.objective.needs_embeddings:
            return None
        return embeddings.of_pairs(pairs, rows, self.config.embedding, self.material.pipeline.device)

    def _save(self) -> None:
        if not self.material.state.is_main_process:
            if self.trainee.policy.sharded:  # its shard goes into what the first process writes
                self.trainee.policy.whole_unet()
                self._validation_images()
            return
        pipeline, watch = self.material.pipeline, self.trainee.watch
        divergence = None if self.recipe.divergence is None else repr(self.recipe.divergence)
        numbers = {
            **hyperparameters(self.config, self.recipe, pipeline.latent_shape, self._identity["inputs"]),
            "precision": pipeline.precision,
            "diverged": watch.diverged,
            "held_out_loss": watch.held_out_loss,
            "held_out_loss_at_reference": watch.at_reference,
        }
        name = self.recipe.objective.name if "(" not in self.config.objective else self.config.objective
        draft = Checkpoint(
            id=checkpoints.label(name, divergence, numbers, self.step),
            base_model=pipeline.name,
            objective=name,
            divergence=divergence,
            hyperparameters=numbers,
            method_settings=method_settings(self.config.base),
            step=self.step,
            data_sha256=self.material.data_sha256,
        )
        checkpoints.save_checkpoint(
            self.config.out, self.trainee.policy, draft, pipeline.revision, pipeline.content_hash
        )
        self._note(checkpoints.step_folder(self.config.out, self.step))
        self._show()

    def _show(self) -> None:
        """Writes images of held-out captions, to look at."""
        images = self._validation_images()
        if images is None:
            return
        self._note(write_strip(images, self.config.out, self.step))
        if self._tracker is not None:
            self._tracker.show(images, self.step)

    def _validation_images(self) -> UInt8[np.ndarray, "n height width 3"] | None:
        held_out, count = self.material.held_out, self.config.validation_images
        if held_out is None or not count:
            return None
        captions = list(dict.fromkeys(held_out.pairs.captions[i] for i in held_out.pairs.caption))[:count]
        return validation_images(self.material.pipeline, self.trainee.policy, captions)

    def _write(self, metrics: Metrics) -> None:
        if self._metrics is not None:
            self._metrics.write(metrics)
        if self._tracker is not None:
            self._tracker.log(metrics, self.step)


def run_members(members: Sequence[Member], material: Material) -> None:
    """Trains until every member has done its steps; one whose loss is no number ends alone, with a `failure`.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when the step in progress is done and saved.
    """
    steps = max(m.config.steps for m in members)
    first = min(m.step for m in members)
    names = (
        f"training {members[0].config.out.name}" if len(members) == 1 else f"training {len(members)} policies"
    )
    quiet = not material.state.is_main_process
    with (
        postponed() as came,
        batches(material) as batch_of,
        progress(steps, first, names, quiet=quiet) as show,
    ):
        for step in range(first, steps):
            if all(member.failure is not None for member in members):
                break
            note = ""
            for plan, group in _groups(members, step).items():
                start = time.perf_counter()
                note = _advance_group(group, batch_of(plan, step), material, start)
            show(step + 1, note)
            if (interruption := _agreed(came(), material)) is not None:
                for member in members:
                    member.keep_state()
                raise interruption


def _advance_group(group: list[Member], batch: Batch, material: Material, start: float) -> str:
    """One step of the members that share a batch, which was asked for at `start`."""
    reference = None
    if any(m.needs_reference() for m in group):
        keep = any(m.trainee.keeps_predictions for m in group)
        parts = split(len(batch.inputs.text), group[0].config.micro_batches)
        with torch.no_grad(), material.shared.reference() as unet:
            # In the same parts as the policies: then equal weights give equal errors, to the bit.
            reference = join(
                [network_errors(material.pipeline, unet, batch.inputs, pairs=p, keep=keep) for p in parts]
            )
    note, shared_seconds = "", time.perf_counter() - start
    for member in group:
        try:
            metrics = member.advance(batch, reference, shared_seconds)
        except UserError as error:
            member.failure = error
            note = "a policy failed"
        else:
            note = f"loss {metrics['loss']:.4f}, {metrics['samples_per_second']:.1f} samples/s"
    return note


def _groups(members: Sequence[Member], step: int) -> dict[BatchPlan, list[Member]]:
    """Who is at this step, by what determines the batch."""
    groups: dict[BatchPlan, list[Member]] = {}
    for member in members:
        if member.failure is None and member.step == step < member.config.steps:
            groups.setdefault(member.recipe.plan, []).append(member)
    return groups


def _new_policy(config: TrainConfig, shared: SharedUNet, name: str) -> Policy:
    if config.lora_rank == "full":
        return FullPolicy(shared, compiled=config.compile)
    return LoraPolicy(shared, name, config.lora_rank, config.lora_targets, config.seed)


def _agreed(came: KeyboardInterrupt | None, material: Material) -> KeyboardInterrupt | None:
    """What came to any process: they compute together, so all stop after the same step."""
    if material.state.num_processes == 1:
        return came
    flags = [float(came is not None), float(isinstance(came, Terminated))]
    stopped, terminated = reduce(torch.tensor(flags, device=material.state.device), "sum").tolist()
    return (Terminated() if terminated else KeyboardInterrupt()) if stopped else None


def _few(rows: list[str]) -> str:
    return ", ".join(rows[:8]) + (f" and {len(rows) - 8} more" if len(rows) > 8 else "")

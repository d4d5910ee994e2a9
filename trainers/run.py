"""One run: a policy, what moves it, and the folder that it logs and saves to."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from benchmark.core.console import doing
from benchmark.core.devices import peak_memory_gb
from benchmark.core.errors import UserError
from benchmark.core.records import Checkpoint
from trainers import checkpoints
from trainers.config import TrainConfig
from trainers.identity import identity_before, refuse_other_precision
from trainers.log_ratio import pair_errors
from trainers.log_ratio_cloud import log_ratios_file, save_log_ratios
from trainers.logs import Metrics, MetricsFile, Watch, floats, lines_up_to, quarter_logs
from trainers.networks import Policy, like, whole
from trainers.optimisers import Average, make_optimizer
from trainers.pairs import BAD_ROWS_FILE
from trainers.recipe import Recipe, hyperparameters, method_settings
from trainers.shared import Shared
from trainers.tracking import Tracker
from trainers.validation import validation_images, write_strip


class Run:
    """A policy in training: weights, optimiser and counters; and, once it has begun, its folder.

    Args:
        config: Its settings.
        recipe: What they mean.
        policy: Its weights.
        shared: What it shares with the runs beside it.

    Attributes:
        step: Steps done.
        watch: Whether it has diverged.
        failure: What ended it before its time.
        sides: 2, or 1 where the objective looks at winners alone.
        scale: kappa, from prediction errors to nats; None without a reference.
        uses_drift: Whether the drift is taken out of s.
        keeps_predictions: Whether it needs predictions, also the reference's, not only errors.
        embeddings: CLIP's of the pairs; None where its objective does not weigh comparisons by them.
        files: What it wrote so far, by name and hash.
    """

    def __init__(self, config: TrainConfig, recipe: Recipe, policy: Policy, shared: Shared) -> None:
        self.config, self.recipe, self.policy, self.shared = config, recipe, policy, shared
        self.pipeline = shared.pipeline
        self.step, self.watch = 0, Watch()
        self.failure: UserError | None = None
        self.sides = 2 if recipe.objective.paired else 1
        self.scale = recipe.scale(self.pipeline.latent_shape)
        self.uses_drift = config.log_ratio_centre == "drift" and self.scale is not None
        self.keeps_predictions = self.uses_drift or recipe.objective.needs_predictions
        self.embeddings = shared.embeddings if recipe.objective.needs_embeddings else None
        self.parameters = list(policy.parameters.values())
        self.optimizer = make_optimizer(config, self.parameters)
        self.average = None if config.ema is None else Average(self.parameters, config.ema)
        # Does nothing but in fp16, whose small gradients would be lost.
        self.scaler = torch.amp.GradScaler(
            self.pipeline.device.type, enabled=self.pipeline.precision == "fp16"
        )
        self.files: dict[str, str] = {}
        self._identity: Mapping[str, Any] = {}
        self._method = method_settings(config.base)
        self._metrics: MetricsFile | None = None
        self._tracker: Tracker | None = None

    # --- its folder ---------------------------------------------------------------------------

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Goes on from what an earlier attempt left, or writes the line of step 0.

        Args:
            identity: What tells the run from others: settings, and hashes of inputs.

        Raises:
            UserError: if an earlier attempt left a state or files that are damaged, or of another run.
        """
        config, state = self.config, self.shared.state
        self._identity = identity
        earlier = checkpoints.load_resume(config.out, identity, identity_before(config))
        text, lost = "", False
        if earlier is not None:
            refuse_other_precision(config, self.pipeline.precision, earlier.get("precision"))
            self.restore(earlier)
            self.files = dict(earlier.get("files", {}))
            text, lost = self._what_stays(earlier)
            state.wait_for_everyone()  # all have looked before one writes
        if state.is_main_process:
            self._metrics = MetricsFile(config.out / checkpoints.METRICS, text)
            if config.tracker is not None:
                self._tracker = Tracker(
                    config.tracker, config.out, config.model_dump(mode="json"), offline=config.offline
                )
        if earlier is None:
            self._write({"step": 0, **self.held_out_logs()})
        elif lost:
            with self.averaged():
                self.held_out_logs()
                self._save()

    def record(self, metrics: Metrics) -> None:
        """Writes the line of a step, and the checkpoint where one is due."""
        due = self._is_due()
        if due:
            with self.averaged():
                metrics |= self.held_out_logs()
                self.watch.close_window()
                metrics["diverged"] = self.watch.diverged
                metrics["memory_gb"] = peak_memory_gb(str(self.pipeline.device))
                self._save()
        self._write(metrics)
        if due:  # after the checkpoint: a run killed in between makes it again
            self.keep_state()

    def written(self) -> dict[str, str]:
        """All files that it leaves, by name and hash; but for the state, which has a checksum of its own."""
        hashes_of, run = checkpoints.hashes_of, self.config.out
        return self.files | hashes_of(run, run / checkpoints.METRICS) | hashes_of(run, run / BAD_ROWS_FILE)

    def close(self) -> None:
        """Closes its files."""
        for file in (self._metrics, self._tracker):
            if file is not None:
                file.close()

    def averaged(self) -> AbstractContextManager[None]:
        """The weights as they are saved and looked at: their average, where there is one."""
        return nullcontext() if self.average is None else self.average.applied()

    @doing("measuring the loss on held-out pairs")
    def held_out_logs(self) -> Metrics:
        """Loss and logs on the held-out pairs, also noted in `watch`; nothing where there are none."""
        held_out, objective = self.shared.held_out, self.recipe.objective
        if held_out is None:
            return {}
        look = partial(held_out.errors_of, self.policy) if self.step else held_out.at_reference
        both = look(sides=self.sides, drift=self.uses_drift, predictions=objective.needs_predictions)
        embeddings = None
        if held_out.embeddings is not None and objective.needs_embeddings:
            rows = np.arange(len(held_out.pairs))
            embeddings = held_out.embeddings.of_pairs(held_out.pairs, rows, self.config.embedding)
        with torch.no_grad():
            errors = pair_errors(both, self.scale, embeddings)
            logs = floats(objective(errors).logs)
        if self.shared.state.is_main_process:
            s_w, s_l = errors.log_ratio_winner, errors.log_ratio_loser
            save_log_ratios(self.config.out, self.step, s_w, s_l, held_out.moments.t)
            self._note(log_ratios_file(self.config.out, self.step))
        self.watch.note_held_out(logs, at_reference=not self.step)
        quarters = quarter_logs(self.recipe.divergence, errors, self.pipeline.noise_level(held_out.moments.t))
        return {f"heldout/{key}": value for key, value in {**logs, **quarters}.items()}

    def _is_due(self) -> bool:
        """Whether there is a checkpoint of this step."""
        return self.step % self.config.saves == 0 or self.step == self.config.steps

    def _what_stays(self, earlier: Mapping[str, Any]) -> tuple[str, bool]:
        """Of an earlier attempt the metrics, and whether the checkpoint of its step must be made again.

        Raises:
            UserError: if something is damaged that is not made again.
        """
        run, step = self.config.out, self.step
        wrong = checkpoints.damaged(run, self.files)
        checkpoints.refuse_damaged(run, wrong, step)
        record = checkpoints.step_folder(run, step) / checkpoints.RECORD
        lost = self._is_due() and (bool(wrong) or not record.is_file())
        text = earlier["metrics"] if "metrics" in earlier else lines_up_to(run / checkpoints.METRICS, step)
        return text, lost

    def _save(self) -> None:
        """Writes a checkpoint, and images of held-out captions to look at."""
        if not self.shared.state.is_main_process:
            if self.policy.sharded:  # its shard goes into what the first process writes
                self.policy.whole_network()
                self._validation_images()
            return
        pipeline, watch, objective = self.pipeline, self.watch, self.recipe.objective.name
        divergence = None if self.recipe.divergence is None else repr(self.recipe.divergence)
        numbers = {
            **hyperparameters(self.config, self.recipe, pipeline.latent_shape, self._identity["inputs"]),
            "t_density": None
            if (density := pipeline.density(self.config.t_density)) is None
            else str(density),
            "precision": pipeline.precision,
            "diverged": watch.diverged,
            "held_out_loss": watch.held_out_loss,
            "held_out_loss_at_reference": watch.at_reference,
        }
        name = objective if "(" not in self.config.objective else self.config.objective
        draft = Checkpoint(
            id=checkpoints.label(name, divergence, numbers, self.step),
            base_model=pipeline.name,
            objective=name,
            divergence=divergence,
            hyperparameters=numbers,
            step=self.step,
            data_sha256=self.shared.data_sha256,
            method_settings=self._method,
        )
        checkpoints.save_checkpoint(
            self.config.out, self.policy, draft, pipeline.revision, pipeline.content_hash
        )
        self._note(checkpoints.step_folder(self.config.out, self.step))
        if (images := self._validation_images()) is not None:
            self._note(write_strip(images, self.config.out, self.step))
            if self._tracker is not None:
                self._tracker.show(images, self.step)

    def _validation_images(self) -> UInt8[np.ndarray, "n height width 3"] | None:
        held_out, count = self.shared.held_out, self.config.validation_images
        if held_out is None or not count:
            return None
        captions = list(dict.fromkeys(held_out.pairs.captions[i] for i in held_out.pairs.caption))[:count]
        return validation_images(self.pipeline, self.policy, captions)

    def _write(self, metrics: Metrics) -> None:
        if self._metrics is not None:
            self._metrics.write(metrics)
        if self._tracker is not None:
            self._tracker.log(metrics, self.step)

    def _note(self, place: Path) -> None:
        """Notes what was written in a place, if anything was."""
        self.files |= checkpoints.hashes_of(self.config.out, place)

    # --- resuming -----------------------------------------------------------------------------

    def keep_state(self) -> None:
        """Saves what the same command goes on from; a policy that failed keeps its last checkpoint."""
        # A process has something to do where one process writes if it has a shard to give.
        takes_part = self.shared.state.is_main_process or self.policy.sharded
        if not self.step or self.failure is not None or not takes_part:
            return
        state = self.state()
        if self._metrics is not None:
            state |= {"metrics": self._metrics.text, "files": self.files}
            state["precision"] = self.pipeline.precision
            checkpoints.save_resume(self.config.out, state, self._identity)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs; noise and order of the data are functions of the step."""
        return {
            "step": self.step,
            "policy": {name: whole(p.detach()).cpu() for name, p in self.policy.parameters.items()},
            "optimizer": whole(self.optimizer.state_dict()),
            "watch": dict(vars(self.watch)),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else whole(self.average.state()),
        }

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Goes back to where `state` was taken."""
        for name, parameter in self.policy.parameters.items():
            parameter.copy_(like(state["policy"][name], parameter))
        moments = {i: like(own, self.parameters[i]) for i, own in state["optimizer"]["state"].items()}
        self.optimizer.load_state_dict({**state["optimizer"], "state": moments})
        self.step, self.watch = int(state["step"]), Watch(**state["watch"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            shadows = zip(state["average"]["shadow_params"], self.parameters, strict=True)
            self.average.restore({**state["average"], "shadow_params": [like(a, p) for a, p in shadows]})

"""One policy in training: weights, optimiser, objective. Several of them may share a process."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from accelerate.utils import gather, reduce
from jaxtyping import Float, Int
from torch import Tensor

from benchmark.core.errors import UserError
from benchmark.models.families.base import Pipeline
from trainers.config import TrainConfig
from trainers.draws import Batch
from trainers.heldout import HeldOut, PairsSeen
from trainers.log_ratio import log_ratio, prediction_drift
from trainers.log_ratio_cloud import save_log_ratios
from trainers.networks import NetworkErrors, Policy, join, network_errors, split
from trainers.objectives import ObjectiveOutput, PairErrors, Predictions
from trainers.optimisers import Average, learning_rate, make_optimizer
from trainers.recipe import Recipe
from trainers.sharding import add_up, like, whole
from trainers.step_logs import Metrics, floats, quarter_logs
from trainers.watch import Watch

Embedded = tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]]


class Trainee:
    """A policy and all that moves it.

    Args:
        config: Its settings.
        recipe: What they mean.
        policy: Its weights.
        pipeline: The base model.
        processes: Over how many a batch is spread.
        rank: Which of them this is.
    """

    def __init__(
        self,
        config: TrainConfig,
        recipe: Recipe,
        policy: Policy,
        pipeline: Pipeline,
        *,
        processes: int = 1,
        rank: int = 0,
    ) -> None:
        self.config, self.recipe, self.policy = config, recipe, policy
        self.step, self.watch = 0, Watch()
        self.parameters = list(policy.parameters.values())
        self.optimizer = make_optimizer(config, self.parameters)
        self.average = None if config.ema is None else Average(self.parameters, config.ema)
        # Does nothing but in fp16, whose small gradients would be lost.
        self._scaler = torch.amp.GradScaler(pipeline.device.type, enabled=pipeline.precision == "fp16")
        self._pipeline, self._processes, self._rank = pipeline, processes, rank
        self._sides = 2 if recipe.objective.paired else 1
        self._scale = recipe.scale(pipeline.latent_shape)

    @property
    def uses_drift(self) -> bool:
        """Whether the drift is taken out of s."""
        return self.config.log_ratio_centre == "drift" and self._scale is not None

    @property
    def keeps_predictions(self) -> bool:
        """Whether it needs predictions, also the reference's, not only errors."""
        return self.uses_drift or self.recipe.objective.needs_predictions

    # --- a step -------------------------------------------------------------------------------

    def update(
        self,
        batch: Batch,
        reference: NetworkErrors | None,
        embedded: Embedded | None,
        rows: Callable[[], str],
    ) -> Metrics:
        r"""One optimiser step.

        The objective sees the whole batch, of all processes and micro-batches, as a function of the
        errors $m$, and of the predictions where it needs them; its gradient over these then goes back
        through the network part by part. This is the chain rule, so every objective gets its exact
        gradient however a batch is split.

        Args:
            batch: The pairs.
            reference: What the reference says of this process's part.
            embedded: e_w and e_l of the whole batch.
            rows: Names the batch's rows, for messages.

        Returns:
            The step's metrics.

        Raises:
            UserError: if the loss or the gradient is not finite.
        """
        lr = learning_rate(self.config, self.step)
        parts = split(len(batch.inputs.text), self.config.micro_batches)
        with torch.set_grad_enabled(len(parts) == 1), self.policy.active() as unet:
            own = self._forward(unet, batch, parts, keep=self.keeps_predictions)
        seen = self._gather_all(own, reference, batch)
        output, errors = self._objective(seen, embedded)
        self._refuse_nan("loss", float(output.loss.detach()), rows)
        leaves = [seen.policy] if seen.predictions is None else [seen.policy, seen.predictions.policy]
        gradients = torch.autograd.grad(output.loss, leaves, allow_unused=True, materialize_grads=True)
        self._backward(own, gradients, batch, parts)
        norm = self._move(lr, rows)
        self.step += 1
        logs = floats(output.logs)
        self.watch.saw(logs)
        return {
            "step": self.step,
            **logs,
            **self._by_quarter(errors, batch.moments.t),
            "grad_norm": norm,
            "lr": lr,
        }

    def _forward(
        self, unet: torch.nn.Module, batch: Batch, parts: list[slice], *, keep: bool
    ) -> NetworkErrors:
        return join(
            [
                network_errors(self._pipeline, unet, batch.inputs, sides=self._sides, pairs=p, keep=keep)
                for p in parts
            ]
        )

    def _backward(
        self, own: NetworkErrors, gradients: tuple[Tensor, ...], batch: Batch, parts: list[slice]
    ) -> None:
        """Back through the network, from the gradients over errors and, if there are two, predictions."""
        n, start = len(batch.inputs.text), self._rank * len(batch.inputs.text)
        mine = [gradient[:, :, start : start + n] for gradient in gradients]
        # The adapter stays on for the backward pass: gradient checkpointing goes forward again in it.
        with self.policy.active() as unet:
            for part in parts:
                said = own if len(parts) == 1 else self._forward(unet, batch, [part], keep=len(mine) > 1)
                outputs = [said.error]
                if len(mine) > 1 and said.prediction is not None:
                    outputs.append(said.prediction)
                torch.autograd.backward(
                    outputs, [self._scaler.scale(gradient[:, :, part].contiguous()) for gradient in mine]
                )
        if self._processes > 1:
            found = add_up(self.parameters, self._processes)
            if not found:
                return
            flat = reduce(torch.cat([g.flatten() for g in found]), "sum")
            for g, total in zip(found, flat.split([g.numel() for g in found]), strict=True):
                g.copy_(total.view_as(g))

    def _move(self, lr: float, rows: Callable[[], str]) -> float:
        """Moves the weights along their gradients; returns the gradient's norm before it was cut off."""
        self._scaler.unscale_(self.optimizer)
        norm = float(whole(torch.nn.utils.clip_grad_norm_(self.parameters, self.config.max_grad_norm)))
        if not self._scaler.is_enabled():  # which leaves out a step that was scaled too far, and scales less
            self._refuse_nan("gradient norm", norm, rows)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()
        return norm

    def _gather_all(self, own: NetworkErrors, reference: NetworkErrors | None, batch: Batch) -> PairsSeen:
        """What the networks said of the whole batch; the policy's errors and predictions are leaves."""
        drift = before = predictions = None
        if reference is not None:
            before = self._gather(reference.error)
            if self.uses_drift and own.prediction is not None and reference.prediction is not None:
                drift = self._gather(prediction_drift(own.prediction, reference.prediction))
        if self.recipe.objective.needs_predictions and own.prediction is not None:
            predictions = Predictions(
                self._gather(own.prediction.detach()).requires_grad_(),
                None
                if reference is None or reference.prediction is None
                else self._gather(reference.prediction[: self._sides]),
                self._gather(batch.inputs.target[: self._sides]),
            )
        error = self._gather(own.error.detach()).requires_grad_()
        return PairsSeen(error, before, drift, predictions, batch.moments.scale, batch.weight)

    def _gather(self, local: Float[Tensor, "sides draws n *chw"]) -> Float[Tensor, "sides draws all *chw"]:
        """The parts of all processes, in the order of the batch."""
        if self._processes == 1:
            return local
        together: Tensor = gather(local.movedim(2, 0).contiguous())
        return together.movedim(0, 2).contiguous()

    def _objective(self, seen: PairsSeen, embedded: Embedded | None) -> tuple[ObjectiveOutput, PairErrors]:
        m_w, m_l = seen.policy[0], seen.policy[1] if self._sides == 2 else None
        s_w = s_l = None
        if self._scale is not None and seen.reference is not None:
            drift = seen.drift if self.uses_drift else None
            scale = self._scale if seen.scale is None else self._scale * seen.scale
            s = log_ratio(seen.policy, seen.reference[: self._sides], scale, drift)
            s_w, s_l = s[0], s[1] if self._sides == 2 else None
        e_w, e_l = embedded or (None, None)
        v_w, v_l = _by_side(seen.predictions, self._sides)
        errors = PairErrors(m_w, m_l, s_w, s_l, e_w, e_l, v_w, v_l, seen.weight)
        return self.recipe.objective(errors), errors

    def _by_quarter(self, errors: PairErrors, t: Int[Tensor, "draws n"]) -> dict[str, float]:
        f, s_w, s_l = self.recipe.divergence, errors.log_ratio_winner, errors.log_ratio_loser
        if f is None or s_w is None or s_l is None:
            return {}
        return quarter_logs(f, s_w.detach(), s_l.detach(), self._pipeline.noise_level(t))

    def _refuse_nan(self, what: str, value: float, rows: Callable[[], str]) -> None:
        if not math.isfinite(value):
            raise UserError(
                f"the {what} is {value} at step {self.step + 1} of {self.config.out}; its rows: {rows()}",
                do="lower lr, beta or log_ratio_scale; the last checkpoint is still there",
            )

    # --- held-out pairs -----------------------------------------------------------------------

    def result(self) -> AbstractContextManager[None]:
        """The weights as they are saved and looked at: their average, where there is one."""
        return nullcontext() if self.average is None else self.average.applied()

    def look(self, held_out: HeldOut, embedded: Embedded | None) -> Metrics:
        """Loss and logs on the held-out pairs, also noted in `watch`."""
        vectors = self.recipe.objective.needs_predictions
        if self.step:
            seen = held_out.see(self.policy, sides=self._sides, drift=self.uses_drift, predictions=vectors)
        else:
            seen = held_out.at_reference(sides=self._sides, predictions=vectors)
        with torch.no_grad():
            output, errors = self._objective(seen, embedded)
        if self._rank == 0:
            s_w, s_l = errors.log_ratio_winner, errors.log_ratio_loser
            save_log_ratios(self.config.out, self.step, s_w, s_l, held_out.moments.t)
        seen_logs = floats(output.logs)
        self.watch.looked(seen_logs, at_reference=not self.step)
        logs = {f"heldout/{k}": v for k, v in seen_logs.items()}
        logs |= {f"heldout/{k}": v for k, v in self._by_quarter(errors, held_out.moments.t).items()}
        return {**logs}

    # --- resuming -----------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs; noise and order of the data are functions of the step."""
        return {
            "step": self.step,
            "policy": {name: whole(p.detach()).cpu() for name, p in self.policy.parameters.items()},
            "optimizer": whole(self.optimizer.state_dict()),
            "watch": dict(vars(self.watch)),
            "scaler": self._scaler.state_dict(),
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
        self._scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            shadows = zip(state["average"]["shadow_params"], self.parameters, strict=True)
            self.average.restore({**state["average"], "shadow_params": [like(a, p) for a, p in shadows]})


def _by_side(both: Predictions | None, sides: int) -> tuple[Predictions | None, Predictions | None]:
    """Winner's and loser's predictions, from those with the side as their first axis."""
    if both is None:
        return None, None
    each = [
        Predictions(
            both.policy[side], None if both.reference is None else both.reference[side], both.target[side]
        )
        for side in range(sides)
    ]
    return each[0], each[1] if sides == 2 else None

r"""The training loop, from the drawn batch to the metrics line, for any number of runs on one base model.

`train_runs` draws and asks the reference, `train_step` is all that happens to one policy, and `Run.record`
writes the line and, where one is due, the checkpoint.

`fbench train` is the case of one. Runs whose batches are the same (`BatchPlan`) share them and what the
reference says of them. None sees anything of the others: each ends as it would have ended alone, to the bit.
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from accelerate.utils import gather, reduce
from numpy.typing import NDArray
from torch import Tensor

from benchmark.core.console import doing
from benchmark.core.errors import UserError
from benchmark.core.interrupts import Terminated, postponed
from trainers.batches import Batch, batches
from trainers.config import TrainConfig
from trainers.log_ratio import PolicyAndReference, pair_errors, prediction_drift
from trainers.logs import Metrics, floats, quarter_logs
from trainers.networks import NetworkErrors, add_up, network_errors, split, whole
from trainers.objectives import Predictions
from trainers.optimisers import early_step, set_rate
from trainers.progress import progress
from trainers.recipe import BatchPlan
from trainers.run import Run
from trainers.shared import Shared


def train_runs(runs: Sequence[Run], shared: Shared) -> None:
    """Trains until every run has done its steps; one whose loss is no number ends alone, with a `failure`.

    Args:
        runs: At least one, each begun.
        shared: The base model and the data that they have in common.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when the step in progress is done and saved.
    """
    steps, first = max(run.config.steps for run in runs), min(run.step for run in runs)
    name = f"training {runs[0].config.out.name}" if len(runs) == 1 else f"training {len(runs)} policies"
    with (
        postponed() as came,
        doing(name),
        batches(shared.pipeline, shared.train, shared.state) as batch_of,
        progress(steps, first, name, quiet=not shared.state.is_main_process) as show,
    ):
        for step in range(first, steps):
            if all(run.failure is not None for run in runs):
                break
            note = ""
            for plan, group in _groups(runs, step).items():
                start = time.perf_counter()
                batch = batch_of(plan, step)
                reference = reference_errors(group, batch, shared)
                waited = time.perf_counter() - start
                for run in group:
                    note = _advance(run, batch, reference, waited)
            show(step + 1, note)
            if (interruption := _agreed(came(), shared)) is not None:
                for run in runs:
                    run.keep_state()
                raise interruption


def _advance(run: Run, batch: Batch, reference: NetworkErrors | None, waited: float) -> str:
    """One step of a run and its line of metrics; what to show of it."""
    try:
        metrics = train_step(run, batch, reference, waited)
        run.record(metrics)
    except UserError as error:
        run.failure = error
        return "a policy failed"
    return f"loss {metrics['loss']:.4f}, {metrics['samples_per_second']:.1f} samples/s"


def reference_errors(group: Sequence[Run], batch: Batch, shared: Shared) -> NetworkErrors | None:
    r"""$m_{\mathrm{ref}}$: what the base model says of a batch, once for all runs that see it.

    In the same parts as the policies: then equal weights give equal errors, to the bit.
    """
    if not any(run.recipe.objective.uses_reference for run in group):
        return None
    keep = any(run.keeps_predictions for run in group)
    parts = split(len(batch.inputs.text), group[0].config.micro_batches)
    with torch.no_grad(), shared.base.reference() as network:
        return network_errors(shared.pipeline, network, batch.inputs, parts, keep=keep)


def train_step(
    run: Run, batch: Batch, reference: NetworkErrors | None = None, waited: float = 0.0
) -> Metrics:
    r"""One optimiser step of one policy.

    The objective sees the whole batch, of all processes and micro-batches, as a function of the errors $m$,
    and of the predictions where it needs them; its gradient over these then goes back through the network
    part by part. This is the chain rule, so every objective gets its exact gradient however a batch is split.

    Args:
        run: Its policy moves.
        batch: The pairs, with their (t, noise).
        reference: What the reference says of this process's part.
        waited: Seconds for batch and reference, which all runs of the batch waited for.

    Returns:
        The step's metrics.

    Raises:
        UserError: if the loss or the gradient is not finite.
    """
    start = time.perf_counter()
    lr = learning_rate(run.config, run.step)
    parts = split(len(batch.inputs.text), run.config.micro_batches)

    # m: how far the policy's predictions are from the targets, at the batch's (t, noise).
    with torch.set_grad_enabled(len(parts) == 1), run.policy.active() as network:
        own = network_errors(
            run.pipeline, network, batch.inputs, parts, sides=run.sides, keep=run.keeps_predictions
        )
    both = _of_all_processes(run, own, reference, batch)

    # s = -kappa (m - m_ref - d), and the loss as a function of both sides' s.
    clip = run.embeddings
    e = None if clip is None else clip.of_pairs(run.shared.train, batch.rows, run.config.embedding)
    errors = pair_errors(both, run.scale, e)
    output = run.recipe.objective(errors)
    _refuse_not_finite(run, "loss", batch.rows, float(output.loss.detach()))

    # dL/dm, then dm/dtheta part by part, then the weights move.
    leaves = [both.policy] if both.predictions is None else [both.policy, both.predictions.policy]
    gradients = torch.autograd.grad(output.loss, leaves, allow_unused=True, materialize_grads=True)
    go_back = partial(_backward, run, own, gradients, batch, parts)
    norm = _update(run, go_back, lr, batch.rows)

    run.step += 1
    logs = floats(output.logs)
    run.watch.note_step(logs)
    quarters = quarter_logs(run.recipe.divergence, errors, run.pipeline.noise_level(batch.moments.t))
    seconds = time.perf_counter() - start
    return {
        "step": run.step,
        **logs,
        **quarters,
        "grad_norm": norm,
        "lr": lr,
        "seconds": seconds,
        "shared_seconds": waited,
        "samples_per_second": run.sides * batch.moments.t.numel() / (seconds + waited),
    }


def learning_rate(config: TrainConfig, step: int) -> float:
    """The rate of a step, counted from 0: a linear warm-up, then constant or a cosine to 0."""
    rising = config.rising
    if step < rising:
        return config.lr * (step + 1) / rising
    if config.lr_schedule == "constant":
        return config.lr
    through = (step - rising) / max(1, config.steps - rising)
    return config.lr * 0.5 * (1 + math.cos(math.pi * through))


def _of_all_processes(
    run: Run, own: NetworkErrors, reference: NetworkErrors | None, batch: Batch
) -> PolicyAndReference:
    """The whole batch's errors, in its order; the policy's errors and predictions are leaves."""

    def gathered(local: Tensor) -> Tensor:
        if run.shared.state.num_processes == 1:
            return local
        together: Tensor = gather(local.movedim(2, 0).contiguous())
        return together.movedim(0, 2).contiguous()

    drift = reference_error = predictions = None
    if reference is not None and run.recipe.objective.uses_reference:
        reference_error = gathered(reference.error)
        if run.uses_drift and own.prediction is not None and reference.prediction is not None:
            drift = gathered(prediction_drift(own.prediction, reference.prediction[: run.sides]))
    if run.recipe.objective.needs_predictions and own.prediction is not None:
        theirs = None if reference_error is None or reference is None else reference.prediction
        predictions = Predictions(
            gathered(own.prediction.detach()).requires_grad_(),
            None if theirs is None else gathered(theirs[: run.sides]),
            gathered(batch.inputs.target[: run.sides]),
        )
    error = gathered(own.error.detach()).requires_grad_()
    return PolicyAndReference(error, reference_error, drift, predictions, batch.moments.scale, batch.weight)


def _backward(
    run: Run,
    own: NetworkErrors,
    gradients: tuple[Tensor, ...],
    batch: Batch,
    parts: list[slice],
    *,
    again: bool = False,
) -> None:
    """Back through the network, from the gradients over errors and, if there are two, predictions.

    `again` says that it will be gone back through once more.
    """
    state, n = run.shared.state, len(batch.inputs.text)
    start = state.process_index * n
    mine = [gradient[:, :, start : start + n] for gradient in gradients]
    # The adapter stays on for the backward pass: gradient checkpointing goes forward again in it.
    with run.policy.active() as network:
        for part in parts:
            errors = own
            if len(parts) > 1:
                errors = network_errors(
                    run.pipeline, network, batch.inputs, [part], sides=run.sides, keep=len(mine) > 1
                )
            outputs = [errors.error]
            if len(mine) > 1 and errors.prediction is not None:
                outputs.append(errors.prediction)
            torch.autograd.backward(
                outputs,
                [run.scaler.scale(gradient[:, :, part].contiguous()) for gradient in mine],
                retain_graph=again,
            )
    if state.num_processes > 1 and (found := add_up(run.parameters, state.num_processes)):
        flat = reduce(torch.cat([g.flatten() for g in found]), "sum")
        for g, total in zip(found, flat.split([g.numel() for g in found]), strict=True):
            g.copy_(total.view_as(g))


def _update(run: Run, go_back: Callable[..., None], lr: float, rows: NDArray[np.int64]) -> float:
    """Moves the weights along their gradients; returns the gradient's norm before it was cut off."""
    limit = math.inf if run.config.max_grad_norm is None else run.config.max_grad_norm
    check = partial(_refuse_not_finite, run, "gradient norm", rows)
    set_rate(run.optimizer, lr)
    if run.config.early_updates:
        norm = early_step(run.optimizer, run.parameters, go_back, limit, check)
    else:
        go_back()
        run.scaler.unscale_(run.optimizer)
        norm = float(whole(torch.nn.utils.clip_grad_norm_(run.parameters, limit)))
        if not run.scaler.is_enabled():  # which leaves out a step that was scaled too far, and scales less
            check(norm)
        run.scaler.step(run.optimizer)
        run.scaler.update()
        run.optimizer.zero_grad(set_to_none=True)
    if run.average is not None:
        run.average.update()
    return norm


def _refuse_not_finite(run: Run, what: str, rows: NDArray[np.int64], value: float) -> None:
    if math.isfinite(value):
        return
    names = [run.shared.train.rows[i] for i in rows]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    raise UserError(
        f"the {what} is {value} at step {run.step + 1} of {run.config.out}; its rows: "
        f"{', '.join(names[:8])}{more}",
        do="lower lr, beta or log_ratio_scale; the last checkpoint is still there",
    )


def _groups(runs: Sequence[Run], step: int) -> dict[BatchPlan, list[Run]]:
    """Who is at this step, by what determines the batch."""
    groups: dict[BatchPlan, list[Run]] = {}
    for run in runs:
        if run.failure is None and run.step == step < run.config.steps:
            groups.setdefault(run.recipe.plan, []).append(run)
    return groups


def _agreed(came: KeyboardInterrupt | None, shared: Shared) -> KeyboardInterrupt | None:
    """What came to any process: they compute together, so all stop after the same step."""
    if shared.state.num_processes == 1:
        return came
    flags = [float(came is not None), float(isinstance(came, Terminated))]
    stopped, terminated = reduce(torch.tensor(flags, device=shared.state.device), "sum").tolist()
    return (Terminated() if terminated else KeyboardInterrupt()) if stopped else None

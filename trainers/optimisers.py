"""What moves the weights: the optimiser, all at once or one by one, and the average of the weights."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from trainers.config import TrainConfig


def make_optimizer(config: TrainConfig, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW, with states of 32 or of 8 bits, or Adafactor without a rate of its own, as published for SDXL.

    Args:
        config: Rate and weight decay.
        parameters: What it moves.
    """
    if config.optimizer == "adamw8bit":
        return _adamw_of_8_bits(config, parameters)
    if config.optimizer == "adafactor":
        from transformers.optimization import Adafactor

        return Adafactor(  # type: ignore[no-any-return]  # transformers is not followed
            parameters,
            lr=config.lr,
            weight_decay=config.weight_decay,
            scale_parameter=False,
            relative_step=False,
            warmup_init=False,
        )
    # A third of the time of torch's default on a CPU, where that goes weight by weight.
    return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True)


def _adamw_of_8_bits(config: TrainConfig, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW with moments of 8 bits a number and a scale for 256 of them; those of small weights are exact."""
    from torchao.optim import AdamW8bit

    class Uncompiled(AdamW8bit):  # type: ignore[misc]  # torchao is not followed
        """Compiled, it would need a C++ compiler, and build a kernel for each shape of a weight."""

        def step(self, closure: Callable[[], float] | None = None) -> float | None:
            with torch.compiler.set_stance("force_eager"):
                return super().step(closure)  # type: ignore[no-any-return]

    kind = Uncompiled if parameters[0].device.type == "cpu" else AdamW8bit
    optimizer: torch.optim.Optimizer = kind(parameters, lr=config.lr, weight_decay=config.weight_decay)
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Gives all weights one learning rate."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):  # torchao's, whose kernel is compiled once for all rates
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def early_step(
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[nn.Parameter],
    go_back: Callable[..., None],
    limit: float,
    check: Callable[[float], None],
) -> float:
    """Moves each weight as soon as its gradient is known, so that no two gradients are held.

    The weights end where clipping and `optimizer.step()` after the backward pass would put them, to the bit.
    By how much the gradient is cut off only the whole of it tells: where it is, there is a backward pass that
    finds the norm before the one that moves the weights.

    Args:
        optimizer: Of one group.
        parameters: Its weights.
        go_back: The backward pass; with `again=True` it can be made once more.
        limit: The gradient's norm is cut off there; infinite for nowhere.
        check: Is told the norm, and raises where it is no number.

    Returns:
        The norm of the whole gradient before it was cut off.
    """
    norms: dict[nn.Parameter, Tensor] = {}

    def measure(parameter: nn.Parameter, gradient: Tensor) -> None:
        norms[parameter] = get_total_norm([gradient])

    def whole_norm() -> Tensor:
        # In the order of the weights, in which their norms are added up elsewhere: a sum depends on it.
        return get_total_norm([norms[p] for p in parameters if p in norms])

    if cut := limit < math.inf:
        with _passing(parameters, measure):
            go_back(again=True)
        norm = whole_norm()
        check(float(norm))

    def move(parameter: nn.Parameter, gradient: Tensor) -> None:
        if cut:
            clip_grads_with_norm_([parameter], limit, norm)
        else:
            measure(parameter, gradient)
        _move_alone(optimizer, parameter)

    with _passing(parameters, move):
        go_back()
    if not cut:
        norm = whole_norm()
        check(float(norm))
    return float(norm)


@contextmanager
def _passing(
    parameters: Sequence[nn.Parameter], use: Callable[[nn.Parameter, Tensor], None]
) -> Iterator[None]:
    """Meanwhile each gradient is used once it is whole, and let go."""

    def arrived(weight: Tensor) -> None:
        if isinstance(weight, nn.Parameter) and weight.grad is not None:
            use(weight, weight.grad)
            weight.grad = None

    handles = [parameter.register_post_accumulate_grad_hook(arrived) for parameter in parameters]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _move_alone(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> None:
    """What `optimizer.step()` does to one weight; what it keeps of each stays in the one optimiser."""
    (group,) = optimizer.param_groups
    everyone = group["params"]
    group["params"] = [parameter]
    try:
        optimizer.step()
    finally:
        group["params"] = everyone


class Average:
    r"""Exponential moving average of the weights, which is what is then saved and looked at.

    $$ \bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta, \qquad
       d = \min(\mathrm{decay}, (1 + k) / (10 + k)) $$

    after step k, so that the first weights are soon forgotten; diffusers' `EMAModel`.

    Args:
        parameters: The weights; the average starts at them.
        decay: In (0, 1).
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        from diffusers.training_utils import EMAModel

        self._parameters = list(parameters)
        self._model: Any = EMAModel(self._parameters, decay=decay, update_after_step=-1)

    def update(self) -> None:
        """After a step."""
        self._model.step(self._parameters)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Puts the average into the weights' place for a while."""
        self._model.store(self._parameters)
        self._model.copy_to(self._parameters)
        try:
            yield
        finally:
            self._model.restore(self._parameters)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return dict(self._model.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """Goes back to where `state` was taken."""
        self._model.load_state_dict(state)

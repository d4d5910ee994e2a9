"""What moves the weights: the optimiser, and the average of the weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from trainers.config import TrainConfig


def make_optimizer(config: TrainConfig, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW, or Adafactor without a rate of its own: a tenth of the memory, as published for SDXL.

    Args:
        config: Rate and weight decay.
        parameters: What it moves.
    """
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

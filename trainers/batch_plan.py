"""What determines the batches of a run. No torch here: a plan is made before anything is loaded."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class BatchPlan:
    """What determines the batches of a run; policies with equal plans share them.

    Attributes:
        seed: Of the run.
        batch_size: Pairs a step, over all processes.
        draws: Independent (t, noise) for each pair of a batch.
        share_t: One timestep for each `pair`, or for the whole `batch`.
        prompt_dropout: Share of captions replaced by the empty one.
        micro_batches: Parts that a process's share of a batch goes through the networks in.
        flip: Whether half of the pairs, both images of each, are seen in the mirror.
    """

    seed: int
    batch_size: int
    draws: int = 1
    share_t: Literal["batch", "pair"] = "pair"
    prompt_dropout: float = 0.0
    micro_batches: int = 1
    flip: bool = False

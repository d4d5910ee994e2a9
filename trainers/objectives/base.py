"""What objectives take and give, the interface, and the registry."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields

from jaxtyping import Float
from torch import Tensor

from benchmark.core.registry import Registry


@dataclass(frozen=True)
class Predictions:
    """What the networks said, for objectives that need the vectors; float32.

    Attributes:
        policy: Prediction of the policy; the loss may depend on it as on the errors.
        reference: Prediction of the reference; None without one.
        target: What both should have said: noise, v or velocity.
    """

    policy: Float[Tensor, "*draws n c h w"]
    reference: Float[Tensor, "*draws n c h w"] | None
    target: Float[Tensor, "*draws n c h w"]


@dataclass(frozen=True)
class PairErrors:
    r"""A batch of pairs as objectives see it; tensors are references, never copies.

    Attributes:
        policy_winner: $m_\theta(x_w)$, the policy's prediction error.
        policy_loser: $m_\theta(x_l)$; None for data without losers.
        log_ratio_winner: $s_w$ in nats, float32; None without a reference.
        log_ratio_loser: $s_l$ likewise.
        embedding_winner: $e_w$, of prompt, image or both (`text_image_embedding`).
        embedding_loser: $e_l$ likewise.
        predictions_winner: The vectors behind the errors; None unless the objective needs them.
        predictions_loser: Likewise.
        weight: How much each pair counts; None where all count alike.
    """

    policy_winner: Float[Tensor, "*draws n"]
    policy_loser: Float[Tensor, "*draws n"] | None = None
    log_ratio_winner: Float[Tensor, "*draws n"] | None = None
    log_ratio_loser: Float[Tensor, "*draws n"] | None = None
    embedding_winner: Float[Tensor, "n e"] | None = None
    embedding_loser: Float[Tensor, "n e"] | None = None
    predictions_winner: Predictions | None = None
    predictions_loser: Predictions | None = None
    weight: Float[Tensor, " n"] | None = None

    def policy_errors(self) -> tuple[Float[Tensor, "*draws n"], Float[Tensor, "*draws n"]]:
        r"""$m_\theta(x_w), m_\theta(x_l)$; a ValueError where the losers are missing."""
        return self._both("policy_winner", "policy_loser")

    def log_ratios(self) -> tuple[Float[Tensor, "*draws n"], Float[Tensor, "*draws n"]]:
        """$s_w, s_l$; a ValueError where they are missing."""
        return self._both("log_ratio_winner", "log_ratio_loser")

    def embeddings(self) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]]:
        """$e_w, e_l$; a ValueError where they are missing."""
        return self._both("embedding_winner", "embedding_loser")

    def _both(self, winner: str, loser: str) -> tuple[Tensor, Tensor]:
        first, second = getattr(self, winner), getattr(self, loser)
        if first is None or second is None:
            given = [f.name for f in fields(self) if getattr(self, f.name) is not None]
            raise ValueError(f"this objective needs {winner} and {loser}; given: {given}")
        if first.shape != second.shape:
            raise ValueError(f"{winner} {tuple(first.shape)} and {loser} {tuple(second.shape)} differ")
        return first, second


@dataclass(frozen=True)
class ObjectiveOutput:
    """What a step needs.

    Attributes:
        loss: To minimise.
        logs: Named scalars, detached and still on the device, so that nothing waits for them.
    """

    loss: Float[Tensor, ""]
    logs: Mapping[str, Float[Tensor, ""]]


class Objective(ABC):
    """A small callable: constants in the constructor, one equation in `__call__`.

    Attributes:
        name: Lower case with `_`.
        value_at_reference: The loss where the policy is the reference, None where data decide.
        uses_reference: Whether it needs a reference model.
        paired: Whether it needs losers.
        couples_batch: Whether pairs of one batch meet in the loss, so that several processes must gather
            log-ratios and embeddings, with gradients, before it.
        needs_embeddings: Whether it needs CLIP embeddings of the pairs.
        needs_predictions: Whether it needs the networks' predictions, not only their errors. The loss is then
            differentiated with respect to both.
    """

    name: str
    value_at_reference: float | None
    uses_reference: bool
    paired: bool
    couples_batch: bool
    needs_embeddings: bool = False
    needs_predictions: bool = False

    @abstractmethod
    def __call__(self, errors: PairErrors) -> ObjectiveOutput:
        """Loss and logs of one batch; ValueError if the record lacks what the objective needs."""


objectives: Registry[Objective] = Registry(
    "objective", group="fbench.objectives", modules=("trainers.objectives",)
)

r"""The loss on fixed held-out pairs with fixed (t, noise): whether a policy learns, or memorises.

At $\theta = \mathrm{ref}$ it is `value_at_reference`, log 2 for `f_dpo` and `rpo`. A run that ends
above it, or with too many samples beyond the knee, is marked `diverged`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.models.families.base import Pipeline
from trainers.draws import Moments, held_out_inputs, held_out_moments
from trainers.embeddings import ClipEmbeddings
from trainers.latents import EncodedPairs
from trainers.log_ratio import prediction_drift
from trainers.networks import NetworkErrors, Policy, SharedUNet, join, network_errors, split
from trainers.objectives import Predictions

AT_ONCE = 16
"""Pairs a forward pass: always the same, because another size may move a loss by a rounding error."""


@dataclass(frozen=True, eq=False)
class PairsSeen:
    r"""Errors of policy and reference on the same pairs, (t, noise) and sides.

    Attributes:
        policy: $m_\theta$.
        reference: $m_{ref}$; None where nobody needs it.
        drift: $d$ of the centre `drift`; None for the centre `none`.
        predictions: The vectors behind the errors, sides first; None where nobody needs them.
        scale: What the log-ratio scale is multiplied by, where it depends on the timestep.
        weight: How much the pairs count; None where all count alike.
    """

    policy: Float[Tensor, "sides draws n"]
    reference: Float[Tensor, "2 draws n"] | None
    drift: Float[Tensor, "2 draws n"] | None = None
    predictions: Predictions | None = None
    scale: Float[Tensor, "draws n"] | None = None
    weight: Float[Tensor, " n"] | None = None


class HeldOut:
    """Held-out pairs of one run, and what the reference says of them, computed once.

    Args:
        pipeline: For its precision and scheduler.
        shared: The reference.
        pairs: At least one.
        draws: Fixed (t, noise) for each.
        embeddings: CLIP's, for objectives that need them.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        shared: SharedUNet,
        pairs: EncodedPairs,
        draws: int,
        embeddings: ClipEmbeddings | None = None,
    ) -> None:
        self.pairs, self.embeddings = pairs, embeddings
        self._pipeline, self._shared, self._draws = pipeline, shared, draws
        self._reference: list[NetworkErrors] | None = None

    @cached_property
    def moments(self) -> Moments:
        """The fixed timesteps."""
        return held_out_moments(self._pipeline, self.pairs, self._draws)

    @cached_property
    def weight(self) -> Float[Tensor, " n"] | None:
        """How much the pairs count."""
        return self.pairs.weights_of(np.arange(len(self.pairs)), self._pipeline.device)

    @torch.no_grad()
    def see(self, policy: Policy, *, sides: int, drift: bool, predictions: bool = False) -> PairsSeen:
        """Errors of a policy and of the reference.

        Args:
            policy: What to look at.
            sides: 1 for objectives that look at winners alone.
            drift: Whether the drift is wanted.
            predictions: Whether the predictions are.
        """
        keep = drift or predictions
        reference = self._reference_errors(keep)
        with policy.active() as unet:
            seen = [self._errors(unet, k, sides, keep) for k in range(self._draws)]
        drifts = [
            prediction_drift(own.prediction, ref.prediction)
            for own, ref in zip(seen, reference, strict=True)
            if drift and own.prediction is not None and ref.prediction is not None
        ]
        return PairsSeen(
            torch.cat([one.error for one in seen], 1),
            torch.cat([one.error for one in reference], 1),
            torch.cat(drifts, 1) if drift else None,
            self._predictions(seen, reference) if predictions else None,
            self.moments.scale,
            self.weight,
        )

    def at_reference(self, *, sides: int = 2, predictions: bool = False) -> PairsSeen:
        """What a policy equal to the reference would give; no forward pass beyond the reference's."""
        seen = self._reference_errors(predictions)
        error = torch.cat([one.error for one in seen], 1)
        same = [NetworkErrors(e.error, None if e.prediction is None else e.prediction[:sides]) for e in seen]
        vectors = self._predictions(same, seen) if predictions else None
        zeros = torch.zeros_like(error)
        return PairsSeen(error[:sides], error, zeros, vectors, self.moments.scale, self.weight)

    @torch.no_grad()
    def _reference_errors(self, keep: bool) -> list[NetworkErrors]:
        if self._reference is None or (keep and self._reference[0].prediction is None):
            with self._shared.reference() as unet:
                self._reference = [self._errors(unet, k, 2, keep) for k in range(self._draws)]
        return self._reference

    def _predictions(self, seen: list[NetworkErrors], reference: list[NetworkErrors]) -> Predictions:
        inputs = [held_out_inputs(self._pipeline, self.pairs, k, self._draws) for k in range(self._draws)]
        said = torch.cat([one.prediction for one in seen if one.prediction is not None], 1)
        sides = said.shape[0]
        before = torch.cat([one.prediction[:sides] for one in reference if one.prediction is not None], 1)
        return Predictions(said, before, torch.cat([one.target[:sides] for one in inputs], 1))

    def _errors(self, unet: torch.nn.Module, draw: int, sides: int, keep: bool) -> NetworkErrors:
        inputs = held_out_inputs(self._pipeline, self.pairs, draw, self._draws)
        parts = split(len(self.pairs), -(-len(self.pairs) // AT_ONCE))
        return join(
            [network_errors(self._pipeline, unet, inputs, sides=sides, pairs=p, keep=keep) for p in parts]
        )

r"""The loss on fixed held-out pairs with fixed (t, noise): whether a policy learns, or memorises.

At $\theta = \mathrm{ref}$ it is `value_at_reference`, log 2 for `f_dpo` and `rpo`. A run that ends
above it, or with too many samples beyond the knee, is marked `diverged`.
"""

from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.models.families.base import ErrorOf, Pipeline
from trainers.batches import Moments, held_out_inputs, held_out_moments
from trainers.embeddings import ClipEmbeddings
from trainers.encoded_pairs import EncodedPairs
from trainers.log_ratio import PolicyAndReference, prediction_drift
from trainers.networks import BaseNetwork, NetworkErrors, Policy, network_errors, split
from trainers.objectives import Predictions

AT_ONCE = 16
"""Pairs a forward pass: always the same, because another size may move a loss by a rounding error."""


class HeldOut:
    """Held-out pairs of the runs of a process, and what the reference says of them, computed once.

    Args:
        pipeline: How networks are asked.
        base: The reference.
        pairs: At least one.
        draws: Fixed (t, noise) for each.
        embeddings: CLIP's, for objectives that need them.
        error_of: Of what the log-ratio compares errors.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        base: BaseNetwork,
        pairs: EncodedPairs,
        draws: int,
        embeddings: ClipEmbeddings | None = None,
        error_of: ErrorOf = "prediction",
    ) -> None:
        self.pairs, self.embeddings, self._error_of = pairs, embeddings, error_of
        self._pipeline, self._base, self._draws = pipeline, base, draws
        self._reference: list[NetworkErrors] | None = None

    @cached_property
    def moments(self) -> Moments:
        """The fixed timesteps."""
        return held_out_moments(self._pipeline, self.pairs, self._draws, self._error_of)

    @cached_property
    def weight(self) -> Float[Tensor, " n"] | None:
        """How much the pairs count."""
        return self.pairs.weights_of(np.arange(len(self.pairs)), self._pipeline.device)

    @torch.no_grad()
    def errors_of(
        self, policy: Policy, *, sides: int = 2, drift: bool = False, predictions: bool = False
    ) -> PolicyAndReference:
        """Errors of a policy and of the reference.

        Args:
            policy: What to look at.
            sides: 1 for objectives that look at winners alone.
            drift: Whether the drift is wanted.
            predictions: Whether the predictions are.
        """
        keep = drift or predictions
        reference = self._reference_errors(keep)
        with policy.active() as network:
            seen = [self._errors(network, k, sides, keep) for k in range(self._draws)]
        drifts = [
            prediction_drift(own.prediction, ref.prediction[:sides])
            for own, ref in zip(seen, reference, strict=True)
            if drift and own.prediction is not None and ref.prediction is not None
        ]
        return PolicyAndReference(
            torch.cat([one.error for one in seen], 1),
            torch.cat([one.error for one in reference], 1),
            torch.cat(drifts, 1) if drift else None,
            self._predictions(seen, reference) if predictions else None,
            self.moments.scale,
            self.weight,
        )

    def at_reference(
        self, *, sides: int = 2, drift: bool = False, predictions: bool = False
    ) -> PolicyAndReference:
        """What a policy equal to the reference would give; no forward pass beyond the reference's."""
        seen = self._reference_errors(predictions)
        error = torch.cat([one.error for one in seen], 1)
        same = [NetworkErrors(e.error, None if e.prediction is None else e.prediction[:sides]) for e in seen]
        vectors = self._predictions(same, seen) if predictions else None
        zeros = torch.zeros_like(error) if drift else None
        return PolicyAndReference(error[:sides], error, zeros, vectors, self.moments.scale, self.weight)

    @torch.no_grad()
    def _reference_errors(self, keep: bool) -> list[NetworkErrors]:
        if self._reference is None or (keep and self._reference[0].prediction is None):
            with self._base.reference() as network:
                self._reference = [self._errors(network, k, 2, keep) for k in range(self._draws)]
        return self._reference

    def _predictions(self, seen: list[NetworkErrors], reference: list[NetworkErrors]) -> Predictions:
        inputs = [held_out_inputs(self._pipeline, self.pairs, k, self._draws) for k in range(self._draws)]
        own = torch.cat([one.prediction for one in seen if one.prediction is not None], 1)
        sides = own.shape[0]
        before = torch.cat([one.prediction[:sides] for one in reference if one.prediction is not None], 1)
        return Predictions(own, before, torch.cat([one.target[:sides] for one in inputs], 1))

    def _errors(self, network: torch.nn.Module, draw: int, sides: int, keep: bool) -> NetworkErrors:
        inputs = held_out_inputs(self._pipeline, self.pairs, draw, self._draws)
        parts = split(len(self.pairs), -(-len(self.pairs) // AT_ONCE))
        return network_errors(self._pipeline, network, inputs, parts, sides=sides, keep=keep)

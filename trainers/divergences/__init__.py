"""Divergences: `base` has the interface, the knee and the registry, `standard` the usual eight."""

from trainers.divergences.base import KNEE, Divergence, divergences
from trainers.divergences.standard import (
    Alpha,
    Chi2KL,
    ForwardKL,
    Jeffreys,
    JensenShannon,
    PearsonChi2,
    ReverseKL,
    SquaredHellinger,
)

__all__ = [
    "KNEE",
    "Alpha",
    "Chi2KL",
    "Divergence",
    "ForwardKL",
    "Jeffreys",
    "JensenShannon",
    "PearsonChi2",
    "ReverseKL",
    "SquaredHellinger",
    "divergences",
]

"""Divergences: `base` has the interface, the knee and the registry, `standard` the usual eight.

`mixture` is the weighted mean of two, `formula` one's own f as a text; `laws` is what all of them obey.
"""

from trainers.divergences.base import KNEE, Divergence
from trainers.divergences.formula import Formula
from trainers.divergences.mixture import Mixture
from trainers.divergences.registry import divergences
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
    "Formula",
    "ForwardKL",
    "Jeffreys",
    "JensenShannon",
    "Mixture",
    "PearsonChi2",
    "ReverseKL",
    "SquaredHellinger",
    "divergences",
]

"""The door for divergences, where other people's are held to the laws."""

from benchmark.core.registry import Registry
from trainers.divergences import laws
from trainers.divergences.base import Divergence


def _law_abiding(divergence: Divergence) -> None:
    """What comes with fbench is tested; a formula, and anybody else's, is checked when it is made."""
    module = type(divergence).__module__
    if module == f"{__package__}.formula" or not module.startswith(f"{__package__}."):
        laws.enforce(divergence)


divergences: Registry[Divergence] = Registry(
    "divergence",
    group="fbench.divergences",
    modules=("trainers.divergences",),
    states=Divergence,
    accept=_law_abiding,
)

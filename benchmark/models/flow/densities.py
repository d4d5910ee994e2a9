r"""From which density training draws sigma, as quantile functions of a uniform number.

Training draws u from (seed, step, row), so what is drawn depends on nothing else. `logit_normal` is that of
arXiv 2403.03206, section 3.1, and `shift` of its section 5.3.2,

$$ \sigma = \frac{s\,\sigma'}{1 + (s - 1)\,\sigma'}. $$

A positive mean and a shift above 1 favour **noise**. In diffusers' `compute_density_for_timestep_sampling`
it is the reverse: what that returns is an *index* into timesteps that fall, $1 - \sigma'$ times their number,
so its `logit_mean=m` is `mean=-m` here.
"""

import inspect
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float
from scipy.special import expit, ndtri

from benchmark.core.calls import parse_call
from benchmark.core.errors import ConfigError

MODEL: Final = "model"
"""The shift that the model's own sampler has."""


@dataclass(frozen=True)
class SigmaDensity:
    r"""A density of sigma on [0, 1).

    Attributes:
        name: `uniform`, or `logit_normal`: $\sigma' = \mathrm{sigmoid}(m + s\,z)$ with z standard normal.
        mean: m.
        std: s > 0.
        shift: Above 1 more noise, below 1 less.
    """

    name: Literal["uniform", "logit_normal"] = "uniform"
    mean: float = 0.0
    std: float = 1.0
    shift: float = 1.0

    def __call__(self, u: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
        """The density's quantiles.

        Args:
            u: Uniform in [0, 1).
        """
        sigma = u if self.name == "uniform" else expit(self.mean + self.std * ndtri(u))
        found: np.ndarray = shifted(sigma, self.shift)
        return found

    def __str__(self) -> str:
        """As a setting states it.

        Example:
            >>> str(SigmaDensity("logit_normal", shift=3.0)), str(SigmaDensity())
            ('logit_normal(mean=0, std=1, shift=3)', 'uniform(shift=1)')
        """
        own = f"mean={self.mean:g}, std={self.std:g}, " if self.name == "logit_normal" else ""
        return f"{self.name}({own}shift={self.shift:g})"


def shifted(sigma: Any, shift: float) -> Any:
    r"""$s\,\sigma / (1 + (s - 1)\,\sigma)$, of arrays and tensors.

    Example:
        >>> shifted(0.5, 3.0)
        0.75
    """
    return shift * sigma / (1 + (shift - 1) * sigma)


def uniform(*, shift: float | str = 1.0) -> SigmaDensity:
    """Uniform in sigma, before the shift."""
    return SigmaDensity("uniform", shift=shift)  # type: ignore[arg-type]  # settled by `parse_density`


def logit_normal(*, mean: float = 0.0, std: float = 1.0, shift: float | str = 1.0) -> SigmaDensity:
    """Normal in log(sigma / (1 - sigma)), before the shift."""
    return SigmaDensity("logit_normal", mean, std, shift)  # type: ignore[arg-type]  # likewise


_DENSITIES: Final = {"uniform": uniform, "logit_normal": logit_normal}
_ALLOWED: Final = (
    "uniform, uniform(shift=3), logit_normal, logit_normal(mean=0, std=1, shift='model'); shift is a number, "
    "or 'model' for that of the model's own sampler"
)


def check_density(text: str) -> None:
    """Refuses what is no density, before any model is known.

    Raises:
        ConfigError: names what is allowed.
    """
    parse_density(text, 1.0)


def parse_density(text: str, own_shift: float) -> SigmaDensity:
    """The density that a setting means.

    Args:
        text: Such as ``logit_normal(mean=0, std=1, shift='model')``.
        own_shift: That of the model's own sampler, static or from the size of its images.

    Raises:
        ConfigError: for another name or argument.

    Example:
        >>> str(parse_density("logit_normal(shift='model')", 3.0))
        'logit_normal(mean=0, std=1, shift=3)'
    """
    call = parse_call(text, "density of sigma")
    wrong = ConfigError(f"t_density is {text}", allowed=_ALLOWED)
    make = _DENSITIES.get(call.name.replace("-", "_"))
    if (
        make is None
        or call.positional
        or not call.keywords.keys() <= inspect.signature(make).parameters.keys()
    ):
        raise wrong
    values = dict(call.keywords)
    if values.get("shift") == MODEL:
        values["shift"] = own_shift
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
        if not number or (name != "mean" and value <= 0):
            raise wrong
    return make(**{name: float(value) for name, value in values.items()})

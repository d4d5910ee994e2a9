r"""Mixtures of two divergences."""
# ruff: noqa: D102  f, exact_h and exact_slope are documented once, where they are declared

from typing import TypeVar, final

from jaxtyping import Float
from torch import Tensor

from benchmark.core.calls import SETTLED
from trainers.divergences.base import Divergence
from trainers.divergences.laws import is_symmetric
from trainers.divergences.registry import divergences

T = TypeVar("T", float, Tensor)


@final
@divergences.register()
class Mixture(Divergence):
    r"""A weighted mean of any two divergences, by default half of Jeffreys.

    $f = w f_1 + (1-w) f_2, \quad h = w h_1 + (1-w) h_2$. On each side its knee is the nearer one of
    its parts': beyond that the nearer part's h is no longer its f', so the mean is no longer f'
    either, and all of it goes on along its tangent. Letting the other part bend on until its own knee would
    make an h that is neither f' nor its tangent, and a share beyond the knee that counts neither.

    Args:
        first: As `--divergence` takes it, such as `alpha(a=0.3)`; or a divergence.
        second: Likewise.
        weight: w, of the first; strictly between 0 and 1.

    Raises:
        ValueError: If the weight is not strictly between 0 and 1.
        UserError: If a part cannot be made, or breaks a law.
    """

    name = "mixture"
    reference = "its parts'"

    def __init__(
        self,
        first: str | Divergence = "reverse_kl",
        second: str | Divergence = "forward_kl",
        weight: float = 0.5,
    ) -> None:
        if not 0 < weight < 1:
            raise ValueError(f"0 < weight < 1, got {weight}; at the ends one part is all")
        self.first = divergences.create(first) if isinstance(first, str) else first
        self.second = divergences.create(second) if isinstance(second, str) else second
        self.weight = float(weight)
        self.lower_knee = max(self.first.lower_knee, self.second.lower_knee)
        self.upper_knee = min(self.first.upper_knee, self.second.upper_knee)
        self.f_prime_at_0 = self._mean(self.first.f_prime_at_0, self.second.f_prime_at_0)
        # Two that are not may be together: reverse and forward KL are half of Jeffreys.
        self.symmetric = is_symmetric(self.f)
        if self.first.formula and self.second.formula:
            self.formula = (
                f"{self.weight!r}*({self.first.formula}) + {1 - self.weight!r}*({self.second.formula})"
            )
        setattr(self, SETTLED, {"first": repr(self.first), "second": repr(self.second)})

    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self._mean(self.first.f(u), self.second.f(u))

    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self._mean(self.first.exact_h(s), self.second.exact_h(s))

    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self._mean(self.first.exact_slope(s), self.second.exact_slope(s))

    def _mean(self, first: T, second: T) -> T:
        return self.weight * first + (1 - self.weight) * second

r"""Divergences: the convex functions that hold the policy near the reference.

In every class below $u = p_\theta / p_{\mathrm{ref}}$ is the density ratio and $s = \log u$ the
log-ratio, in nats. A divergence is a convex $f$ with $f(1) = 0$ and
$D_f(p_\theta \| p_{\mathrm{ref}}) = E_{\mathrm{ref}}[f(u)]$. Maximising a reward $r$ under the
penalty $\beta D_f$ gives $r = \beta f'(u) + \mathrm{const}$ wherever the policy is positive, so a
Bradley-Terry likelihood becomes a loss on

$$ h(s) = f'(e^s) - f'(1), \qquad \frac{dh}{ds} = u f''(u). $$

Everything is a function of s, never of u, which overflows.

The knee: some h grow like $e^{|s|}$. Beyond a stated |s| such an h goes on along its tangent, so value and
gradient stay finite and a saturated side goes on learning, which a clamp would stop. The knee changes the
loss, so it is a hyperparameter (`forward_kl(knee=20)`), and the share of samples beyond it is logged. Why:
docs/decisions/the-knee.md. What every divergence obeys: `laws`. How to add one: docs/adding-a-divergence.md.
"""

import math
from abc import ABC, abstractmethod
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.core.calls import call_of

KNEE = 10.0
"""Default knee in nats; there the slope of forward KL is e^10, 22,000 times the slope at s = 0."""


class Divergence(ABC):
    r"""A convex $f$, seen through $h(s) = f'(e^s) - f'(1)$.

    A subclass states the facts below and writes `f`, `exact_h` and `exact_slope`; the knee is dealt with
    here.

    Attributes:
        name: Lower case with `_`.
        symmetric: Whether $D_f(p \| q) = D_f(q \| p)$: $u f(1/u) - f(u)$ is a multiple of $u - 1$.
        f_prime_at_0: $f'(0+)$. Where it is finite, $r = \beta f'(u) + \mathrm{const}$ needs a beta large
            enough that the policy is positive everywhere.
        reference: Where it comes from.
        formula: f in the language of `expr:`, for tables; empty if nobody wrote it down.
        lower_knee: The $s$ below which $h$ goes on along its tangent, in nats; -inf for none.
        upper_knee: The $s$ above which it does; inf for none.
    """

    name: str
    symmetric: bool
    f_prime_at_0: float
    reference: str
    formula: str = ""
    lower_knee: float = -math.inf
    upper_knee: float = math.inf

    @abstractmethod
    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The convex function itself, of the density ratio u > 0."""

    @abstractmethod
    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """$f'(e^s) - f'(1)$ without a knee; 0 to the bit at s = 0."""

    @abstractmethod
    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """$dh/ds = u f''(u)$ without a knee."""

    @final
    def h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        r"""What replaces the log-ratio of DPO in the loss.

        $$ h(s) = f'(e^s) - f'(1) $$ between the knees, and its tangent at the knee beyond.

        Args:
            s: Log-ratios in nats, float32 or float64.

        Raises:
            TypeError: If s is in half precision, where differences of exponentials are lost.
        """
        if s.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"log-ratios are float32 or float64, under autocast too; got {s.dtype}")
        k = self._inside(s)
        return self.exact_h(k) + self.exact_slope(k) * (s - k)  # between the knees s - k = 0

    @final
    def slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """$dh/ds$, constant beyond the knee: a sample's gradient over the one of plain DPO."""
        return self.exact_slope(self._inside(s))

    @final
    @property
    def slope_at_1(self) -> float:
        """$f''(1)$: the factor on beta by which h begins as reverse KL does, at u = 1."""
        return float(self.slope(torch.zeros(1, dtype=torch.float64)))

    @final
    def beyond_knee(self, s: Float[Tensor, "..."]) -> Float[Tensor, ""]:
        """Share of samples beyond a knee, in [0, 1]; above 0.01 a run is marked `diverged`."""
        return ((s < self.lower_knee) | (s > self.upper_knee)).to(s.dtype).mean()

    def __repr__(self) -> str:
        """As one would type it, such as `alpha(a=0.5, knee=10.0)`."""
        call = call_of(self)
        # Nobody noted the call of a class that nobody registered.
        return getattr(self, "name", type(self).__name__) if call is None else str(call)

    def _inside(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return s.clamp(self.lower_knee, self.upper_knee)


def checked_knee(knee: float) -> float:
    """The knee, if it keeps h finite.

    Raises:
        ValueError: If it is not in (0, 80] nats; e^80 is near the end of float32.
    """
    if not 0 < knee <= 80:
        raise ValueError(f"a knee is in (0, 80] nats (80: as good as none), got {knee}")
    return float(knee)

r"""The divergences that come with fbench, side by side; $u$, $s$ and $h$ as in `base`."""
# ruff: noqa: D102  f, exact_h and exact_slope are documented once, where they are declared

import math
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.divergences.base import KNEE, Divergence, checked_knee
from trainers.divergences.registry import divergences


def _expm1(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """e^x - 1, with the gradient e^x; torch's own, `result + 1`, rounds to zero for x below -17."""
    return torch.where(x < -1, torch.exp(x) - 1, torch.expm1(x))


@final
@divergences.register()
class ReverseKL(Divergence):
    r"""Reverse KL: plain DPO.

    $f(u) = u \log u, \quad h(s) = s$. Linear, so without a knee.
    """

    name = "reverse_kl"
    symmetric = False
    f_prime_at_0 = -math.inf
    reference = "arXiv 2305.18290 (DPO); arXiv 2311.12908 (Diffusion-DPO)"
    formula = "u*log(u)"

    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.xlogy(u, u)

    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return s

    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.ones_like(s)


@final
@divergences.register()
class ForwardKL(Divergence):
    r"""Forward KL.

    $f(u) = -\log u, \quad h(s) = 1 - e^{-s}$. Knee below.
    """

    name = "forward_kl"
    symmetric = False
    f_prime_at_0 = -math.inf
    reference = "arXiv 2309.16240 (f-DPO); arXiv 2409.09774"
    formula = "-log(u)"

    def __init__(self, knee: float = KNEE) -> None:
        self.lower_knee = -checked_knee(knee)

    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return -torch.log(u)

    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return -_expm1(-s)

    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.exp(-s)  # 1/u


@final
@divergences.register()
class JensenShannon(Divergence):
    r"""Jensen-Shannon: twice the usual Jensen-Shannon divergence, as in f-DPO.

    $f(u) = u \log u - (u+1) \log\frac{u+1}{2}, \quad h(s) = \log\sigma(s) + \log 2$. No knee:
    stable for every s.
    """

    name = "jensen_shannon"
    symmetric = True
    f_prime_at_0 = -math.inf
    reference = "arXiv 2309.16240 (f-DPO); arXiv 2409.09774"
    formula = "u*log(u) - (u+1)*log((u+1)/2)"

    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.xlogy(u, u) - (u + 1) * torch.log((u + 1) / 2)

    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        # log 2u/(1+u) = min(s, 0) - log((1 + e^-|s|)/2), zero to the bit at 0, which
        # logsigmoid(s) + log 2 does not promise. At 0, where training starts, torch.minimum halves
        # the gradient between its two arguments: 1/2, as it should be.
        return torch.minimum(s, torch.zeros_like(s)) - torch.log1p(_expm1(-s.abs()) / 2)

    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.sigmoid(-s)  # 1/(1+u)


@final
@divergences.register()
class Alpha(Divergence):
    r"""The alpha family, between reverse KL (a to 0) and forward KL (a to 1).

    $f(u) = \frac{u^{1-a} - (1-a)u - a}{a(a-1)}, \quad h(s) = \frac{1 - e^{-as}}{a}$. Knee below.
    a is the alpha of f-DPO's code and of TRL's releases of 2024, `f_alpha_divergence_coef` there.
    Current TRL means `alpha' = 1 - a` by it: its score $e^{(\alpha'-1)s}/(\alpha'-1)$ is this h less 1/a.

    Args:
        a: Strictly between 0 and 1.
        knee: In nats.

    Raises:
        ValueError: If a is not strictly between 0 and 1.
    """

    name = "alpha"
    f_prime_at_0 = -math.inf
    reference = "arXiv 2309.16240 (f-DPO); arXiv 2409.09774"

    def __init__(self, a: float = 0.5, knee: float = KNEE) -> None:
        if not 0 < a < 1:
            raise ValueError(f"0 < a < 1, got {a}; its limits are reverse_kl and forward_kl")
        self.a = a
        self.symmetric = a == 0.5  # twice squared_hellinger
        self.formula = f"(u**{1 - a!r} - {1 - a!r}*u - {a!r})/({a!r}*({a!r} - 1))"
        self.lower_knee = -checked_knee(knee)

    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        a = self.a
        return (u ** (1 - a) - 1 - (1 - a) * (u - 1)) / (a * (a - 1))  # 0 to the bit at u = 1

    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return -_expm1(-self.a * s) / self.a

    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.exp(-self.a * s)  # u^-a


@final
@divergences.register()
class Jeffreys(Divergence):
    r"""Jeffreys: reverse KL plus forward KL.

    $f(u) = (u-1) \log u, \quad h(s) = s + 1 - e^{-s}$. Knee below.
    """

    name = "jeffreys"
    symmetric = True
    f_prime_at_0 = -math.inf
    reference = "Jeffreys (1946)"
    formula = "(u-1)*log(u)"

    def __init__(self, knee: float = KNEE) -> None:
        self.lower_knee = -checked_knee(knee)

    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return (u - 1) * torch.log(u)

    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return s - _expm1(-s)

    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return 1 + torch.exp(-s)  # 1 + 1/u


@final
@divergences.register()
class SquaredHellinger(Divergence):
    r"""Squared Hellinger.

    $f(u) = (\sqrt{u} - 1)^2, \quad h(s) = 1 - e^{-s/2}$. Knee below. At beta it is
    `alpha(a=0.5)` at beta/2, to the bit: a study lists one of the two.
    """

    name = "squared_hellinger"
    symmetric = True
    f_prime_at_0 = -math.inf
    reference = "Hellinger (1909); the alpha family of arXiv 2309.16240 at a = 1/2"
    formula = "(sqrt(u)-1)**2"

    def __init__(self, knee: float = KNEE) -> None:
        self.lower_knee = -checked_knee(knee)

    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return (torch.sqrt(u) - 1) ** 2

    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return -_expm1(-s / 2)

    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return torch.exp(-s / 2) / 2  # u^(-1/2) / 2


@final
@divergences.register()
class PearsonChi2(Divergence):
    r"""Pearson chi-squared.

    $f(u) = (u-1)^2, \quad h(s) = 2(e^s - 1)$. Knee above. $f'(0+) = -2$ is finite: the policy is
    positive everywhere only for $\beta > (E_{\mathrm{ref}} r - \min r)/2$.
    """

    name = "pearson_chi2"
    symmetric = False
    f_prime_at_0 = -2.0
    reference = "Pearson (1900)"
    formula = "(u-1)**2"

    def __init__(self, knee: float = KNEE) -> None:
        self.upper_knee = checked_knee(knee)

    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return (u - 1) ** 2

    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return 2 * _expm1(s)

    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return 2 * torch.exp(s)  # 2u


@final
@divergences.register()
class Chi2KL(Divergence):
    r"""Half chi-squared plus reverse KL: chi-PO.

    $f(u) = \frac{1}{2}(u-1)^2 + u \log u, \quad h(s) = e^s - 1 + s$. Knee above.
    """

    name = "chi2_kl"
    symmetric = False
    f_prime_at_0 = -math.inf
    reference = "arXiv 2407.13399 (chi-PO)"
    formula = "(u-1)**2/2 + u*log(u)"

    def __init__(self, knee: float = KNEE) -> None:
        self.upper_knee = checked_knee(knee)

    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return (u - 1) ** 2 / 2 + torch.xlogy(u, u)

    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return _expm1(s) + s

    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return 1 + torch.exp(s)  # 1 + u

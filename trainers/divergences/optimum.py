r"""The optimum of $E_p[r] - \beta D_f(p \| p_{\mathrm{ref}})$ on a sample of the reference: image weights.

With $n$ images $x_1 .. x_n$ of the reference for one prompt, the optimum on their empirical distribution has
density ratios $u_i = p(x_i) n$ with

$$ f'(u_i) = \frac{r_i - \lambda}{\beta}, \qquad \frac1n \sum_i u_i = 1, $$

cut at 0 where the right side lies below a finite $f'(0+)$. No training and no gradient: a pool of images and
a reward suffice. What it says and what it does not: docs/theory.md.

The unknown is not $\lambda$ but $a = h(s_{\max})$, the value of $h$ at the best image, so that
$h(s_i) = a - (r_{\max} - r_i) / \beta$. As $1 \le u_{\max} \le n$, it lies in $[0, h(\log n)]$: no bracket
has to be looked for, nothing overflows, and a bounded $f'(\infty)$ (Jensen-Shannon, forward KL, Hellinger) is
never reached.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from trainers.divergences.base import Divergence

TOLERANCE: Final = 1e-13
"""Of the mean weight from 1, relative, at which the search for the multiplier ends."""

_LOWEST: Final = -80.0
"""Log-ratios below it are weights of 0: e^-80 of an image is none."""
_STEPS_A_NAT: Final = 64
_ROUNDS: Final = 200
_CELLS: Final = 2_000_000
"""Weights that are worked on together."""


def optimal_weights(
    rewards: Float64[Tensor, "prompts images"],
    betas: Float64[Tensor, " betas"],
    divergence: Divergence,
) -> Float64[Tensor, "betas prompts images"]:
    r"""The weights $u_i = (f')^{-1}((r_i - \lambda) / \beta)$ of every prompt at every beta.

    $\lambda$ is found by Newton's method within a bracket that is halved wherever a step would leave it; `f`
    is the divergence itself, without the knee of its loss.

    Args:
        rewards: $r$; ``NaN`` for an image without one, which gets no weight.
        betas: $\beta$, in units of the reward.
        divergence: $f$.

    Returns:
        $u$, not negative, of mean 1 to 1e-12 over the images of a prompt that have a reward; zeros for a
        prompt without any.

    Raises:
        ValueError: If a beta is not above 0, or a reward is infinite.

    Source:
        arXiv 2309.16240 (f-DPO), Theorem 1; the empirical reference in place of its support.
    """
    if not bool((betas > 0).all()) or not bool(betas.isfinite().all()):
        raise ValueError(f"betas are positive numbers, not {betas.tolist()}")
    if bool(rewards.isinf().any()):
        raise ValueError("a reward is infinite")
    inverse = _Inverse.of(divergence, rewards.shape[1])
    size = max(1, _CELLS // max(1, rewards.shape[1] * len(betas)))
    parts = [_of_prompts(part, betas, inverse) for part in rewards.split(size)]
    return torch.cat(parts, dim=1)


def divergence_value(
    weights: Float64[Tensor, "*more images"], images: Bool[Tensor, "*more images"], divergence: Divergence
) -> Float64[Tensor, "*more"]:
    r"""$D_f = \frac1n \sum_i f(u_i)$ over the images that there are.

    Args:
        weights: $u$.
        images: Which images there are, of the same shape.
        divergence: $f$.
    """
    # f(0) is a limit, which a formula cannot take.
    values = divergence.f(weights.clamp(min=math.exp(_LOWEST)))
    return torch.where(images, values, 0.0).sum(-1) / images.sum(-1)


def coincides(one: Divergence, other: Divergence) -> bool:
    """Whether the optima of two divergences are one line: their h are multiples of each other."""
    s = torch.linspace(max(-3.0, one.lower_knee, other.lower_knee), 3.0, 49, dtype=torch.float64)
    first, second = one.exact_h(s), other.exact_h(s)
    return bool(torch.allclose(first / one.slope_at_1, second / other.slope_at_1, rtol=1e-9, atol=1e-9))


def _of_prompts(rewards: Tensor, betas: Tensor, inverse: "_Inverse") -> Tensor:
    """Of some prompts together, (betas, prompts, images)."""
    there = ~rewards.isnan()
    # From the best image down; one without a reward is infinitely far.
    best = torch.where(there, rewards, -math.inf).amax(1, keepdim=True)
    gaps = torch.where(there, best - rewards, math.inf)
    count = there.sum(1)
    below = (gaps / betas[:, None, None]).reshape(-1, rewards.shape[1])
    n = count.repeat(len(betas))
    weights = torch.zeros_like(below)
    some = n > 0
    level = _levels(below[some], n[some], inverse)
    u = inverse.polished(level[:, None] - below[some])
    weights[some] = u * (n[some] / u.sum(1))[:, None]
    return weights.reshape(len(betas), *rewards.shape)


def _levels(
    below: Float64[Tensor, "rows images"], n: Int64[Tensor, " rows"], inverse: "_Inverse"
) -> Float64[Tensor, " rows"]:
    """The value of h at the best image of each row, at which the weights have mean 1."""
    # Searched in s, the log-ratio of the best image: the logarithm of the mean is nearly straight in it, both
    # where all weights are alike and where one is all.
    low, high = torch.zeros(len(below), dtype=torch.float64), n.log().double().clamp(max=inverse.top)
    found, at = low.clone(), low.clone()
    left = torch.arange(len(below))
    for _ in range(_ROUNDS):
        level = inverse.divergence.exact_h(at)
        u, slope = inverse(level[:, None] - below)
        total = u.sum(1)
        excess = total / n - 1
        done = (excess.abs() <= TOLERANCE) | (high - low <= 1e-16)
        found[left[done]] = level[done]
        if bool(done.all()):
            return found
        low, high = torch.where(excess < 0, at, low), torch.where(excess > 0, at, high)
        rise = inverse.divergence.exact_slope(at) * slope.sum(1) / total
        tried = at - torch.log1p(excess) / rise
        at = torch.where((tried > low) & (tried < high), tried, (low + high) / 2)
        going = ~done
        left, below, n, at, low, high = (x[going] for x in (left, below, n, at, low, high))
    found[left] = inverse.divergence.exact_h(at)
    return found


@dataclass(frozen=True, eq=False)
class _Inverse:
    """u as a function of h, from a table of both: cubic between its places, 0 below it.

    Attributes:
        divergence: Whose.
        h: Increasing, (places,).
        u: There, (places,).
        width: Of each step of h, (places - 1,).
        cubic: Hermite's three coefficients in each step, of h less its beginning.
    """

    divergence: Divergence
    h: Tensor
    u: Tensor
    width: Tensor
    cubic: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def of(cls, divergence: Divergence, images: int) -> "_Inverse":
        """As far up as a weight can be: u at most the number of images."""
        top = math.log(max(images, 2))
        places = torch.cat([
            torch.linspace(_LOWEST, 0.0, round(-_LOWEST * _STEPS_A_NAT) + 1, dtype=torch.float64),
            torch.linspace(0.0, top, round(top * _STEPS_A_NAT) + 2, dtype=torch.float64)[1:],
        ])  # fmt: skip
        with torch.no_grad():
            h, dh = divergence.exact_h(places), divergence.exact_slope(places)
        # Where h is out of float64, or flat to rounding (near a finite f'(0+)), the table ends.
        good = h.isfinite() & dh.isfinite() & (dh > 0)
        good[1:] &= h.diff() > 0
        zero = round(-_LOWEST * _STEPS_A_NAT)
        first = int((~good[:zero]).nonzero().max()) + 1 if not bool(good[:zero].all()) else 0
        bad = (~good[zero + 1 :]).nonzero()
        last = zero + 1 + int(bad.min()) if len(bad) else len(places)
        kept = slice(first, last)
        h, u = h[kept].contiguous(), places[kept].exp()
        slope, width, rise = u / dh[kept], h.diff(), u.diff()
        # Each part over its power of the width by itself: beyond e^77 the cube of one is out of float64.
        c2 = (3 * rise / width - 2 * slope[:-1] - slope[1:]) / width
        c3 = (slope[:-1] + slope[1:] - 2 * rise / width) / width / width
        return cls(divergence, h, u, width, (slope[:-1], c2, c3))

    @property
    def top(self) -> float:
        """The largest log-ratio of the table."""
        return float(self.u[-1].log())

    def __call__(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """U and du/dh."""
        left = (torch.searchsorted(self.h, h) - 1).clamp(0, len(self.h) - 2)
        x = torch.minimum(h - self.h[left], self.width[left])
        c1, c2, c3 = (c[left] for c in self.cubic)
        u = self.u[left] + x * (c1 + x * (c2 + x * c3))
        slope = c1 + x * (2 * c2 + 3 * x * c3)
        outside = x < 0
        return u.masked_fill_(outside, 0.0), slope.masked_fill_(outside, 0.0)

    def polished(self, h: Tensor) -> Tensor:
        """U with one step of Newton's on the divergence's own h."""
        u, _ = self(h)
        positive = u > 0
        s = torch.where(positive, u, 1.0).log()
        with torch.no_grad():
            step = (h - self.divergence.exact_h(s)) / self.divergence.exact_slope(s)
        # Near a finite f'(0+) h has lost its digits, and the table is as good as anything.
        return torch.where(positive & (step.abs() < 1e-3), u * (1 + step), u)

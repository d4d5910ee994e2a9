r"""Divergences written as a formula for f: `expr: u*log(u) - (u+1)*log((u+1)/2)`."""
# ruff: noqa: D102  f, exact_h and exact_slope are documented once, where they are declared

import math
from collections.abc import Callable
from typing import Any, final

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from benchmark.core.calls import SETTLED
from trainers.divergences import derivation
from trainers.divergences.base import KNEE, Divergence, checked_knee
from trainers.divergences.derivation import RANGE, Side
from trainers.divergences.laws import is_symmetric
from trainers.divergences.registry import divergences

_AT_0 = [math.log(1e-300) / 4, math.log(1e-300) / 2, math.log(1e-300)]


@final
@divergences.register("expr", text="formula", summary="Your own f, such as `expr: u*log(u)`; h is derived.")
class Formula(Divergence):
    r"""A divergence from a formula for f.

    Numbers, `u`, `+ - * / **`, `log`, `exp`, `sqrt` and brackets: see `grammar`. $h$ and its slope are
    derived symbolically as functions of s (`derivation`) and evaluated in float64, whose range and digits
    suffice for any s in [-80, 80], whatever the dtype outside. The gradient of h is the derived slope itself;
    h cannot be differentiated twice.

    The knee, on every side where the slope grows like an exponential or the derived h is no longer accurate
    to nine digits: 10 nats, as for the divergences that come with fbench, or less where accuracy ends earlier
    or the slope reaches e^10 times its value at s = 0 earlier, rounded down to an eighth of a nat. A side
    that needs none has a fence at 80 nats, and that only where e^s is out of float64's range further on.

    Args:
        formula: Of u, as in `u*log(u)`.
        knee: In nats, on every side that needs one; None: as above. It is part of the name, so that a
            manifest states it.

    Raises:
        ValueError: If the formula cannot be read, is no real function of u > 0, grows too fast for any knee,
            or a knee is given that it does not need or cannot have.
    """

    name = "expr"
    reference = "a formula given on the command line"

    def __init__(self, formula: str, knee: float | None = None) -> None:
        derived = derivation.derive(formula)
        self.formula = formula.strip()
        self.derived_h, self.derived_slope = str(derived.h), str(derived.slope)
        self._tree = derived.tree
        self._h = derivation.of_log_ratio(derived.h)
        self._slope = derivation.of_log_ratio(derived.slope)
        knees = {
            sign: _knee(side, sign, self._slope) for sign, side in ((-1, derived.below), (1, derived.above))
        }
        needed = [value for value in knees.values() if value < RANGE]
        if knee is not None:
            if not needed:
                raise ValueError("it needs no knee; leave it out")
            reach = min(derived.below.reach, derived.above.reach)
            if checked_knee(knee) > reach:
                raise ValueError(f"h is accurate up to |s| = {reach:g} only, and the knee is {knee:g}")
        settled = min(needed, default=None) if knee is None else float(knee)
        if settled is not None:
            knees = {sign: settled if value < RANGE else value for sign, value in knees.items()}
        self.lower_knee, self.upper_knee = -knees[-1], knees[1]
        self.symmetric = is_symmetric(self.f)
        self.f_prime_at_0 = self._limit_at_0()
        setattr(self, SETTLED, {"formula": self.formula, "knee": settled})

    def f(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return derivation.of_ratio(self._tree, _wide(u)).to(u)

    def exact_h(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        wide = _wide(s)
        with torch.no_grad():
            value = torch.where(wide == 0, 0, self._h(wide))
            slope = self._slope(wide)
        # The second term is zero and has the gradient that belongs to h, without a way through
        # expressions whose own gradients cancel or overflow.
        return (value + slope * (wide - wide.detach())).to(s)

    def exact_slope(self, s: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        return self._slope(_wide(s)).to(s)

    def __reduce__(self) -> tuple[Any, ...]:
        """Made again from its text: functions do not travel between processes."""
        settled: dict[str, Any] = getattr(self, SETTLED)
        return Formula, (self.formula, settled["knee"])

    def _limit_at_0(self) -> float:
        """$f'(0+)$, from three places that lie ever closer to 0; a logarithm counts as -inf."""
        with torch.enable_grad():
            u = torch.tensor(_AT_0, dtype=torch.float64).exp().requires_grad_()
            (found,) = torch.autograd.grad(self.f(u).sum(), u)
        first, second, last = found.tolist()
        converged = abs(last - second) <= max(0.5 * abs(second - first), 1e-9 * abs(last))
        return last if converged else math.copysign(math.inf, last)


def _wide(x: Tensor) -> Float64[Tensor, "..."]:
    # Metal has no float64; what comes here is a number a pair.
    return (x.cpu() if x.device.type == "mps" else x).double()


def _knee(side: Side, sign: int, slope: Callable[[Tensor], Tensor]) -> float:
    """Where one side's h has to go on along its tangent; `RANGE` or inf: for no reason of the loss's."""
    if not side.grows and side.reach >= RANGE:
        return side.reach
    eighths = torch.arange(1, 8 * int(KNEE) + 1, dtype=torch.float64) / 8
    at_0 = abs(float(slope(torch.zeros(1, dtype=torch.float64))))
    if at_0 == 0:
        raise ValueError("f''(1) is 0, so h is flat where training starts")
    steep = slope(sign * eighths).abs() > math.exp(KNEE) * (1 + 1e-9) * at_0
    allowed = eighths[~steep.cumsum(0).bool() & (eighths <= side.reach)]
    if not len(allowed):
        raise ValueError("its slope grows e^10 times within an eighth of a nat, too fast for any knee")
    return float(allowed[-1])

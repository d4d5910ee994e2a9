r"""What every divergence obeys, each law a small function that says where it is broken.

A law takes a divergence and returns "" if it holds, else one line with the s or u where it fails and the two
values that should agree. The tests run them over everything registered; whoever brings a class, a file or a
formula of their own meets them when it is made, and in `fbench divergence check`.

They are checked at points, in float64 unless they say otherwise: where f is the divergence's, that is between
the knees, and the rest over |s| <= 80 and far beyond.
"""

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.core.errors import UserError
from trainers.divergences import derivation, grammar
from trainers.divergences.base import Divergence

Function = Callable[[Tensor], Tensor]
Law = Callable[[Divergence], str]


@dataclass(frozen=True)
class Verdict:
    """Whether a divergence obeys a law.

    Attributes:
        law: What it says.
        broken: Where and how it is broken; empty if it holds.
    """

    law: str
    broken: str


def verdicts(divergence: Divergence) -> list[Verdict]:
    """Every law, in order."""
    return [Verdict(statement(law), _run(law, divergence)) for law in LAWS]


def enforce(divergence: Divergence) -> None:
    """Refuses what breaks a law.

    Raises:
        UserError: naming the first law that is broken, where, and the two values.
    """
    for law in LAWS:
        if broken := _run(law, divergence):
            raise UserError(
                f"divergence {divergence!r} breaks the law `{statement(law)}`: {broken}",
                do="`fbench divergence check` runs them all; docs/adding-a-divergence.md explains them",
            )


def statement(law: Law) -> str:
    """What a law says, in a few words."""
    return (inspect.getdoc(law) or "").partition("\n")[0].rstrip(".")


def _run(law: Law, divergence: Divergence) -> str:
    try:
        with torch.enable_grad():
            return law(divergence)
    except Exception as error:  # noqa: BLE001  somebody else's code: whatever it is, it is in the way
        return f"{type(error).__name__}: {error}"


# --- the laws -----------------------------------------------------------------------------------


def facts_are_stated(d: Divergence) -> str:
    """Name and reference are stated, the knees lie on either side of 0."""
    if not re.fullmatch(r"[a-z0-9_]+", d.name):
        return f"the name is {d.name!r}, not lower case with _"
    if not d.reference:
        return "the reference is empty"
    if not d.lower_knee < 0 < d.upper_knee:
        return f"the knees are {d.lower_knee:g} and {d.upper_knee:g}"
    return ""


def f_is_zero_at_1(d: Divergence) -> str:
    """f(1) = 0."""
    value = float(d.f(torch.ones(1, dtype=torch.float64)))
    return "" if abs(value) < 1e-12 else f"f(1) is {value:g}"


def f_is_convex(d: Divergence) -> str:
    """Convex f."""
    u = torch.exp(torch.linspace(max(-8, d.lower_knee), min(8, d.upper_knee), 161, dtype=torch.float64))
    a, b = (side.flatten() for side in torch.meshgrid(u, u, indexing="ij"))
    ends, middle = (d.f(a) + d.f(b)) / 2, d.f((a + b) / 2)
    size = d.f(a).abs() + d.f(b).abs() + middle.abs() + a + b
    # Strictly around 1; further out it may be straight to within rounding.
    strictly = (a > 2 * b) & (b > 0.1) & (a < 8)
    wrong = ~(ends - middle >= -1e-12 * size) | (strictly & ~(ends > middle))
    if not wrong.any():
        return ""
    at = int(torch.where(wrong, (middle - ends).nan_to_num(math.inf) / size, -math.inf).argmax())
    return (
        f"between u = {float(b[at]):g} and u = {float(a[at]):g} the mean of f is {float(ends[at]):g}, "
        f"and f of the mean is {float(middle[at]):g}"
    )


def h_is_zero_at_0_to_the_bit(d: Divergence) -> str:
    """h(0) = 0 to the bit."""
    for dtype in (torch.float32, torch.float64):
        for n in (1, 7, 64):  # vectorised loops and their tails
            value = d.h(torch.zeros(n, dtype=dtype))
            if not (value == 0).all():
                return f"h(0) is {float(value[value != 0][0]):g} in {str(dtype).removeprefix('torch.')}"
    return ""


def h_increases(d: Divergence) -> str:
    """Increasing h."""
    near = torch.linspace(max(-2, d.lower_knee), min(2, d.upper_knee), 81, dtype=torch.float64)
    if not (d.h(near).diff() > 0).all():
        at = int((~(d.h(near).diff() > 0)).int().argmax())
        return (
            f"between s = {float(near[at]):g} and s = {float(near[at + 1]):g} h goes {_both(d.h(near), at)}"
        )
    s = torch.linspace(-80, 80, 1601)
    h, slope = d.h(s), d.slope(s)
    wrong = ~(h.diff() >= -1e-6 * h[1:].abs())  # where h is flat, up to rounding
    if wrong.any():
        at = int(wrong.int().argmax())
        return f"between s = {float(s[at]):g} and s = {float(s[at + 1]):g} h goes {_both(h, at)}"
    if not (slope >= 0).all():
        at = int((~(slope >= 0)).int().argmax())
        return f"at s = {float(s[at]):g} the slope is {float(slope[at]):g}"
    return ""


def h_is_f_prime(d: Divergence) -> str:
    """h(s) = f'(e^s) - f'(1)."""
    s = inside(d)
    expected = derivative(d.f, torch.exp(s)) - derivative(d.f, torch.ones(1, dtype=torch.float64))
    return disagreement(s, ("h(s)", d.h(s)), ("f'(e^s) - f'(1)", expected), rtol=1e-9, atol=1e-9)


def slope_is_the_gradient_of_h(d: Divergence) -> str:
    """Slope = dh/ds, by autograd and by differences."""
    beyond = torch.tensor([-75.0, -30.0, 30.0, 75.0], dtype=torch.float64)
    s = torch.cat([inside(d), beyond])
    stated = ("the slope", d.slope(s))
    by_autograd = ("the gradient of h", derivative(d.h, s))
    if broken := disagreement(s, stated, by_autograd, rtol=1e-9, atol=1e-12):
        return broken
    away = s[((s - d.lower_knee).abs() > 1e-3) & ((s - d.upper_knee).abs() > 1e-3)]
    numeric = (d.h(away + 1e-5) - d.h(away - 1e-5)) / 2e-5
    return disagreement(
        away, ("the slope", d.slope(away)), ("the difference quotient of h", numeric), rtol=1e-6, atol=1e-6
    )


def slope_is_u_f_second(d: Divergence) -> str:
    """Slope = u f''(u)."""
    s = inside(d)
    u = torch.exp(s)
    expected = u * second_derivative(d.f, u)
    return disagreement(s, ("the slope", d.slope(s)), ("u f''(u)", expected), rtol=1e-5, atol=1e-7)


def slope_at_1_is_f_second_at_1(d: Divergence) -> str:
    """Slope at u = 1 = f''(1), by differences of f."""
    step = 1e-4
    below, at, above = (float(d.f(torch.tensor([1 + k * step], dtype=torch.float64))) for k in (-1, 0, 1))
    second = (above - 2 * at + below) / step**2
    held = abs(d.slope_at_1 - second) <= 1e-5 * abs(second)
    return "" if held else f"at s = 0 the slope is {d.slope_at_1:g}, and f''(1) is {second:g}"


def training_starts_with_the_slope_at_1(d: Divergence) -> str:
    """The gradient at s = 0, where training starts, is the slope there; in float32."""
    s = torch.zeros(5)
    expected = torch.full((5,), d.slope_at_1)
    start = derivative(d.h, s)
    return disagreement(s, ("the gradient of h", start), ("the slope", expected), rtol=1e-6, atol=0)


def f_prime_at_0_is_as_stated(d: Divergence) -> str:
    """f'(0+) is as stated."""
    near_0 = float(derivative(d.f, torch.tensor([1e-300], dtype=torch.float64)))
    stated = d.f_prime_at_0
    held = (
        (stated < 0 and near_0 < -100) if math.isinf(stated) else math.isclose(near_0, stated, rel_tol=1e-9)
    )
    return "" if held else f"at u = 1e-300 f' is {near_0:g}, and {stated:g} is stated"


def symmetric_is_as_stated(d: Divergence) -> str:
    """Symmetric, D(p||q) = D(q||p), as stated: u f(1/u) - f(u) is a multiple of u - 1."""
    found = is_symmetric(d.f)
    return "" if found == d.symmetric else f"it is {found}, and {d.symmetric} is stated"


def float32_stays_finite(d: Divergence) -> str:
    """Finite in float32: value and gradient, on [-80, 80] and far beyond."""
    s = torch.cat([torch.linspace(-80, 80, 1601), torch.tensor([-1e4, 1e4])])
    for what, value in (("h", d.h(s)), ("the gradient of h", derivative(d.h, s)), ("the slope", d.slope(s))):
        if not value.isfinite().all():
            at = int((~value.isfinite()).int().argmax())
            return f"at s = {float(s[at]):g} {what} is {float(value[at]):g}; a knee before that?"
    on = s[:-2]
    gradient = ("the gradient of h", derivative(d.h, on))
    return disagreement(on, ("the slope", d.slope(on)), gradient, rtol=1e-5, atol=1e-6 * d.slope_at_1)


def float32_is_accurate(d: Divergence) -> str:
    """Accurate in float32: h is what it is in float64, near 0 too."""
    small = torch.logspace(-8, 0, 50)
    s = torch.cat([-small, small, torch.linspace(-80, 80, 161)])
    wide = ("in float64", d.h(s.double()))
    return disagreement(s, ("h in float32", d.h(s).double()), wide, rtol=3e-6, atol=1e-12)


def beyond_the_knee_h_is_its_tangent(d: Divergence) -> str:
    """Beyond a knee h is its tangent."""
    for knee, sign in ((d.lower_knee, -1), (d.upper_knee, 1)):
        if math.isinf(knee):
            continue
        at = torch.tensor([knee], dtype=torch.float64)
        distance = torch.tensor([1e-9, 0.5, 40.0], dtype=torch.float64)
        s = at + sign * distance
        tangent = ("the tangent", d.exact_h(at) + sign * distance * d.exact_slope(at))
        if broken := disagreement(s, ("h", d.h(s)), tangent, rtol=1e-12, atol=0):
            return broken
    return ""


def formula_is_f(d: Divergence) -> str:
    """The formula, where one is stated, is f."""
    try:
        tree = grammar.parse(d.formula)
    except ValueError:  # none, or not in the language: it is for tables only
        return ""
    u = torch.exp(inside(d))
    f = d.f(u)
    broken = disagreement(u, ("f", f), ("the formula", derivation.of_ratio(tree, u)), rtol=1e-9, atol=1e-12)
    return broken.replace("at s =", "at u =")


LAWS: tuple[Law, ...] = (
    facts_are_stated,
    f_is_zero_at_1,
    f_is_convex,
    h_is_zero_at_0_to_the_bit,
    h_increases,
    h_is_f_prime,
    slope_is_the_gradient_of_h,
    slope_is_u_f_second,
    slope_at_1_is_f_second_at_1,
    training_starts_with_the_slope_at_1,
    f_prime_at_0_is_as_stated,
    symmetric_is_as_stated,
    float32_stays_finite,
    float32_is_accurate,
    beyond_the_knee_h_is_its_tangent,
    formula_is_f,
)


# --- what they are made of ------------------------------------------------------------------------


def inside(d: Divergence) -> Tensor:
    """Log-ratios between the knees, zero among them, in float64."""
    low, high = max(d.lower_knee, -20.0), min(d.upper_knee, 20.0)
    return torch.cat([torch.linspace(low, high, 201), torch.tensor([0.0, 1e-6, -1e-6])]).double()


def derivative(function: Function, at: Tensor) -> Tensor:
    """By autograd, elementwise."""
    at = at.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(at).sum(), at)
    return slope


def second_derivative(function: Function, at: Tensor) -> Tensor:
    """By central differences of the first."""
    step = 1e-5 * at
    return (derivative(function, at + step) - derivative(function, at - step)) / (2 * step)


def is_symmetric(f: Function) -> bool:
    """Whether $u f(1/u) - f(u)$ is a multiple of $u - 1$."""
    u = torch.exp(torch.linspace(0.1, 3, 50, dtype=torch.float64))
    multiple = (u * f(1 / u) - f(u)) / (u - 1)
    spread = (multiple - multiple[0]).abs().max()
    return bool(spread < 1e-9 * (1 + float(f(u).abs().max())))


def disagreement(
    at: Tensor, first: tuple[str, Tensor], second: tuple[str, Tensor], *, rtol: float, atol: float
) -> str:
    """Where the first of two functions of s is furthest from the second; "" if it is nowhere far."""
    (name, value), (other, expected) = first, second
    error = (value - expected).abs().detach()
    wrong = ~(error <= atol + rtol * expected.abs())
    if not wrong.any():
        return ""
    share = (error / (atol + rtol * expected.abs())).nan_to_num(math.inf)
    worst = int(torch.where(wrong, share, -math.inf).argmax())
    place, found, wanted = (float(x[worst]) for x in (at, value, expected))
    return f"at s = {place:g} {name} is {found:g}, and {other} is {wanted:g}"


def _both(values: Tensor, at: int) -> str:
    return f"from {float(values[at]):g} to {float(values[at + 1]):g}"

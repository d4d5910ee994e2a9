r"""From the text of f to h and its slope as functions of s, derived symbolically.

$h(s) = f'(e^s) - f'(1)$ and $dh/ds = u f''(u)$ at $u = e^s$ are first what differentiation gives, and
that can cancel: $1/u - 1/(u+1)$ has lost every digit at $s = 37$ where $1/(u^2+u)$ has lost none. So each is
also brought on one denominator and factored, every form is compared with the exact value in as many
digits as that takes, and the one that is right furthest is used.

sympy works on the expression that `grammar` has read, never on text, and nothing is compiled: an expression
is evaluated by going over its tree.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import torch
from jaxtyping import Float64
from torch import Tensor

from trainers.divergences import grammar

ACCURACY: Final = 1e-9
"""Relative to the exact value, how wrong a form may be in float64."""
RANGE: Final = 80.0
"""Up to this |s|, in nats, a divergence is right in float32; beyond, it is at least finite."""
_NEAR: Final = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, RANGE / 2, 60.0, RANGE)
_FAR: Final = (400.0, 800.0)
"""In the end e^s is beyond float64, and h is to be finite all the same."""
_FAR_OF_LARGE: Final = (RANGE / 2, RANGE)
"""For exponentials and long expressions, whose exact values further out take too long."""
_FEW_TERMS: Final = 24
_FEW_OPERATIONS: Final = 45
"""Up to here an expression is multiplied out to be factored."""


@dataclass(frozen=True)
class Side:
    """How far a derived function can be trusted on one side of s = 0.

    Attributes:
        reach: The |s| up to which it is right, in nats; inf where it is right beyond the end of float64.
        grows: Whether its slope grows like an exponential of |s|.
    """

    reach: float
    grows: bool


@dataclass(frozen=True)
class Derivation:
    """What follows from a formula for f.

    Attributes:
        tree: Of f, as read.
        h: sympy expression in s.
        slope: sympy expression in s.
        below: Where h and slope are right for s < 0.
        above: The same for s > 0.
    """

    tree: Any
    h: Any
    slope: Any
    below: Side
    above: Side


@lru_cache(maxsize=64)
def derive(text: str) -> Derivation:
    """Reads a formula, and derives h and the slope.

    Raises:
        ValueError: If the text is not of the language, or f is not a real function around u = 1.
    """
    import sympy

    tree = grammar.parse(text)
    size = grammar.size_of(tree)
    _refuse_unreal(tree)
    u, s = sympy.Symbol("u", positive=True), sympy.Symbol("s", real=True)
    f = grammar.fold(tree, _Symbols(sympy, u))
    first = sympy.diff(f, u)
    second = u * sympy.diff(first, u)
    large = size.exponential or second.count_ops() > _FEW_OPERATIONS
    few = not large and size.above + size.below <= _FEW_TERMS
    far = _FAR_OF_LARGE if large else _FAR
    found = []
    for derived in (first - first.subs(u, 1), second):
        forms = [form.subs(u, sympy.exp(s)) for form in _forms(sympy, derived, few=few)]
        forms += [sympy.expand(forms[0])] if few else []
        true = {
            sign * place: _exact(forms[0], sign * place, 2.0 * size.degree + 4.0)
            for sign in (-1, 1)
            for place in (*_NEAR, *far)
        }
        found.append((*_best(forms, true), true))
    (h, reach_h, _), (slope, reach_slope, true) = found
    sides = [Side(min(reach_h[i], reach_slope[i]), _grows(true, sign, far)) for i, sign in enumerate((-1, 1))]
    return Derivation(tree, h, slope, *sides)


def _refuse_unreal(tree: Any) -> None:
    """Before anything is derived: f is a finite real number at 1, and a real one elsewhere."""
    at_1 = float(of_ratio(tree, torch.ones(1, dtype=torch.float64)))
    if not math.isfinite(at_1):
        raise ValueError(f"f(1) is {at_1:g}, and has to be 0")
    u = torch.exp(torch.linspace(-8, 8, 129, dtype=torch.float64))
    unreal = u[of_ratio(tree, u).isnan()]
    if len(unreal):
        raise ValueError(f"f({float(unreal[0]):.3g}) is not a real number, and f is a function of all u > 0")


def _forms(sympy: Any, expression: Any, *, few: bool) -> list[Any]:
    """Equal expressions; the first is what differentiation gave."""
    roots = [power.exp.q for power in expression.atoms(sympy.Pow) if power.exp.is_Rational]
    if not few or max(roots, default=1) > 4:
        return [expression]
    together = sympy.together(expression)
    return [expression, together, sympy.factor(together), sympy.factor(sympy.expand(together))]


def _best(forms: Sequence[Any], true: Mapping[float, Any]) -> tuple[Any, tuple[float, float]]:
    """The form that is right furthest, the shortest of equals, and how far on either side."""
    found = [(form, (_reach(form, true, -1), _reach(form, true, 1))) for form in forms]
    return max(found, key=lambda item: (sum(min(reach, 1e4) for reach in item[1]), -item[0].count_ops()))


def _reach(form: Any, true: Mapping[float, Any], sign: int) -> float:
    places = [place for place in true if place * sign > 0]
    values = of_log_ratio(form)(torch.tensor(places, dtype=torch.float64)).tolist()
    reach = 0.0
    for place, value in zip(places, values, strict=True):
        # The last float64 numbers above zero have few digits, and need none.
        if not abs(value - true[place]) <= ACCURACY * abs(true[place]) + 1e-290:
            return min(reach, RANGE)
        reach = abs(place)
    return math.inf if reach > RANGE else RANGE


def _grows(slope: Mapping[float, Any], sign: int, far: tuple[float, float]) -> bool:
    """Whether the slope grows faster than the square of s, far out."""
    import mpmath

    near, end = (abs(slope[sign * place]) for place in far)
    return bool(near > 0 and mpmath.log(end) - mpmath.log(near) > 1.5)


def _exact(expression: Any, s: float, degree: float) -> Any:
    """In as many digits as u to the degree has, so that nothing cancels."""
    import mpmath

    with mpmath.workdps(30 + math.ceil(degree * abs(s) / math.log(10))):
        return mpmath.re(_evaluate(expression, mpmath.mpf(s), _Digits(mpmath)))


# --- what expressions mean ------------------------------------------------------------------------


class _Symbols:
    def __init__(self, sympy: Any, u: Any) -> None:
        self.sympy, self._u = sympy, u

    def number(self, value: float) -> Any:
        return self.sympy.Rational(repr(value))  # 0.1 is 1/10

    def u(self) -> Any:
        return self._u

    def apply(self, operation: str, *arguments: Any) -> Any:
        return _OPERATIONS[operation](self.sympy, *arguments)


class _Tensors:
    def __init__(self, u: Tensor) -> None:
        self._u = u

    def number(self, value: float) -> Tensor:
        return torch.full_like(self._u, value)

    def u(self) -> Tensor:
        return self._u

    def apply(self, operation: str, *arguments: Tensor) -> Tensor:
        if operation == "**":
            return torch.pow(arguments[0], float(arguments[1].flatten()[0]))
        found: Tensor = _OPERATIONS[operation](torch, *arguments)
        return found


_OPERATIONS: Final[dict[str, Callable[..., Any]]] = {
    "+": lambda _, a, b: a + b,
    "-": lambda _, a, b: a - b,
    "*": lambda _, a, b: a * b,
    "/": lambda _, a, b: a / b,
    "**": lambda _, a, b: a**b,
    "neg": lambda _, a: -a,
    "pos": lambda _, a: a,
    "log": lambda library, a: library.log(a),
    "exp": lambda library, a: library.exp(a),
    "sqrt": lambda library, a: library.sqrt(a),
}


class _Digits:
    """mpmath's numbers."""

    def __init__(self, mpmath: Any) -> None:
        self.mpmath = mpmath

    def number(self, numerator: int, denominator: int) -> Any:
        return self.mpmath.mpf(numerator) / denominator

    def function(self, name: str, value: Any) -> Any:
        return getattr(self.mpmath, name)(value)


class _Floats:
    """Tensors of float64; constants are plain floats."""

    def number(self, numerator: int, denominator: int) -> float:
        return numerator / denominator

    def function(self, name: str, value: Any) -> Any:
        return getattr(torch if isinstance(value, Tensor) else math, name)(value)


def _evaluate(expression: Any, s: Any, numbers: Any) -> Any:
    """The value of a sympy expression in s, by going over its tree."""
    if expression.is_Symbol:
        return s
    if expression.is_Rational:
        return numbers.number(int(expression.p), int(expression.q))
    values = [_evaluate(part, s, numbers) for part in expression.args]
    if expression.is_Add or expression.is_Mul:
        return (sum if expression.is_Add else math.prod)(values[1:], start=values[0])
    if expression.is_Pow:
        return values[0] ** values[1]
    if type(expression).__name__ == "Exp1":
        values = [numbers.number(1, 1)]
    return numbers.function("log" if type(expression).__name__ == "log" else "exp", *values)


def of_ratio(tree: Any, u: Tensor) -> Tensor:
    """f(u) as the user wrote it."""
    return grammar.fold(tree, _Tensors(u))


def of_log_ratio(
    expression: Any,
) -> Callable[[Float64[Tensor, "..."]], Float64[Tensor, "..."]]:
    """A function of s in float64."""

    def function(s: Float64[Tensor, "..."]) -> Float64[Tensor, "..."]:
        found = _evaluate(expression, s, _Floats())
        return found if isinstance(found, Tensor) else torch.full_like(s, found)

    return function

"""The language of `expr:`: numbers, `u`, `+ - * / **`, `log`, `exp`, `sqrt` and brackets.

The text is untrusted. Python's own parser reads it, at a bounded length, and `fold` goes over the tree and
knows nothing but the above, so nothing of it is ever run. What is too large to be differentiated at once is
refused as well, before any of it is computed.
"""

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

MAX_LENGTH: Final = 400
MAX_NODES: Final = 80
MAX_DEPTH: Final = 24
MAX_DEGREE: Final = 8
"""Of the product of all powers that stand one inside the other, and of each exponent."""
MAX_NUMBER: Final = 1e6

FUNCTIONS: Final = ("log", "exp", "sqrt")
ALLOWED: Final = "numbers, u, + - * / **, log(), exp(), sqrt() and brackets"

_BINARY: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**",
}  # fmt: skip
_UNARY: Final[dict[type[ast.unaryop], str]] = {ast.USub: "neg", ast.UAdd: "pos"}

T = TypeVar("T")


class Algebra(Protocol[T]):
    """What numbers, u and the operations mean: tensors, symbols, or how large they are."""

    def number(self, value: float) -> T:
        """A literal."""

    def u(self) -> T:
        """The density ratio."""

    def apply(self, operation: str, *arguments: T) -> T:
        """One of `+ - * / ** neg pos log exp sqrt`."""


def fold(node: ast.expr, algebra: Algebra[T]) -> T:
    """What a tree means in an algebra.

    Raises:
        ValueError: If something in it is not of the language.
    """
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return algebra.number(float(value))
        case ast.Name(id="u"):
            return algebra.u()
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return algebra.apply(_UNARY[type(op)], fold(operand, algebra))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
            return algebra.apply(_BINARY[type(operator)], fold(left, algebra), fold(right, algebra))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in FUNCTIONS:
            return algebra.apply(name, fold(argument, algebra))
    hint = _meant(node)
    raise ValueError(
        f"{_quoted(node)} is not of the language of formulas: {ALLOWED}{f'; {hint}' if hint else ''}"
    )


def parse(text: str) -> ast.expr:
    """The tree of a formula that is of the language and not too large.

    Args:
        text: A formula of u.

    Raises:
        ValueError: Otherwise, in one line.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a formula has at most {MAX_LENGTH} characters, this one has {len(text)}")
    if not text.isascii() or not text.isprintable():
        # Python takes some look-alikes of u for u; a reader of the manifest would not.
        strange = next(c for c in text if not (c.isascii() and c.isprintable()))
        raise ValueError(f"a formula is plain ASCII, this one has {strange!a}")
    if "^" in text:
        # Python would read it, and bind it more weakly than a sum.
        meant = text.strip().replace("^", "**")
        raise ValueError(f"^ is not of the language of formulas: {ALLOWED}; write {meant!r}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = getattr(error, "msg", None) or type(error).__name__
        raise ValueError(f"it cannot be read ({why}); allowed: {ALLOWED}") from None
    if (depth := _depth(tree)) > MAX_DEPTH:
        raise ValueError(f"a formula is at most {MAX_DEPTH} brackets deep, this one {depth}")
    if (nodes := sum(isinstance(node, ast.expr) for node in ast.walk(tree))) > MAX_NODES:
        raise ValueError(f"a formula has at most {MAX_NODES} parts, this one has {nodes}")
    if size_of(tree).value is not None:
        raise ValueError("f is a function of u, and there is no u in it")
    return tree


@dataclass(frozen=True)
class Size:
    """How large an expression would be, multiplied out.

    Attributes:
        value: Of a constant; None where u is in it.
        degree: Of the powers that stand one inside the other or are multiplied.
        above: Terms of its numerator.
        below: Terms of its denominator.
        exponential: Whether u stands in an exponential.
    """

    value: float | None
    degree: float = 0.0
    above: float = 1.0
    below: float = 1.0
    exponential: bool = False


def size_of(tree: ast.expr) -> Size:
    """How large a formula is.

    Raises:
        ValueError: If a number, a power or a nesting is beyond the bounds.
    """
    return fold(tree, _Sizes())


class _Sizes:
    def number(self, value: float) -> Size:
        if not (value == 0 or 1 / MAX_NUMBER <= value <= MAX_NUMBER):
            raise ValueError(f"numbers are 0 or between 1e-6 and 1e6, got {value:g}")
        return Size(value)

    def u(self) -> Size:
        return Size(None, degree=1.0)

    def apply(self, operation: str, *arguments: Size) -> Size:
        values = [argument.value for argument in arguments]
        known = [value for value in values if value is not None]
        if operation == "**":
            self._check_exponent(values[1])
        value = _calculated(operation, known) if len(known) == len(values) else None
        size = _combined(operation, *arguments) if value is None else Size(value)
        if size.degree > MAX_DEGREE:
            raise ValueError(f"powers multiply up to {MAX_DEGREE} at most, here to {size.degree:g}")
        return size

    def _check_exponent(self, exponent: float | None) -> None:
        if exponent is None:
            raise ValueError("exponents are numbers; write a**u as exp(u*log(a))")
        if abs(exponent) > MAX_DEGREE:
            raise ValueError(f"exponents are between -{MAX_DEGREE} and {MAX_DEGREE}, got {exponent:g}")


def _combined(operation: str, first: Size, second: Size | None = None) -> Size:
    if second is None:
        if operation == "exp" and first.exponential:
            raise ValueError("an exponential inside an exponential grows too fast to be a divergence")
        plain = operation in ("neg", "pos")
        above, below = (first.above, first.below) if plain else (1.0, 1.0)
        return Size(None, first.degree, above, below, first.exponential or operation == "exp")
    exponential = first.exponential or second.exponential
    if operation in ("+", "-"):
        above = first.above * second.below + second.above * first.below
        degree = max(first.degree, second.degree)
        return Size(None, degree, above, first.below * second.below, exponential)
    if operation == "**":
        power = abs(second.value or 0.0)
        above, below = _power_terms(first.above, power), _power_terms(first.below, power)
        return Size(None, first.degree * power, above, below, exponential)
    swapped = (second.below, second.above) if operation == "/" else (second.above, second.below)
    degree = first.degree + second.degree
    return Size(None, degree, first.above * swapped[0], first.below * swapped[1], exponential)


def _power_terms(terms: float, power: float) -> float:
    """Terms of (a + b + ...)^n, multiplied out."""
    return math.prod(((terms - 1 + k) / k for k in range(1, math.ceil(power) + 1)), start=1.0)


def _calculated(operation: str, values: list[float]) -> float:
    try:
        value = _PLAIN[operation](*values)
    except (ValueError, ZeroDivisionError, OverflowError):
        value = math.nan
    if not isinstance(value, float) or not abs(value) < math.inf:
        shown = ", ".join(f"{v:g}" for v in values)
        raise ValueError(f"{operation} of {shown} is not a finite real number")
    return float(value)


_PLAIN: Final[dict[str, Callable[..., float]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "neg": lambda a: -a,
    "pos": lambda a: a,
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
}


def _depth(node: ast.AST) -> int:
    """Without recursion: the tree may be deeper than Python's stack."""
    deepest, left = 0, [(node, 1)]
    while left:
        here, depth = left.pop()
        deepest = max(deepest, depth)
        left += [(child, depth + 1) for child in ast.iter_child_nodes(here) if isinstance(child, ast.expr)]
    return deepest


_SPELLINGS: Final = {"ln": "log", "pow": "**", "power": "**", "square": "**"}
"""How the language spells what people write."""


def _meant(node: ast.expr) -> str:
    """How to write what was probably meant; empty where nobody knows."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            known = _SPELLINGS.get(name, name)
            return f"did you mean {known}?" if known in (*FUNCTIONS, "**") else ""
        case ast.Name(id=name) if name.lower() in ("x", "t", "r", "p"):
            return "the density ratio is u"
    return ""


def _quoted(node: ast.expr) -> str:
    text = ast.unparse(node)
    return repr(text if len(text) <= 60 else text[:57] + "...")

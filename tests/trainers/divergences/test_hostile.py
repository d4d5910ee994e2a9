"""Formulas are untrusted: what is not a formula of u is refused in one line, at once, and never run."""

import builtins
import contextlib
import sys
from collections.abc import Callable, Iterator

import pytest

from benchmark.core.errors import UserError
from trainers.divergences import divergences, grammar

LANGUAGE = "is not of the language of formulas: numbers, u,"
REFUSED = {
    # calls, attributes, names
    "exit()": LANGUAGE,
    "log(u).__class__": LANGUAGE,
    "__import__('os').system('true')": LANGUAGE,
    "u.__init__.__globals__": LANGUAGE,
    "().__class__.__bases__[0]": LANGUAGE,
    "(lambda u: u)(u)": LANGUAGE,
    "[u for u in (1, 2)]": LANGUAGE,
    "u if u > 1 else 0": LANGUAGE,
    "(v := u)": LANGUAGE,
    "f'{u}'": LANGUAGE,
    "'u'": LANGUAGE,
    "u*log(u) + pi": LANGUAGE,
    "__builtins__": LANGUAGE,
    "log(u, 2)": LANGUAGE,
    "log(*u)": LANGUAGE,
    "log(x=u)": LANGUAGE,
    "log": LANGUAGE,
    "True*u": LANGUAGE,
    "1j*u": LANGUAGE,
    "u % 2": LANGUAGE,
    "u @ u": LANGUAGE,
    "~u": LANGUAGE,
    "u ^ 2": LANGUAGE,
    "u < 1": LANGUAGE,
    "import os": "it cannot be read",
    "u; u": "it cannot be read",
    "u*log(u": "it cannot be read",
    "": "it cannot be read",
    "u\x00": "plain ASCII, this one has '\\\\x00'",
    "u*log(u)\n": None,  # white space around it is nothing
    "u +\n u": "plain ASCII, this one has '\\\\n'",
    # look-alikes: Python itself would take the first for u
    "ｕ*log(ｕ)": r"plain ASCII, this one has '\\uff55'",
    "υ*log(υ)": r"plain ASCII, this one has '\\u03c5'",
    "u*ｌog(u)": "plain ASCII",
    "u*log(u) \N{MINUS SIGN} 1": "plain ASCII",
    # sizes
    "9**9**9": r"exponents are between -8 and 8, got 9",
    "u**9**9": "exponents are between",
    "u**-9": "exponents are between",
    "((u**8)**8)**8": "powers multiply up to 8 at most, here to 64",
    "((u+1)**8)*((u+2)**8)": "powers multiply up to 8 at most, here to 16",
    "(((9**8)**8)**8)**8 - u": r"\*\* of .*, 8 is not a finite real number",
    "1e400*u": "numbers are 0 or between 1e-6 and 1e6, got inf",
    "1e99*u": "numbers are",
    f"{'9' * 300}*u": "numbers are",
    "exp(exp(exp(exp(u))))": "an exponential inside an exponential",
    "exp(exp(9)) - u": "exp of 8103.08 is not a finite real number",
    "u**u": r"exponents are numbers; write a\*\*u as exp\(u\*log\(a\)\)",
    "u" * 10_000_000: "at most 400 characters, this one has 10000000",
    "u+" * 5_000_000 + "u": "at most 400 characters",
    "+".join(["u"] * 100): "brackets deep|at most 80 parts",
    "+".join(["(u+1)"] * 50): "brackets deep|at most 80 parts",
    "(" * 190 + "u" + ")" * 190: None,  # brackets alone are nothing; f is no divergence, though
    "(" * 100_000 + "u" + ")" * 100_000: "at most 400 characters",
    "-" * 390 + "u": "brackets deep",
    "log(" * 60 + "u" + ")" * 60: "brackets deep",
    # mathematics
    "1": "there is no u in it",
    "2*log(3)": "there is no u in it",
    "1/0 + u": "/ of 1, 0 is not a finite real number",
    "log(0-1) + u": "log of -1 is not a finite real number",
    "(0-8)**0.5 + u": r"\*\* of -8, 0.5 is not a finite real number",
    "1/(u-1)": r"f\(1\) is inf, and has to be 0",
    "(u-1)/(u-1)": r"f\(1\) is nan, and has to be 0",
    "log(u-1)": r"f\(1\) is -inf, and has to be 0",
    "sqrt(u-1)": r"f\(0.000335\) is not a real number",
    "(u-1)**1.5": r"f\(0.000335\) is not a real number",
    "log(u-0.5)*u": r"f\(0.000335\) is not a real number",
    "u*log(u) + 0.25": r"breaks the law `f\(1\) = 0`: f\(1\) is 0.25",
    "log(u)": "breaks the law `Convex f`: between u = ",
    "1 - u**2": "breaks the law `Convex f`",
    "u - 1": "f''\\(1\\) is 0|Convex f",
    "(u-1)**4": r"f''\(1\) is 0, so h is flat where training starts",
}


def named(text: object) -> str:
    return ascii(text if len(str(text)) < 40 else f"{str(text)[:36]}...{len(str(text))}")


@contextlib.contextmanager
def at_most(limit: int) -> Iterator[None]:
    """Counts calls, of Python's functions and compiled ones: how much is done, and not how quickly."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)
    assert calls <= limit


@pytest.fixture(scope="module", autouse=True)
def started() -> None:
    """What a first formula costs, importing sympy above all, is not what is counted here."""
    divergences.create("expr: u*log(u) - (u+1)*log((u+1)/2)")


@pytest.mark.parametrize("formula", [f for f, said in REFUSED.items() if said], ids=named)
def test_it_is_refused_in_one_line_and_at_once(formula: str) -> None:
    with at_most(300_000), pytest.raises(UserError, match=str(REFUSED[formula])) as caught:
        divergences.create(f"expr: {formula}")
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    assert len(line) < 800
    assert line.startswith("divergence expr")


@pytest.mark.parametrize("knee", ["9**9**9", "'a'", "().__class__", "[" * 10_000, "u"])
def test_so_is_what_stands_in_its_brackets(knee: str) -> None:
    with at_most(300_000), pytest.raises((UserError, TypeError)):
        divergences.create(f"expr(knee={knee}): -log(u)")


def test_what_looks_strange_and_is_a_formula_is_read() -> None:
    assert repr(divergences.create("expr: u*log(u)\n")) == "expr: u*log(u)"
    deep = "(" * 90 + "u" + ")" * 90
    assert repr(divergences.create(f"expr: u*log({deep})")).endswith(")")


@pytest.mark.parametrize(
    "formula",
    [
        "(u + sqrt(u) + log(u) + log(u+1) + log(u+2) + 1)**6 - (3 + log(2) + log(3))**6",
        "1/(u+1) + 1/(u+2) + 1/(u+3) + 1/(u+4) + 1/(u+5) + 1/(u+6) + 1/(u+7) + 1/(u+8) + 1/(u+9) - 2",
        "u**0.123457 + u**0.1234567 + u**1.99991 + log(u**0.3331 + 1) - 3 - log(2)",
        "((u+1)/2)**3*exp(u)/(u**2 + log(u+1) + 7) - 0.3",
        "exp(u**8) - exp(1)",
        "exp(log(u)**6 * 8)**0.5 - 1",
        "log(log(log(log(u+60)+60)+60)+60)*u - 1",
        "((((u**1.1)**1.1)**1.1)**1.1)**1.1 - u",
        "sqrt(sqrt(sqrt(sqrt(sqrt(sqrt(u+1)+1)+1)+1)+1)+1)*u - 1",
    ],
)
def test_the_worst_that_is_of_the_language_is_little_work_either(formula: str) -> None:
    # Whether it is a divergence is not the question.
    with at_most(5_000_000), contextlib.suppress(UserError):
        divergences.create(f"expr: {formula}")


def test_nothing_of_it_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("run")

    monkeypatch.setattr(builtins, "eval", never)
    monkeypatch.setattr("sympy.sympify", never)
    monkeypatch.setattr("sympy.lambdify", never)
    assert divergences.create("expr: (u-1)**2/(u+2)").slope_at_1 == pytest.approx(2 / 3)
    with pytest.raises(UserError):
        divergences.create("expr: exit()")


@pytest.mark.parametrize(
    "formula", ["exit()", "9**9**9", "u" * 100_000, "ｕ*log(ｕ)", "1/(u-1)", "log(u)"], ids=named
)
@pytest.mark.parametrize(
    "command", ["divergence check", "train --dry-run --preset shapes-f-dpo-reverse-kl --divergence"]
)
def test_the_command_line_ends_with_2_and_one_line(
    run_fbench: Callable[..., tuple[int, str]], command: str, formula: str
) -> None:
    code, said = run_fbench(*command.split(), f"expr: {formula}")
    assert code == 2
    (line,) = said.splitlines()
    assert line.startswith("error: divergence expr")


def test_bounds_are_of_the_text_alone() -> None:
    assert grammar.size_of(grammar.parse("(u-1)**2/(u+1)")).degree == 3
    assert grammar.MAX_LENGTH < 1000

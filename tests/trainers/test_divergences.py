"""The laws of a divergence, over everything registered, and mutants that each of them must catch."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmark.core.errors import UnknownNameError, UserError
from trainers.divergences import (
    Alpha,
    Chi2KL,
    Divergence,
    ForwardKL,
    JensenShannon,
    PearsonChi2,
    ReverseKL,
    SquaredHellinger,
    divergences,
)

EVERY = [
    *(divergences.create(name) for name in divergences.names()),
    *(divergences.create(text) for text in ("alpha(a=0.05)", "alpha(a=0.95)", "forward_kl(knee=3.0)")),
]
every_divergence = pytest.mark.parametrize("divergence", EVERY, ids=repr)


def inside(divergence: Divergence) -> Tensor:
    """Log-ratios between the knees, zero among them, in float64."""
    low, high = max(divergence.lower_knee, -20.0), min(divergence.upper_knee, 20.0)
    return torch.cat([torch.linspace(low, high, 201), torch.tensor([0.0, 1e-6, -1e-6])]).double()


def derivative(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """By autograd, elementwise."""
    at = at.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(at).sum(), at)
    return slope


def second_derivative(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """By central differences of the first."""
    step = 1e-5 * at
    return (derivative(function, at + step) - derivative(function, at - step)) / (2 * step)


# --- the laws -----------------------------------------------------------------------------------


def f_is_zero_at_1(d: Divergence) -> None:
    assert abs(float(d.f(torch.ones(1, dtype=torch.float64)))) < 1e-14


def f_is_convex(d: Divergence) -> None:
    u = torch.exp(torch.linspace(-8, 8, 161, dtype=torch.float64))
    a, b = u[:, None], u[None, :]
    chord = (d.f(a) + d.f(b)) / 2 - d.f((a + b) / 2)
    assert (chord >= -1e-12 * (1 + a * a + b * b)).all()
    assert (chord[a.expand_as(chord) > 2 * b] > 0).all()


def h_is_zero_at_0_to_the_bit(d: Divergence) -> None:
    for dtype in (torch.float32, torch.float64):
        for n in (1, 7, 64):  # vectorised loops and their tails
            assert (d.h(torch.zeros(n, dtype=dtype)) == 0).all()


def h_increases(d: Divergence) -> None:
    assert (d.h(torch.linspace(-5, 5, 101)).diff() > 0).all()
    s = torch.linspace(-80, 80, 1601)
    h = d.h(s)
    assert (h.diff() >= -1e-6 * h[1:].abs()).all()  # where h is flat, up to rounding
    assert (d.slope(s) >= 0).all()


def h_is_f_prime(d: Divergence) -> None:
    s = inside(d)
    at_1 = derivative(d.f, torch.ones(1, dtype=torch.float64))
    torch.testing.assert_close(d.h(s), derivative(d.f, torch.exp(s)) - at_1, rtol=1e-9, atol=1e-9)


def slope_is_the_gradient_of_h(d: Divergence) -> None:
    beyond = torch.tensor([-75.0, -30.0, 30.0, 75.0], dtype=torch.float64)
    s = torch.cat([inside(d), beyond])
    torch.testing.assert_close(derivative(d.h, s), d.slope(s), rtol=1e-9, atol=1e-12)
    away = s[((s - d.lower_knee).abs() > 1e-3) & ((s - d.upper_knee).abs() > 1e-3)]
    numeric = (d.h(away + 1e-5) - d.h(away - 1e-5)) / 2e-5
    torch.testing.assert_close(numeric, d.slope(away), rtol=1e-6, atol=1e-6)


def slope_is_u_f_second(d: Divergence) -> None:
    s = inside(d)
    u = torch.exp(s)
    torch.testing.assert_close(d.slope(s), u * second_derivative(d.f, u), rtol=1e-5, atol=1e-7)


def slope_at_1_is_f_second_at_1(d: Divergence) -> None:
    step = 1e-4
    below, at, above = (d.f(torch.tensor([1 + k * step], dtype=torch.float64)) for k in (-1, 0, 1))
    assert d.slope_at_1 == pytest.approx(float((above - 2 * at + below) / step**2), rel=1e-6)


def training_starts_with_the_slope_at_1(d: Divergence) -> None:
    start = derivative(d.h, torch.zeros(5))
    torch.testing.assert_close(start, torch.full((5,), d.slope_at_1), rtol=0, atol=0)


def f_prime_at_0_is_as_stated(d: Divergence) -> None:
    near_0 = float(derivative(d.f, torch.tensor([1e-300], dtype=torch.float64)))
    if math.isinf(d.f_prime_at_0):
        assert d.f_prime_at_0 < 0
        assert near_0 < -100
    else:
        assert near_0 == pytest.approx(d.f_prime_at_0, rel=1e-9)


def symmetric_is_as_stated(d: Divergence) -> None:
    u = torch.exp(torch.linspace(0.1, 3, 50, dtype=torch.float64))
    multiple = (u * d.f(1 / u) - d.f(u)) / (u - 1)
    assert bool((multiple - multiple[0]).abs().max() < 1e-9) == d.symmetric


def float32_stays_finite(d: Divergence) -> None:
    s = torch.linspace(-80, 80, 1601)
    gradient = derivative(d.h, s)
    assert d.h(s).isfinite().all()
    assert gradient.isfinite().all()
    torch.testing.assert_close(gradient, d.slope(s), rtol=1e-5, atol=1e-6 * d.slope_at_1)
    far = torch.tensor([-1e4, 1e4])
    assert d.h(far).isfinite().all()
    assert derivative(d.h, far).isfinite().all()


def float32_is_accurate(d: Divergence) -> None:
    small = torch.logspace(-8, 0, 50)
    s = torch.cat([-small, small, torch.linspace(-80, 80, 161)])
    torch.testing.assert_close(d.h(s).double(), d.h(s.double()), rtol=3e-6, atol=1e-12)


def beyond_the_knee_h_is_its_tangent(d: Divergence) -> None:
    for knee, sign in ((d.lower_knee, -1), (d.upper_knee, 1)):
        if math.isinf(knee):
            continue
        at = torch.tensor([knee], dtype=torch.float64)
        for distance in (1e-9, 0.5, 40.0):
            tangent = d.exact_h(at) + sign * distance * d.exact_slope(at)
            torch.testing.assert_close(d.h(at + sign * distance), tangent, rtol=1e-12, atol=0)


def facts_are_stated(d: Divergence) -> None:
    assert re.fullmatch(r"[a-z0-9_]+", d.name)
    assert d.reference


LAWS = [
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
    facts_are_stated,
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@every_divergence
def test_law(divergence: Divergence, law: Callable[[Divergence], None]) -> None:
    law(divergence)


@every_divergence
def test_a_saturated_side_goes_on_learning(divergence: Divergence) -> None:
    s = torch.linspace(-80, 80, 1601)
    gradient = derivative(divergence.h, s)
    assert (gradient > 0).all()  # a clamp gives 0; so does torch's expm1 below -17
    torch.testing.assert_close(gradient, divergence.slope(s), rtol=1e-5, atol=0)


# --- the table of the papers, written down a second time ----------------------------------------

LOG = torch.log
TABLE: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], float, float]] = {
    # name: f(u), h as a function of u, slope at 1, f'(0+)
    "reverse_kl": (lambda u: u * LOG(u), LOG, 1, -math.inf),
    "forward_kl": (lambda u: -LOG(u), lambda u: 1 - 1 / u, 1, -math.inf),
    "jensen_shannon": (
        lambda u: u * LOG(u) - (u + 1) * LOG((u + 1) / 2),
        lambda u: LOG(2 * u / (1 + u)),
        0.5,
        -math.inf,
    ),
    "alpha": (
        lambda u: (u**0.5 - 0.5 * u - 0.5) / -0.25,
        lambda u: 2 * (1 - u**-0.5),
        1,
        -math.inf,
    ),
    "jeffreys": (lambda u: (u - 1) * LOG(u), lambda u: LOG(u) + 1 - 1 / u, 2, -math.inf),
    "squared_hellinger": (lambda u: (u**0.5 - 1) ** 2, lambda u: 1 - u**-0.5, 0.5, -math.inf),
    "pearson_chi2": (lambda u: (u - 1) ** 2, lambda u: 2 * (u - 1), 2, -2),
    "chi2_kl": (
        lambda u: (u - 1) ** 2 / 2 + u * LOG(u),
        lambda u: u - 1 + LOG(u),
        2,
        -math.inf,
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_is_the_row_of_the_table(name: str) -> None:
    f, h, slope_at_1, f_prime_at_0 = TABLE[name]
    d = divergences.create(name)
    s = torch.linspace(-5, 5, 101, dtype=torch.float64)
    u = torch.exp(s)
    torch.testing.assert_close(d.f(u), f(u), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(d.h(s), h(u), rtol=1e-12, atol=1e-12)
    assert (d.name, d.slope_at_1, d.f_prime_at_0) == (name, slope_at_1, f_prime_at_0)


def test_symmetric_ones() -> None:
    symmetric = {name for name in TABLE if divergences.create(name).symmetric}
    assert symmetric == {"alpha", "jensen_shannon", "jeffreys", "squared_hellinger"}  # alpha at 1/2
    assert not Alpha(a=0.4).symmetric


@pytest.mark.parametrize(("a", "limit"), [(1e-6, ReverseKL()), (1 - 1e-6, ForwardKL())])
def test_alpha_has_both_kl_as_limits(a: float, limit: Divergence) -> None:
    s = torch.linspace(-9, 9, 181, dtype=torch.float64)
    torch.testing.assert_close(Alpha(a).h(s), limit.h(s), rtol=1e-4, atol=0)
    torch.testing.assert_close(Alpha(a).slope(s), limit.slope(s), rtol=1e-4, atol=0)


def test_squared_hellinger_is_alpha_one_half_at_half_the_beta_to_the_bit() -> None:
    s = torch.linspace(-80, 80, 4001)
    for beta in (1.0, 0.3, 5000.0):
        ours = beta * SquaredHellinger().h(s)
        assert torch.equal(ours, (beta / 2) * Alpha(0.5).h(s))


def test_below_zero_jensen_shannon_is_reverse_kl_at_a_beta_between_half_and_all_of_it() -> None:
    slope = JensenShannon().slope(torch.linspace(-80, 0, 801, dtype=torch.float64))
    assert slope.min() == 0.5
    assert slope.max() <= 1


# --- the knee -----------------------------------------------------------------------------------


def test_beyond_knee_is_the_share_of_samples() -> None:
    s = torch.tensor([-10.5, -10.0, 0.0, 10.0, 10.5, 11.0, 12.0, 13.0])
    assert float(ForwardKL().beyond_knee(s)) == 1 / 8
    assert float(PearsonChi2().beyond_knee(s)) == 4 / 8
    assert float(ForwardKL(knee=5.0).beyond_knee(s)) == 2 / 8
    assert float(JensenShannon().beyond_knee(s)) == float(ReverseKL().beyond_knee(s)) == 0


def test_the_knee_is_a_hyperparameter() -> None:
    s = torch.tensor([8.0])
    assert Chi2KL(knee=5.0).h(s) == pytest.approx(math.exp(5) - 1 + 5 + 3 * (1 + math.exp(5)))
    assert Chi2KL(knee=9.0).h(s) == pytest.approx(math.exp(8) - 1 + 8)
    assert ForwardKL(knee=0.5).lower_knee == -0.5
    assert PearsonChi2(knee=80.0).upper_knee == 80.0


@pytest.mark.parametrize("knee", [0.0, -1.0, 81.0, math.inf, math.nan])
def test_a_knee_that_overflows_is_refused(knee: float) -> None:
    with pytest.raises(ValueError, match="knee"):
        ForwardKL(knee=knee)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match="float32"):
        ReverseKL().h(torch.zeros(1, dtype=dtype))


# --- the door -----------------------------------------------------------------------------------


def test_names_and_arguments() -> None:
    assert set(TABLE) <= set(divergences.names())
    assert all(type(divergences.create(name)).__doc__ for name in divergences.names())
    assert repr(divergences.create("Alpha(a=0.25)")) == "alpha(a=0.25, knee=10.0)"
    assert repr(divergences.create("reverse-kl")) == "reverse_kl"
    with pytest.raises(UnknownNameError, match="jensen_shannon"):
        divergences.create("jensen-shanon")
    for wrong in ("alpha(a=0.0)", "alpha(a=1.0)", "alpha(b=0.5)", "forward_kl(knee=-1.0)"):
        with pytest.raises(UserError):
            divergences.create(wrong)


def test_the_divergence_of_the_guide_obeys_every_law(tmp_path: Path) -> None:
    guide = Path(__file__).parents[2] / "docs" / "adding-a-divergence.md"
    code = re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), flags=re.DOTALL)[0]
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    mine = divergences.create(f"{tmp_path / 'mine.py'}:LeCam")
    for law in LAWS:
        law(mine)


# --- do the laws catch what goes wrong? -----------------------------------------------------------


class Mutant(Divergence):
    """Forward KL, right in everything; each subclass gets one thing wrong."""

    name = "mutant"
    symmetric = False
    f_prime_at_0 = -math.inf
    reference = "none"
    lower_knee = -10.0

    def f(self, u: Tensor) -> Tensor:
        return -torch.log(u)

    def exact_h(self, s: Tensor) -> Tensor:
        return ForwardKL().exact_h(s)

    def exact_slope(self, s: Tensor) -> Tensor:
        return torch.exp(-s)


class WrongSignOfF(Mutant):
    def f(self, u: Tensor) -> Tensor:
        return torch.log(u)


class WrongSignOfH(Mutant):
    def exact_h(self, s: Tensor) -> Tensor:
        return torch.exp(-s) - 1


class WrongArgumentOfH(Mutant):
    def exact_h(self, s: Tensor) -> Tensor:
        return torch.expm1(s)


class TwiceH(Mutant):
    def exact_h(self, s: Tensor) -> Tensor:
        return -2 * torch.expm1(-s)


class TwiceAll(Mutant):
    def exact_h(self, s: Tensor) -> Tensor:
        return -2 * torch.expm1(-s)

    def exact_slope(self, s: Tensor) -> Tensor:
        return 2 * torch.exp(-s)


class TwiceTheSlope(Mutant):
    def exact_slope(self, s: Tensor) -> Tensor:
        return 2 * torch.exp(-s)


class ShiftedH(Mutant):
    def exact_h(self, s: Tensor) -> Tensor:
        return -torch.exp(-s)


class ShiftedF(Mutant):
    def f(self, u: Tensor) -> Tensor:
        return 1 - torch.log(u)


class ClampedH(Mutant):
    lower_knee = -math.inf

    def exact_h(self, s: Tensor) -> Tensor:
        return ForwardKL().exact_h(s.clamp(min=-10))

    def exact_slope(self, s: Tensor) -> Tensor:
        return torch.exp(-s.clamp(min=-10))


class ClampedAll(ClampedH):
    def exact_slope(self, s: Tensor) -> Tensor:
        return torch.exp(-s) * (s > -10)


class WrongOnlyAt0(Mutant):
    def exact_h(self, s: Tensor) -> Tensor:
        return torch.where(s > 0, super().exact_h(s), super().exact_h(s.clamp(max=0)) * (s != 0))


class NoKnee(Mutant):
    lower_knee = -math.inf


class NaiveH(Mutant):
    def exact_h(self, s: Tensor) -> Tensor:
        return 1 - torch.exp(-s)


class WrongFactAt0(Mutant):
    f_prime_at_0 = -1.0


class WrongSymmetry(Mutant):
    symmetric = True


def broken(divergence: Divergence) -> list[str]:
    """Names of the laws that a divergence breaks."""
    names = []
    for law in LAWS:
        try:
            law(divergence)
        except AssertionError:
            names.append(law.__name__)
    return names


def test_the_unbroken_mutant_breaks_no_law() -> None:
    assert broken(Mutant()) == []


MUTANTS = [m for m in globals().values() if isinstance(m, type) and issubclass(m, Mutant) and m is not Mutant]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_laws_catch(mutant: type[Mutant]) -> None:
    assert broken(mutant())

"""Mutants of the divergences: signs, constants, slopes, knees, and how formulas are derived."""

from typing import Final

from tools.mutants.running import Mutant

TESTS: Final = (
    "tests/trainers/divergences/test_standard.py",
    "tests/trainers/divergences/test_mixture.py",
    "tests/trainers/divergences/test_formula.py",
    "tests/trainers/divergences/test_laws.py",
    "tests/trainers/divergences/test_optimum.py",
)

_BASE, _REGISTRY, _STANDARD, _MIXTURE, _FORMULA, _DERIVATION, _GRAMMAR, _LAWS, _OPTIMUM = (
    f"trainers/divergences/{name}.py"
    for name in (
        "base",
        "registry",
        "standard",
        "mixture",
        "formula",
        "derivation",
        "grammar",
        "laws",
        "optimum",
    )
)

MUTANTS: Final = (
    # h, slope and knee of all
    Mutant(_BASE, "self.exact_slope(k) * (s - k)", "self.exact_slope(k) * (k - s)"),
    Mutant(_BASE, "return self.exact_h(k) + self.exact_slope(k) * (s - k)", "return self.exact_h(k)"),
    Mutant(_BASE, "return self.exact_slope(self._inside(s))", "return self.exact_slope(s)"),
    Mutant(_BASE, "s.clamp(self.lower_knee, self.upper_knee)", "s.clamp(self.lower_knee)"),
    Mutant(_BASE, "(s < self.lower_knee) | (s > self.upper_knee)", "(s < self.lower_knee)"),
    Mutant(_BASE, "(s < self.lower_knee) | (s", "(s <= self.lower_knee) | (s"),
    Mutant(_BASE, "torch.zeros(1, dtype=torch.float64)", "torch.ones(1, dtype=torch.float64)"),
    Mutant(_BASE, "KNEE = 10.0", "KNEE = 11.0"),
    Mutant(_BASE, "if not 0 < knee <= 80:", "if not 0 < knee <= 90:"),
    Mutant(_BASE, "if not 0 < knee <= 80:", "if not knee <= 80:"),
    Mutant(_REGISTRY, "        laws.enforce(divergence)", "        pass"),
    # the eight
    Mutant(_STANDARD, "torch.exp(x) - 1, torch.expm1(x)", "torch.expm1(x), torch.expm1(x)"),
    Mutant(_STANDARD, "x < -1, torch.exp", "x < 1, torch.exp"),
    Mutant(_STANDARD, "        return s\n", "        return 2 * s\n"),
    Mutant(_STANDARD, "return torch.ones_like(s)", "return torch.full_like(s, 2)"),
    Mutant(_STANDARD, "return -torch.log(u)", "return torch.log(u)"),
    Mutant(_STANDARD, "        return -_expm1(-s)\n", "        return _expm1(-s)\n"),
    Mutant(_STANDARD, "        return -_expm1(-s)\n", "        return -_expm1(s)\n"),
    Mutant(_STANDARD, "return torch.exp(-s)  # 1/u", "return torch.exp(s)"),
    Mutant(_STANDARD, "torch.log((u + 1) / 2)", "torch.log(u + 1)"),
    Mutant(_STANDARD, "- torch.log1p(_expm1(-s.abs()) / 2)", "+ torch.log1p(_expm1(-s.abs()) / 2)"),
    Mutant(_STANDARD, "_expm1(-s.abs()) / 2)", "_expm1(-s.abs()) / 3)"),
    Mutant(_STANDARD, "return torch.sigmoid(-s)  #", "return torch.sigmoid(s)  #"),
    Mutant(_STANDARD, "if not 0 < a < 1:", "if not 0 < a <= 1:"),
    Mutant(_STANDARD, "self.symmetric = a == 0.5", "self.symmetric = a != 0.5"),
    Mutant(_STANDARD, "(1 - a) * (u - 1)) / (a * (a - 1))", "(1 - a) * (u - 1)) / (a * (1 - a))"),
    Mutant(_STANDARD, "u ** (1 - a) - 1 -", "u ** (1 + a) - 1 -"),
    Mutant(_STANDARD, "-_expm1(-self.a * s) / self.a", "-_expm1(-self.a * s)"),
    Mutant(_STANDARD, "return torch.exp(-self.a * s)", "return torch.exp(-s)"),
    Mutant(_STANDARD, "return (u - 1) * torch.log(u)", "return (u + 1) * torch.log(u)"),
    Mutant(_STANDARD, "return s - _expm1(-s)", "return s + _expm1(-s)"),
    Mutant(_STANDARD, "return 1 + torch.exp(-s)", "return 2 + torch.exp(-s)"),
    Mutant(_STANDARD, "return (torch.sqrt(u) - 1) ** 2", "return 2 * (torch.sqrt(u) - 1) ** 2"),
    Mutant(_STANDARD, "return -_expm1(-s / 2)", "return -2 * _expm1(-s / 2)"),
    Mutant(_STANDARD, "return torch.exp(-s / 2) / 2", "return torch.exp(-s / 2)"),
    Mutant(_STANDARD, "return 2 * _expm1(s)", "return _expm1(s)"),
    Mutant(_STANDARD, "f_prime_at_0 = -2.0", "f_prime_at_0 = -1.0"),
    Mutant(_STANDARD, "return _expm1(s) + s", "return _expm1(s) - s"),
    Mutant(_STANDARD, "return (u - 1) ** 2 / 2 +", "return (u - 1) ** 2 +"),
    Mutant(_STANDARD, "return 1 + torch.exp(s)", "return torch.exp(s)"),
    # mixtures
    Mutant(_MIXTURE, "self.weight * first + (1", "self.weight * first + (2"),
    Mutant(
        _MIXTURE,
        "return self.weight * first + (1 - self.weight) * second",
        "return self.weight * second + (1 - self.weight) * first",
    ),
    Mutant(
        _MIXTURE,
        "max(self.first.lower_knee, self.second.lower_knee)",
        "min(self.first.lower_knee, self.second.lower_knee)",
    ),
    Mutant(
        _MIXTURE,
        "min(self.first.upper_knee, self.second.upper_knee)",
        "max(self.first.upper_knee, self.second.upper_knee)",
    ),
    Mutant(_MIXTURE, "is_symmetric(self.f)", "self.first.symmetric and self.second.symmetric"),
    Mutant(_MIXTURE, "if not 0 < weight < 1:", "if not 0 <= weight <= 1:"),
    # formulas
    Mutant(_FORMULA, "torch.where(wide == 0, 0, self._h(wide))", "self._h(wide)"),
    Mutant(_FORMULA, "slope * (wide - wide.detach())", "slope * (wide.detach() - wide)"),
    Mutant(_FORMULA, "(value + slope * (wide - wide.detach()))", "value"),
    Mutant(_FORMULA, "math.exp(KNEE) * (1 + 1e-9)", "math.exp(KNEE / 2)"),
    Mutant(_FORMULA, "return float(allowed[-1])", "return float(allowed[0])"),
    Mutant(_FORMULA, "if not side.grows and side.reach >= RANGE:", "if side.reach >= RANGE:"),
    Mutant(_FORMULA, "-knees[-1], knees[1]", "-knees[1], knees[-1]"),
    Mutant(_FORMULA, "0.5 * abs(second - first)", "5 * abs(second - first)"),
    Mutant(_DERIVATION, "second = u * sympy.diff(first, u)", "second = sympy.diff(first, u)"),
    Mutant(_DERIVATION, "first - first.subs(u, 1)", "first - first.subs(u, 2)"),
    Mutant(_DERIVATION, "first = sympy.diff(f, u)", "first = -sympy.diff(f, u)"),
    Mutant(_DERIVATION, "ACCURACY: Final = 1e-9", "ACCURACY: Final = 1e9"),
    Mutant(
        _DERIVATION, "mpmath.log(end) - mpmath.log(near) > 1.5", "mpmath.log(near) - mpmath.log(end) > 1.5"
    ),
    Mutant(_DERIVATION, '"-": lambda _, a, b: a - b', '"-": lambda _, a, b: b - a'),
    Mutant(_DERIVATION, '"neg": lambda _, a: -a', '"neg": lambda _, a: a'),
    Mutant(_GRAMMAR, 'ast.USub: "neg", ast.UAdd: "pos"', 'ast.USub: "neg", ast.UAdd: "neg"'),
    # the laws themselves
    Mutant(_LAWS, "if abs(value) < 1e-12", "if abs(value) < 1e12"),
    Mutant(_LAWS, "~(ends - middle >= -1e-12 * size)", "~(ends - middle >= -1e12 * size)"),
    Mutant(_LAWS, "bool(spread < 1e-9", "bool(spread > 1e-9"),
    Mutant(
        _LAWS, "derivative(d.f, torch.exp(s)) - derivative", "derivative(d.f, torch.exp(-s)) - derivative"
    ),
    Mutant(_LAWS, "expected = u * second_derivative(d.f, u)", "expected = second_derivative(d.f, u)"),
    Mutant(_LAWS, "wrong = ~(error <= atol + rtol * expected.abs())", "wrong = error > math.inf"),
    Mutant(
        _LAWS,
        "        if broken := _run(law, divergence):",
        "        if not (broken := _run(law, divergence)):",
    ),
    # weights of a closed-form optimum
    Mutant(_OPTIMUM, "gaps = torch.where(there, best - rewards", "gaps = torch.where(there, rewards - best"),
    Mutant(_OPTIMUM, "below = (gaps / betas", "below = (gaps * betas"),
    Mutant(_OPTIMUM, "excess = total / n - 1\n", "excess = total / n - 2\n"),
    Mutant(
        _OPTIMUM,
        "    return torch.where(images, values, 0.0).sum(-1) / images.sum(-1)",
        "    return values.sum(-1)",
    ),
)

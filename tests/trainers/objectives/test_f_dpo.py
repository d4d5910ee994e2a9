"""f-DPO: its formula, its gradient field, what it logs; and when divergences differ at all."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.core.errors import UserError
from trainers.divergences import Divergence, ForwardKL, ReverseKL, divergences
from trainers.objectives import FDPO, PairErrors, gradient_field, slope_matched_beta

Batch = Callable[..., PairErrors]


def test_f_dpo_is_its_formula(divergence: Divergence, batch: Batch) -> None:
    errors = batch()
    s_w, s_l = (s.double() for s in errors.log_ratios())
    losses = [
        math.log1p(math.exp(-0.7 * (float(divergence.h(w)) - float(divergence.h(l)))))
        for w, l in zip(s_w, s_l, strict=True)
    ]
    loss = float(FDPO(divergence, 0.7)(errors).loss)
    assert loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_at_a_tiny_scale_every_divergence_is_reverse_kl(
    divergence: Divergence, batch: Batch, gradients: Callable[..., Any]
) -> None:
    delta = batch(64)
    scale = 1e-4
    tiny = replace(
        delta,
        log_ratio_winner=scale * delta.log_ratios()[0],
        log_ratio_loser=scale * delta.log_ratios()[1],
    )
    beta = 2 / scale
    ours = gradients(FDPO(divergence, slope_matched_beta(beta, divergence)), tiny)
    reverse = gradients(FDPO(ReverseKL(), beta), tiny)
    for mine, theirs in zip(ours, reverse, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=0)


class _Sloped(Divergence):
    """No divergence unless the factor is 1: what `--unchecked` lets through."""

    name, symmetric, f_prime_at_0, reference = "sloped", False, -math.inf, "nobody"

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def f(self, u: Tensor) -> Tensor:
        return u * u.log()

    def exact_h(self, s: Tensor) -> Tensor:
        return s

    def exact_slope(self, s: Tensor) -> Tensor:
        return self.factor * torch.ones_like(s)


def test_slope_matching_turns_nothing_round_and_refuses_what_has_no_slope() -> None:
    assert slope_matched_beta(0.3, _Sloped(2.0)) == pytest.approx(0.15)
    assert slope_matched_beta(0.3, _Sloped(-2.0)) == pytest.approx(0.15)
    for factor in (0.0, math.inf, math.nan):
        with pytest.raises(UserError, match="without --slope-matched"):
            slope_matched_beta(0.3, _Sloped(factor))


# squared_hellinger is alpha(0.5) at half the beta, the default mixture jeffreys at half the beta
SAME = ("squared_hellinger", "mixture")
DISTINCT = [divergences.create(name) for name in divergences.names() if name not in SAME]


@pytest.mark.parametrize("pair", list(itertools.combinations(DISTINCT, 2)))
def test_at_a_large_scale_divergences_separate(
    batch: Batch, gradients: Callable[..., Any], pair: tuple[Divergence, Divergence]
) -> None:
    large = batch(64, spread=2.0)
    one, other = (torch.cat(gradients(FDPO(d, slope_matched_beta(1.0, d)), large)[1:]) for d in pair)
    low, high = torch.quantile(one / other, torch.tensor([0.1, 0.9]))
    assert high / low > 1.5  # another weighting of the samples, not another beta


# --- gradient fields ------------------------------------------------------------------------------


def test_the_gradient_field_is_the_gradient(
    divergence: Divergence, batch: Batch, gradients: Callable[..., Any]
) -> None:
    errors = batch(32, spread=2.0)
    field = gradient_field(divergence, 0.7, *errors.log_ratios())
    _, *autograd = gradients(FDPO(divergence, 0.7), errors)
    for mine, theirs in zip(field, autograd, strict=True):
        torch.testing.assert_close(mine / 32, theirs, rtol=1e-5, atol=1e-8)


RATIOS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    # f''(X1) / f''(X2), over the ratios X1 of the winner and X2 of the loser
    "reverse_kl": lambda x1, x2: x2 / x1,
    "forward_kl": lambda x1, x2: (x2 / x1) ** 2,
    "alpha(a=0.3)": lambda x1, x2: (x2 / x1) ** 1.3,
    "jensen_shannon": lambda x1, x2: x2 * (1 + x2) / (x1 * (1 + x1)),
    "pearson_chi2": lambda x1, x2: torch.ones_like(x1 + x2),
}


@pytest.mark.parametrize("name", RATIOS)
def test_components_of_the_field_differ_by_f_second(name: str) -> None:
    x1, x2 = (torch.rand(2, 20, dtype=torch.float64) * 3 + 0.1).requires_grad_().unbind(0)
    divergence = divergences.create(name)
    loss = FDPO(divergence, 2.0)(PairErrors(x1, x2, x1.log(), x2.log())).loss
    to_x1, to_x2 = torch.autograd.grad(loss, [x1, x2])
    torch.testing.assert_close(-to_x1 / to_x2, RATIOS[name](x1, x2).detach(), rtol=1e-9, atol=0)


# --- logs -----------------------------------------------------------------------------------------


def test_logs_tell_winner_and_loser_apart() -> None:
    s_w, s_l = torch.linspace(0, 4, 101), torch.linspace(-20, 0, 101)
    logs = FDPO(ForwardKL(), 2.0)(PairErrors(s_w, s_l, s_w, s_l)).logs
    levels = [float(logs[f"winner/s_q{q}"]) for q in ("05", "25", "50", "75", "95")]
    assert levels == pytest.approx([0.2, 1.0, 2.0, 3.0, 3.8])
    assert float(logs["winner/s_mean"]) == pytest.approx(2)
    assert float(logs["winner/beyond_knee"]) == 0
    assert float(logs["loser/s_mean"]) == pytest.approx(-10)
    assert float(logs["loser/beyond_knee"]) == pytest.approx(50 / 101)
    assert float(logs["winner/slope_mean"]) == pytest.approx(float(torch.exp(-s_w).mean()))
    h = ForwardKL().h
    assert float(logs["margin"]) == pytest.approx(2 * float((h(s_w) - h(s_l)).mean()))


def test_the_mean_is_no_median() -> None:
    s = torch.tensor([0.0, 0.0, 9.0])
    assert float(FDPO(ReverseKL(), 1.0)(PairErrors(s, s, s, -s)).logs["winner/s_mean"]) == 3


def test_accuracy_counts_ties_half() -> None:
    s_w, s_l = torch.tensor([1.0, 0.0, 2.0, -1.0]), torch.tensor([0.0, 0.0, 2.0, 1.0])
    assert float(FDPO(ReverseKL(), 1.0)(PairErrors(s_w, s_l, s_w, s_l)).logs["accuracy"]) == 0.5
    s_w[0] = -9
    assert float(FDPO(ReverseKL(), 1.0)(PairErrors(s_w, s_l, s_w, s_l)).logs["accuracy"]) == 0.25

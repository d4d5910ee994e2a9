"""Laws of the closed-form optimum, over everything registered: docs/theory.md, section by section."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from trainers.divergences import Divergence, divergences
from trainers.divergences.optimum import coincides, divergence_value, optimal_weights

F: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "reverse_kl": lambda u: u * np.log(u),
    "forward_kl": lambda u: -np.log(u),
    "jensen_shannon": lambda u: u * np.log(u) - (u + 1) * np.log((u + 1) / 2),
    "alpha": lambda u: 4 * (0.5 * u + 0.5 - np.sqrt(u)),
    "jeffreys": lambda u: (u - 1) * np.log(u),
    "squared_hellinger": lambda u: (np.sqrt(u) - 1) ** 2,
    "pearson_chi2": lambda u: (u - 1) ** 2,
    "chi2_kl": lambda u: (u - 1) ** 2 / 2 + u * np.log(u),
    "mixture": lambda u: 0.5 * u * np.log(u) - 0.5 * np.log(u),
}
"""Every registered divergence as it comes, written out again: nothing of the code's is used."""

PLAIN = [name for name in divergences.names() if name != "expr"]
BETAS = torch.logspace(1.5, -1.5, 40, dtype=torch.float64)


@pytest.fixture(scope="module")
def rewards() -> Tensor:
    """Twenty prompts with sixteen images: plain, with ties, and with images that have no reward."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(20, 16, generator=generator, dtype=torch.float64)
    drawn[3] = drawn[3].round()
    drawn[4, :5] = math.nan
    drawn[5, 1:] = math.nan
    drawn[6] = 0.7
    return drawn


def mean_of(weights: Tensor, values: Tensor) -> Tensor:
    return (weights * values.nan_to_num()).sum(-1) / (~values.isnan()).sum(-1)


def test_weights_have_mean_1(every_divergence: Divergence, rewards: Tensor) -> None:
    weights = optimal_weights(rewards, BETAS, every_divergence)
    assert float((mean_of(weights, rewards * 0 + 1) - 1).abs().max()) < 1e-10
    assert bool((weights >= 0).all())
    assert bool((weights[:, rewards.isnan()] == 0).all())


def test_a_large_beta_gives_the_base(every_divergence: Divergence, rewards: Tensor) -> None:
    weights = optimal_weights(rewards, torch.tensor([1e9], dtype=torch.float64), every_divergence)
    torch.testing.assert_close(weights[0], (~rewards.isnan()).double(), rtol=0, atol=1e-7)


def test_a_reward_that_is_the_same_for_all_gives_the_base(
    every_divergence: Divergence, rewards: Tensor
) -> None:
    weights = optimal_weights(rewards, BETAS, every_divergence)
    for prompt in (5, 6):
        there = (~rewards[prompt].isnan()).double().expand(len(BETAS), -1)
        torch.testing.assert_close(weights[:, prompt], there, rtol=0, atol=1e-12)


def test_equal_rewards_have_equal_weights_and_higher_ones_no_lower(
    every_divergence: Divergence, rewards: Tensor
) -> None:
    weights = optimal_weights(rewards, BETAS, every_divergence)
    known = rewards[3].argsort()
    ordered, weights = rewards[3][known], weights[:, 3][:, known]
    rise = weights.diff(dim=1)
    assert bool((rise >= -1e-9 * weights[:, 1:]).all())
    assert float(rise[:, ordered.diff() == 0].abs().max()) < 1e-9


def test_reward_rises_and_so_does_the_divergence_as_beta_falls(
    every_divergence: Divergence, rewards: Tensor
) -> None:
    weights = optimal_weights(rewards, BETAS, every_divergence)
    there = ~rewards.isnan()
    reached = mean_of(weights, rewards)
    assert bool((reached.diff(dim=0) >= -1e-9).all())
    paid = divergence_value(weights, there.expand_as(weights), every_divergence)
    assert bool((paid.diff(dim=0) >= -1e-9 * (1 + paid[1:])).all())
    assert bool((paid >= -1e-9).all())


def test_nothing_near_it_is_better(every_divergence: Divergence, rewards: Tensor) -> None:
    """The weights maximise what they are the optimum of."""
    plain = rewards[:3]
    weights = optimal_weights(plain, BETAS, every_divergence)
    everything = torch.ones_like(weights, dtype=torch.bool)

    def worth(u: Tensor) -> Tensor:
        return (u * plain).mean(-1) - BETAS[:, None] * divergence_value(u, everything, every_divergence)

    generator = torch.Generator().manual_seed(1)
    best = worth(weights)
    for size in (1e-3, 0.1, 0.9):
        other = torch.rand(weights.shape, generator=generator, dtype=torch.float64) * 2
        moved = (1 - size) * weights + size * other / other.mean(-1, keepdim=True)
        assert bool((worth(moved) <= best + 1e-9 * (1 + best.abs())).all())


def test_the_functions_above_are_of_everything_registered() -> None:
    assert set(F) == set(PLAIN)


@pytest.mark.parametrize("beta", [3.0, 0.6, 0.15])
@pytest.mark.parametrize("name", PLAIN)
def test_a_finite_world_has_the_optimum_of_an_independent_solver(name: str, beta: float) -> None:
    """Six outcomes of known probability; a solver on the simplex that knows f alone."""
    counts, reward = np.array([2, 5, 1, 6, 4, 2]), np.array([0.3, -1.0, 0.9, 0.0, 0.5, -0.4])
    known = counts / counts.sum()
    weights = optimal_weights(
        torch.from_numpy(np.repeat(reward, counts))[None],
        torch.tensor([beta], dtype=torch.float64),
        divergences.create(name),
    )
    found = weights[0, 0].numpy()[np.concatenate([[0], counts.cumsum()[:-1]])] * known

    def cost(p: np.ndarray) -> float:
        return float(-(p @ reward) + beta * known @ F[name](np.maximum(p / known, 1e-300)))

    best = known
    for _ in range(3):  # begun again where it ended, it goes the last digits
        best = minimize(
            cost, best, method="SLSQP", jac=lambda p: -reward + beta * _slope(F[name], p / known),
            bounds=[(1e-12, 1)] * 6, options={"ftol": 1e-16, "maxiter": 1000},
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1, "jac": np.ones_like},
        ).x  # fmt: skip
    np.testing.assert_allclose(found, best, atol=1e-6)


def _slope(f: Callable[[np.ndarray], np.ndarray], u: np.ndarray) -> np.ndarray:
    """The derivative of f, by a complex step: exact to rounding."""
    return f(np.maximum(u, 1e-12) + 1e-30j).imag / 1e-30


def test_reverse_kl_is_softmax(rewards: Tensor) -> None:
    plain = rewards[:3]
    weights = optimal_weights(plain, BETAS, divergences.create("reverse_kl"))
    softmax = torch.softmax(plain / BETAS[:, None, None], dim=-1) * plain.shape[1]
    torch.testing.assert_close(weights, softmax, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in PLAIN if name != "reverse_kl"])
def test_at_equal_kl_none_has_a_higher_reward_than_reverse_kl(name: str, rewards: Tensor) -> None:
    reward = rewards[0]
    fine = torch.logspace(3, -3, 4000, dtype=torch.float64)

    def reached(divergence: str) -> tuple[np.ndarray, np.ndarray]:
        weights = optimal_weights(reward[None], fine, divergences.create(divergence))[:, 0]
        return mean_of(weights, reward).numpy(), torch.xlogy(weights, weights).mean(-1).numpy()

    best, best_kl = reached("reverse_kl")
    other, other_kl = reached(name)
    inside = other_kl < best_kl.max()
    # Linear between the points of a concave curve: never above it.
    assert (other[inside] <= np.interp(other_kl[inside], best_kl, best) + 1e-5).all()


def test_divergences_that_are_multiples_share_a_line(rewards: Tensor) -> None:
    alpha, hellinger = divergences.create("alpha(a=0.5)"), divergences.create("squared_hellinger")
    assert coincides(alpha, hellinger)
    assert coincides(divergences.create("mixture"), divergences.create("jeffreys"))
    assert not coincides(alpha, divergences.create("alpha(a=0.4)"))
    twice = optimal_weights(rewards, BETAS * 2, hellinger)
    torch.testing.assert_close(twice, optimal_weights(rewards, BETAS, alpha), rtol=1e-8, atol=1e-10)


def test_a_knee_is_of_the_loss_and_not_of_the_optimum(rewards: Tensor) -> None:
    near, far = (
        optimal_weights(rewards, BETAS, divergences.create(f"forward_kl(knee={k})")) for k in (1.0, 20.0)
    )
    assert torch.equal(near, far)


def test_extreme_rewards_and_betas_stay_numbers(every_divergence: Divergence) -> None:
    rewards = torch.tensor([[0.0, 1e12, -1e12, 1e12], [0.0, 1e-12, 0.0, 0.0]], dtype=torch.float64)
    weights = optimal_weights(rewards, torch.tensor([1e-6, 1.0, 1e6], dtype=torch.float64), every_divergence)
    assert bool(weights.isfinite().all())
    torch.testing.assert_close(weights.mean(-1), torch.ones(3, 2, dtype=torch.float64))
    torch.testing.assert_close(weights[:, 0, 1], weights[:, 0, 3])


def test_a_prompt_without_a_reward_has_no_weights() -> None:
    nothing = torch.full((1, 4), math.nan, dtype=torch.float64)
    assert float(optimal_weights(nothing, BETAS, divergences.create("reverse_kl")).abs().max()) == 0
    with pytest.raises(ValueError, match="positive"):
        optimal_weights(nothing, -BETAS, divergences.create("reverse_kl"))
    with pytest.raises(ValueError, match="infinite"):
        optimal_weights(nothing.fill_(math.inf), BETAS, divergences.create("reverse_kl"))


def test_one_image_keeps_its_weight(every_divergence: Divergence) -> None:
    weights = optimal_weights(torch.tensor([[0.3]], dtype=torch.float64), BETAS, every_divergence)
    torch.testing.assert_close(weights, torch.ones_like(weights))


ATTRIBUTES = (8, 5, 5)
SHARES = (0.4, 0.3, 0.3)
LEVELS = (0.6, 0.7, 0.75, 0.8, 0.9)
NAMES = ("pearson_chi2", "reverse_kl", "alpha(a=0.5)", "jensen_shannon", "forward_kl")


def table_of_the_page() -> dict[str, list[float]]:
    """Diversity at each level of the reward, as it stands in docs/theory.md."""
    page = (Path(__file__).parents[3] / "docs" / "theory.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    (heading,) = (line for line in lines if line.startswith("| reward (base"))
    rows = [[float(cell) for cell in line.strip("| ").split("|")] for line in lines if line[2:4] == "0."]
    assert tuple(row[0] for row in rows) == LEVELS
    columns = [cell.strip(" `") for cell in heading.strip("| ").split("|")[1:]]
    return {name: [row[i] for row in rows] for i, name in enumerate(columns, start=1)}


@pytest.mark.parametrize("name", NAMES)
def test_the_small_exact_table(name: str) -> None:
    """Three independent attributes, a reward linear in their ranks; diversity as pairs that differ."""
    outcomes = np.array(list(itertools.product(*map(range, ATTRIBUTES))))
    reward = (outcomes / (np.array(ATTRIBUTES) - 1)) @ np.array(SHARES)
    assert reward.mean() == pytest.approx(0.5)
    assert reward.max() == pytest.approx(1)
    fine = torch.logspace(1.5, -3, 4000, dtype=torch.float64)
    weights = optimal_weights(torch.from_numpy(reward)[None], fine, divergences.create(name))[:, 0]
    p = weights.numpy() / len(outcomes)
    differ = [
        1 - sum(p[:, outcomes[:, k] == value].sum(1) ** 2 for value in range(size))
        for k, size in enumerate(ATTRIBUTES)
    ]
    diversity = np.mean([d / (1 - 1 / size) for d, size in zip(differ, ATTRIBUTES, strict=True)], axis=0)
    found = np.interp(LEVELS, p @ reward, diversity)
    np.testing.assert_allclose(found.round(3), table_of_the_page()[name], atol=1e-9)

"""The drawn field is the gradient of the loss, for every registered divergence, over s and over u."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

from benchmark.core.errors import ConfigError, MissingFileError, UnknownNameError, UserError
from benchmark.report.figures.gradient_field import Cloud
from benchmark.workflows import run_figures
from benchmark.workflows.run_figures import Axes, divergence_field, grid
from trainers.divergences import divergences

ARGUMENTS = {"alpha": "alpha(a=0.3)", "mixture": "mixture('reverse_kl', 'jensen_shannon', 0.3)"}
SPECS = [ARGUMENTS.get(name, name) for name in divergences.names()]
AXES: tuple[Axes, ...] = ("log-ratio", "ratio")
MINE = """
import math, torch
from trainers.divergences import Divergence

class Mine(Divergence):
    name, symmetric, f_prime_at_0, reference = "mine", False, -math.inf, "nowhere"
    def f(self, u): return torch.xlogy(u, u)
    def exact_h(self, s): return s
    def exact_slope(self, s): return torch.ones_like(s)
"""


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("spec", SPECS)
def test_it_is_the_gradient_of_one_pairs_loss(spec: str, axes: Axes) -> None:
    beta, points = 0.7, np.array([0.25, 0.5, 1.0, 1.75, 3.0])
    points = points if axes == "ratio" else np.log(points)
    field = divergence_field(spec, beta, points, axes)
    f = divergences.create(spec)
    at = torch.as_tensor(points)
    loser, winner = (x.clone().requires_grad_() for x in torch.meshgrid(at, at, indexing="ij"))
    s_w, s_l = (winner, loser) if axes == "log-ratio" else (winner.log(), loser.log())
    (-logsigmoid(beta * (f.h(s_w) - f.h(s_l)))).sum().backward()
    assert winner.grad is not None
    assert loser.grad is not None
    np.testing.assert_allclose(field.d_winner, winner.grad.numpy(), rtol=1e-9)
    np.testing.assert_allclose(field.d_loser, loser.grad.numpy(), rtol=1e-9)
    # A row is one loser, a column one winner; descent raises the winner and lowers the loser.
    assert (field.d_winner < 0).all()
    assert (field.d_loser > 0).all()


def test_over_the_ratios_the_components_differ_as_the_paper_says() -> None:
    points = np.array([0.2, 0.9, 2.5])
    loser, winner = np.meshgrid(points, points, indexing="ij")
    laws = {
        "reverse_kl": loser / winner,
        "forward_kl": (loser / winner) ** 2,
        "alpha(a=0.3)": (loser / winner) ** 1.3,
        "jensen_shannon": loser * (1 + loser) / (winner * (1 + winner)),
    }
    for spec, ratio in laws.items():
        field = divergence_field(spec, 0.5, points, "ratio")
        np.testing.assert_allclose(-field.d_winner / field.d_loser, ratio, rtol=1e-9)


def test_matched_slopes_start_alike() -> None:
    points = np.array([-0.5, 0.0, 0.5])
    for spec in SPECS:
        field = divergence_field(spec, 2.0, points, slope_matched=True)
        assert field.d_winner[1, 1] == pytest.approx(-1.0)
        assert field.d_loser[1, 1] == pytest.approx(1.0)


def test_far_from_equal_margin_the_direction_is_still_known() -> None:
    """At a margin of thousands the logistic function is 0 in float64, and the slopes are not."""
    field = divergence_field("forward_kl", 10.0, np.array([-9.0, 0.0, 9.0]))
    assert (field.magnitude > 0).all()
    assert (field.d_winner < 0).all()


def test_the_axes_show_the_cloud_and_the_reference() -> None:
    s = np.random.default_rng(0).normal(-6, 1, 400)
    points = grid("log-ratio", cloud=Cloud("run", s, s))
    margin = (points[1] - points[0]) / 2
    low, high = points[0] - margin, points[-1] + margin
    assert low < np.quantile(s, 0.01)
    assert high > 0
    assert grid("log-ratio", 2.0)[[0, -1]].tolist() == pytest.approx([-2 + 1 / 7, 2 - 1 / 7])
    assert grid("ratio")[0] > 0
    with pytest.raises(UserError, match="not finite"):
        grid("log-ratio", cloud=Cloud("run", np.full(3, np.nan), np.full(3, np.nan)))


def test_a_users_own_divergence_is_drawn_as_the_built_in_ones_are(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    points = grid("log-ratio")
    mine = divergence_field(f"{file}:Mine", 1.0, points)
    assert np.array_equal(mine.d_winner, divergence_field("reverse_kl", 1.0, points).d_winner)
    assert run_figures.draw([f"{file}:Mine"], tmp_path / "field.svg").stat().st_size > 1000


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    out = tmp_path / "field.png"
    with pytest.raises(ConfigError, match="no divergence is given.*--run"):
        run_figures.draw([], out)
    with pytest.raises(UnknownNameError, match="did you mean reverse_kl"):
        run_figures.draw(["revers_kl"], out)
    with pytest.raises(UnknownNameError, match="unknown axes 'ratios'; allowed: log-ratio, ratio"):
        run_figures.draw(["reverse_kl"], out, axes="ratios")
    with pytest.raises(ConfigError, match="beta is -1"):
        run_figures.draw(["reverse_kl"], out, beta=-1)
    with pytest.raises(ConfigError, match="--limit is 0"):
        run_figures.draw(["reverse_kl"], out, limit=0.0)
    with pytest.raises(ConfigError, match="--step is 5, and there is no run"):
        run_figures.draw(["reverse_kl"], out, step=5)
    with pytest.raises(MissingFileError, match="no run at"):
        run_figures.draw([], out, run=tmp_path / "nowhere")
    assert not out.exists()

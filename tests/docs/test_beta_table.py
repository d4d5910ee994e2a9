"""What docs/base-models.md says of beta in public codes, computed: the same loss on the same tensors."""

import math
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from benchmark.models import model_facts, models
from trainers.log_ratio import PolicyAndReference, log_ratio_scale, pair_errors, prediction_error
from trainers.objectives import diffusion_dpo

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "base-models.md").read_text(encoding="utf-8")
SHAPE = (4, 8, 8)
B = 0.02
"""For the estimate of a code that has no fixed beta."""


def table(first: str) -> list[list[str]]:
    """The rows of the page's table whose first column has that title."""
    _, _, rest = PAGE.partition(f"\n| {first} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    assert lines
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def number(cell: str, **symbols: float) -> float:
    """A cell's number, or its product of numbers and symbols."""
    found = 1.0
    for sign, factor in re.findall(r"([*/]?)\s*([\w.,]+)", cell.partition(", ")[0]):
        value = symbols[factor] if factor in symbols else float(factor.replace(",", ""))
        found = found / value if sign == "/" else found * value
    return found


def pairs(shape: tuple[int, ...], spread: float) -> tuple[Tensor, Tensor, Tensor]:
    """What a policy and a reference said of three pairs, winners first, and what was right.

    Args:
        shape: Of one image's latents.
        spread: About what their errors differ by.
    """
    g = torch.Generator().manual_seed(0)
    target, off = (torch.randn((2, 1, 3, *shape), generator=g) for _ in range(2))
    error = 1 + spread * torch.tensor([[0.5, -1.0, 1.0], [-0.5, 1.0, -0.5]])[:, None]
    return target + off * error[..., None, None, None].sqrt(), target + off, target


def ours(said: tuple[Tensor, Tensor, Tensor], kappa: float, beta: float) -> float:
    policy, reference = (prediction_error(one, said[2]) for one in said[:2])
    return float(diffusion_dpo(beta)(pair_errors(PolicyAndReference(policy, reference), kappa)).loss)


def public(said: tuple[Tensor, Tensor, Tensor], c: float, *, sums: bool) -> float:
    """A code's own loss, with errors that are sums or means over all of an image's latents."""
    errors = ((one - said[2]).square().flatten(3) for one in said[:2])
    policy, reference = (one.sum(-1) if sums else one.mean(-1) for one in errors)
    winner, loser = policy - reference
    return float(-logsigmoid(-c * (winner - loser)).mean())


@pytest.mark.parametrize("row", table("code"), ids=lambda row: row[0])
def test_a_public_beta_is_the_product_that_the_page_says(row: list[str]) -> None:
    _, error, factor, beta, product = row
    symbols = {"b": B, "D": float(math.prod(SHAPE))}
    assert error in ("a mean", "a sum")
    c = number(factor, beta=number(beta, **symbols))
    said = pairs(SHAPE, 1 / c / (symbols["D"] if error == "a sum" else 1))
    theirs = public(said, c, sums=error == "a sum")
    assert abs(theirs - math.log(2)) > 0.1
    for kappa in (1.0, 300.0):
        found = ours(said, kappa, number(product, **symbols) / kappa)
        assert found == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("row", table("base model"), ids=lambda row: row[0])
def test_the_ways_to_write_one_loss_agree_for_every_base_model(row: list[str]) -> None:
    said_model, size, *cells = row
    mean, total, kappa, beta = (number(cell) for cell in cells)
    (shape,) = {shape_of(name, row) for name in named(row)}
    assert number(size) == math.prod(shape), said_model
    said = pairs(shape, 2 / mean)
    losses = [
        public(said, mean / 2, sums=False),
        public(said, total / 2, sums=True),
        ours(said, kappa, 1.0),
        ours(said, log_ratio_scale("auto", shape), beta),
    ]
    assert abs(losses[0] - math.log(2)) > 0.1
    # As exact as the digits of the page.
    assert losses == pytest.approx([losses[0]] * 4, rel=5e-5)


def named(row: list[str]) -> list[str]:
    rows = table("base model")
    if row[0].startswith("the same"):
        row = rows[rows.index(row) - 1]
    return re.findall(r"`(\w+)`", row[0])


def shape_of(name: str, row: list[str]) -> tuple[int, int, int]:
    """Of a model's latents, at the size of images that the row says."""
    facts = model_facts(name)
    channels, height, width = facts.latent_shape
    other = re.search(r"at (\d+) x", row[0])
    times = int(other[1]) / facts.image_size if other else 1
    return channels, int(height * times), int(width * times)


def test_every_flow_model_that_comes_by_name_is_in_the_table() -> None:
    every = {name: model_facts(name).family for name in models.names()}
    flow = [name for name, family in every.items() if family is not None and family.flow]
    rows = [name for row in table("base model") for name in named(row) if not row[0].startswith("the same")]
    assert sorted(rows) == sorted(flow)

"""Arithmetic is counted as formulas say, and the machine's rate is that of its own matrix product."""

import pytest
import torch
from torch import nn

from tools.bench.limits import flops_of, matrix_rate


def test_layers_and_attention_count_as_their_formulas_say() -> None:
    rows, heads, tokens, width = 3, 2, 5, 8
    x = torch.randn(rows, tokens, width, requires_grad=True)
    linear, conv = nn.Linear(width, 4), nn.Conv2d(1, 6, 3, padding=1)
    forward = 2 * rows * tokens * width * 4
    assert flops_of(lambda: linear(x.detach())) == forward
    # Backward: one product for the weights' gradient, and one for the input's.
    assert flops_of(lambda: linear(x).sum().backward()) == 3 * forward
    assert flops_of(lambda: conv(x.detach()[:, None])) == 2 * rows * 6 * tokens * width * 9
    q, k, v = (torch.randn(rows, heads, tokens, width, requires_grad=True) for _ in range(3))
    attention = 2 * 2 * rows * heads * tokens * tokens * width

    def attend() -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v)

    with torch.no_grad():
        assert flops_of(attend) == attention
    # Backward goes through the scores again: five products for the two of forward.
    assert flops_of(lambda: attend().sum().backward()) == attention * 7 // 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_machines_rate_is_a_rate(dtype: torch.dtype) -> None:
    """Of any machine since the 1990s and until the 2040s: a wrong unit would be out of it."""
    assert 1e7 < matrix_rate(dtype, size=256) < 1e17

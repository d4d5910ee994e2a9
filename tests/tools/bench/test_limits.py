"""Arithmetic is counted as formulas say, and the machine's rate is that of its own matrix product."""

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tools.bench.limits import flops_of, flops_of_step, matrix_rate


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


@pytest.mark.parametrize("full", [True, False])
def test_a_step_is_counted_from_shapes_as_it_is_from_numbers(tiny_pipeline_folder: Path, full: bool) -> None:
    """Forward twice, once for the reference, and back: twice as much for all weights, else less."""
    samples, folder = 2, tiny_pipeline_folder / "unet"
    network = UNet2DConditionModel.from_pretrained(folder).requires_grad_(full)
    shape = (samples, network.config.in_channels, network.config.sample_size, network.config.sample_size)
    told = torch.zeros(samples, 77, network.config.cross_attention_dim)

    def forward(noisy: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = network(noisy, torch.zeros(samples), told).sample
        return out

    # As on meta, where there is no fused attention, which goes through the scores once more on the way back.
    with sdpa_kernel(SDPBackend.MATH):
        with torch.no_grad():
            once = flops_of(lambda: forward(torch.zeros(shape)))
        back = flops_of(lambda: forward(torch.zeros(shape, requires_grad=not full)).sum().backward()) - once
    assert flops_of_step(folder, samples, full=full) == 2 * once + back
    assert (1.8 if full else 0.9) < back / once < (2.3 if full else 1.4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_machines_rate_is_a_rate(dtype: torch.dtype) -> None:
    """Of any machine since the 1990s and until the 2040s: a wrong unit would be out of it."""
    assert 1e7 < matrix_rate(dtype, size=256) < 1e17

"""Quick bfloat16 kernels and halved weights: the same forward pass, the same gradient but for rounding."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from benchmark.models.families.base import Pipeline
from benchmark.models.families.unet.attention import set_attention
from benchmark.models.families.unet.cpu_bf16 import quicken
from trainers.networks import BaseNetwork

Pass = tuple[Tensor, Tensor]


@pytest.fixture
def network() -> Callable[[], UNet2DConditionModel]:
    """A small UNet, always the same."""

    def make() -> UNet2DConditionModel:
        torch.manual_seed(0)
        return UNet2DConditionModel(
            sample_size=8, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=24,
            attention_head_dim=2, norm_num_groups=8, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip

    return make


def _pass(unet: UNet2DConditionModel, *, bf16: bool = True) -> Pass:
    """Output, and gradient over all weights."""
    torch.manual_seed(1)
    x, text = torch.randn(4, 4, 8, 8), torch.randn(4, 7, 24)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = unet(x, torch.tensor([1, 300, 600, 999]), text, return_dict=False)[0].float()
    out.square().mean().backward()
    return out.detach(), torch.cat([p.grad.flatten() for p in unet.parameters() if p.grad is not None])


def test_forward_is_equal_to_the_bit_and_the_gradient_no_further_from_float32(
    network: Callable[[], UNet2DConditionModel],
) -> None:
    quick = network()
    quicken(quick)
    (out, grad), (slow_out, slow_grad), (_, exact) = (
        _pass(quick),
        _pass(network()),
        _pass(network(), bf16=False),
    )
    torch.testing.assert_close(out, slow_out, rtol=0, atol=0)
    assert (grad - exact).norm() <= 1.1 * (slow_grad - exact).norm()


def test_without_gradients_the_output_is_that_of_a_step(network: Callable[[], UNet2DConditionModel]) -> None:
    unet = network()
    quicken(unet)
    with torch.no_grad():
        torch.manual_seed(1)
        x, text = torch.randn(4, 4, 8, 8), torch.randn(4, 7, 24)
        with torch.autocast("cpu", torch.bfloat16):
            reference = unet(x, torch.tensor([1, 300, 600, 999]), text, return_dict=False)[0].float()
    torch.testing.assert_close(_pass(unet)[0], reference, rtol=0, atol=0)


def test_halved_weights_say_the_same_in_half_the_memory(
    network: Callable[[], UNet2DConditionModel], tiny_pipeline: Pipeline
) -> None:
    from peft import LoraConfig

    whole, half = network(), network()
    for unet in (whole, half):
        torch.manual_seed(2)
        unet.requires_grad_(False)
        unet.add_adapter(
            LoraConfig(r=2, lora_alpha=2, init_lora_weights=False, target_modules=["to_q", "conv1"])
        )
    size = half.get_memory_footprint()
    BaseNetwork(tiny_pipeline, half).halve("bf16")
    assert half.get_memory_footprint() < 0.6 * size
    assert all(p.dtype == torch.float32 for n, p in half.named_parameters() if "lora_" in n)
    for one, other in zip(_pass(whole), _pass(half), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    BaseNetwork(tiny_pipeline, whole).halve("fp32")
    assert all(p.dtype == torch.float32 for p in whole.parameters())


def test_keys_and_values_of_a_prompt_are_computed_once_for_all_steps(
    network: Callable[[], UNet2DConditionModel],
) -> None:
    unet, calls = network(), 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    layers = [m for name, m in unet.named_modules() if name.endswith(("attn2.to_k", "attn2.to_v"))]
    for layer in layers:
        layer.register_forward_hook(count)
    set_attention(unet, fixed=True)
    x, text = torch.randn(4, 4, 8, 8), torch.randn(4, 7, 24)
    with torch.no_grad():
        for t in (900, 500, 100):
            unet(x, t, text)
        assert calls == len(layers) > 0
        unet(x, 100, text.clone())
    assert calls == 2 * len(layers)


def test_a_layer_that_uses_more_keeps_its_own_attention(network: Callable[[], UNet2DConditionModel]) -> None:
    unet, plain = network(), network()
    layers: list[Any] = [m for name, m in unet.named_modules() if name.endswith("attn2")]
    layers[0].norm_q, layers[1].rescale_output_factor = nn.Identity(), 2.0
    own = [layer.processor for layer in layers]
    set_attention(unet)
    assert [layer.processor is before for layer, before in zip(layers, own, strict=True)] == [
        True, True, *[False] * (len(layers) - 2),
    ]  # fmt: skip
    set_attention(plain)
    kinds = {type(m.processor) for m in plain.modules() if hasattr(m, "processor")}
    assert len(kinds) == 1
    assert kinds.isdisjoint({type(before) for before in own})

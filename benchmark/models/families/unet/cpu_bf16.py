"""Two of torch's bfloat16 kernels for CPUs are many times slower than a way around them.

The backward pass of its fused attention takes ten times as long as plain matrix products where an image has
few tokens; group normalisation of channels-last tensors takes ten times as long as of contiguous ones, which
convolutions in turn are slow on. The values of the forward pass stay the same to the bit, and so does what is
saved; gradients differ by a rounding of bfloat16.
"""

from typing import final

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn

from benchmark.models.families.unet.attention import set_attention


def quicken(unet: UNet2DConditionModel, *, fixed: bool = False) -> None:
    """Takes both ways round, in this UNet and in copies of it.

    Args:
        unet: Changed.
        fixed: As of `set_attention`.
    """
    set_attention(unet, fixed=fixed)
    for module in unet.modules():
        if type(module) is nn.GroupNorm:
            module.__class__ = _GroupNorm
    unet.to(memory_format=torch.channels_last)


@final
class _GroupNorm(nn.GroupNorm):
    """Group normalisation of channels-last tensors by way of contiguous ones."""

    def forward(self, input: Float[Tensor, "n c *hw"]) -> Float[Tensor, "n c *hw"]:  # noqa: A002  # torch's name
        out = super().forward(input.contiguous())
        return out.contiguous(memory_format=torch.channels_last) if out.dim() == 4 else out

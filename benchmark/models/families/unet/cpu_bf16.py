"""Two of torch's bfloat16 kernels for CPUs are many times slower than a way around them.

The backward pass of its fused attention takes ten times as long as plain matrix products where an image has
few tokens; group normalisation of channels-last tensors takes ten times as long as of contiguous ones, which
convolutions in turn are slow on. The values of the forward pass stay the same to the bit, and so does what is
saved; gradients differ by a rounding of bfloat16.
"""

from typing import Any, final

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

_FEW = 256
"""Keys up to which plain matrix products are quicker; beyond, their table of weights is too large."""


def quicken(unet: UNet2DConditionModel) -> None:
    """Takes both ways round, in this UNet and in copies of it."""
    unet.set_attn_processor(_Attention())
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


@final
class _Attention:
    """Attention of a transformer block, with the quicker backward pass where keys are few."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Float[Tensor, "n queries c"],
        encoder_hidden_states: Float[Tensor, "n keys e"] | None = None,
        **_: object,
    ) -> Float[Tensor, "n queries c"]:
        """As diffusers calls its own.

        Args:
            attn: The layer, a `diffusers.models.attention_processor.Attention`.
            hidden_states: What asks.
            encoder_hidden_states: What is asked; the same unless given.
            **_: A mask, which the base models have none of, and the embedding of t, for other layers.
        """
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            said.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for said in (attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source))
        )
        if q.dtype == torch.bfloat16 and k.shape[2] <= _FEW and torch.is_grad_enabled():
            out: Tensor = _FewKeys.apply(q, k, v)
        else:
            out = scaled_dot_product_attention(q, k, v)
        mixed: Tensor = attn.to_out[0](out.transpose(1, 2).flatten(2))
        return mixed


class _FewKeys(torch.autograd.Function):
    r"""$\mathrm{softmax}(q k^T / \sqrt{d})\, v$: forward fused, backward by matrix products."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(q, k, v)
        return scaled_dot_product_attention(q, k, v)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        n, heads, queries, width = grad.shape
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in ctx.saved_tensors]
            q, k, v = (x.reshape(n * heads, -1, width) for x in leaves)
            score = torch.baddbmm(
                q.new_empty(n * heads, queries, k.shape[1]), q, k.transpose(1, 2), beta=0, alpha=width**-0.5
            )
            out = score.softmax(-1) @ v
        return torch.autograd.grad(out, leaves, grad.reshape(out.shape))

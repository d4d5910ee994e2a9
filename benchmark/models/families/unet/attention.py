"""Attention of a UNet's transformer blocks, with nothing but what Stable Diffusion and SDXL use of it.

The values are those of diffusers' own to the bit, which also divides by 1 and drops out nothing. Gradients
differ by a rounding of bfloat16.
"""

from typing import Any, final

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

_FEW = 256
"""Keys up to which plain matrix products are quicker; beyond, their table of weights is too large."""


def set_attention(unet: UNet2DConditionModel, *, fixed: bool = False) -> None:
    """Gives the layers this attention, in this UNet and in copies of it; those that use more keep theirs.

    Args:
        unet: Changed.
        fixed: Whether its weights will not change any more: then keys and values of prompts are computed once
            for all calls with the same tensor, such as the steps of a sampler.
    """
    layers: list[Any] = [module for module in unet.modules() if hasattr(module, "set_processor")]
    for layer in layers:
        if _is_plain(layer):
            layer.set_processor(_Attention(fixed=fixed))


def _is_plain(attn: Any) -> bool:
    unused = ("spatial_norm", "group_norm", "norm_cross", "norm_q", "norm_k", "residual_connection")
    return (
        not any(getattr(attn, name, None) for name in unused)
        and getattr(attn, "added_kv_proj_dim", None) is None
        and getattr(attn, "rescale_output_factor", 1.0) == 1
        and all(hasattr(attn, name) for name in ("to_q", "to_k", "to_v", "to_out", "heads"))
    )


@final
class _Attention:
    """Attention of one layer, with the quicker backward pass where keys are few."""

    def __init__(self, *, fixed: bool) -> None:
        self._fixed = fixed
        self._told: tuple[Tensor, Tensor, Tensor] | None = None

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
        q = _by_heads(attn, attn.to_q(hidden_states))
        if encoder_hidden_states is None:
            k, v = _keys_and_values(attn, hidden_states)
        else:
            k, v = self._of_prompts(attn, encoder_hidden_states)
        if q.dtype == torch.bfloat16 and k.shape[2] <= _FEW and torch.is_grad_enabled():
            out: Tensor = _FewKeys.apply(q, k, v)
        else:
            out = scaled_dot_product_attention(q, k, v)
        mixed: Tensor = attn.to_out[0](out.transpose(1, 2).flatten(2))
        return mixed

    def _of_prompts(self, attn: Any, states: Tensor) -> tuple[Tensor, Tensor]:
        if not self._fixed:
            return _keys_and_values(attn, states)
        # By the tensor itself, which is held: another one cannot take its place in memory.
        if self._told is None or self._told[0] is not states:
            self._told = (states, *_keys_and_values(attn, states))
        return self._told[1:]


def _keys_and_values(attn: Any, states: Tensor) -> tuple[Tensor, Tensor]:
    return _by_heads(attn, attn.to_k(states)), _by_heads(attn, attn.to_v(states))


def _by_heads(attn: Any, rows: Float[Tensor, "n tokens c"]) -> Float[Tensor, "n heads tokens width"]:
    split: Tensor = rows.unflatten(-1, (attn.heads, -1))
    return split.transpose(1, 2)


class _FewKeys(torch.autograd.Function):
    r"""$\mathrm{softmax}(q k^T / \sqrt{d})\, v$: forward fused, backward by matrix products.

    On CPUs torch's fused backward pass in bfloat16 takes ten times as long where an image has few tokens.
    """

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

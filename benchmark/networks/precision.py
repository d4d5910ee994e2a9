"""Networks of scorers in half precision: less memory, and several times faster where the hardware has it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeAlias, TypeVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

Precision: TypeAlias = Literal["fp32", "bf16"]
PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "bf16")

M = TypeVar("M", bound=nn.Module)


def place(network: M, device: str, precision: str = "fp32") -> M:
    """A network on its device; in half precision the weights of linear layers and convolutions are rounded.

    Everything else (normalisation, embeddings, what stands alone) stays float32, as autocast wants it.

    Raises:
        ValueError: for a precision that is not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, and one of {', '.join(PRECISIONS)}")
    half = precision == "bf16"
    for module in network.modules():
        if half and isinstance(module, nn.Linear | nn.Conv2d):
            module.to(torch.bfloat16)
        if type(module) is nn.MultiheadAttention and module.in_proj_weight is not None:
            module.__class__ = _SelfAttention
            if half:
                module.in_proj_weight.data = module.in_proj_weight.data.bfloat16()
    return network.to(device)


@contextmanager
def running(device: str, precision: str) -> Iterator[None]:
    """The context in which a network that was placed so runs; float32 is float32 on a GPU as well."""
    half, flags = precision == "bf16", torch.backends.cudnn.flags
    exact = flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half), exact:
        yield


@final
class _SelfAttention(nn.MultiheadAttention):
    """torch's multi-head attention, by one projection of a contiguous tensor.

    Its own way multiplies a transposed view where there is a mask or autocast; for that torch 2.14 on a
    processor copies the weights once for each token. With a mask a text tower loses a third of its time so,
    and half precision is a hundred times slower than the product.
    """

    def forward(  # type: ignore[override]  # the usual call: one input, and no weights asked for
        self,
        query: Float[Tensor, "a b d"],
        key: Tensor,
        value: Tensor,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        **rest: Any,
    ) -> tuple[Tensor, Tensor | None]:
        if query is not key or key is not value or need_weights or rest:
            return super().forward(query, key, value, need_weights=need_weights, attn_mask=attn_mask, **rest)
        x = query if self.batch_first else query.transpose(0, 1)
        n, length, width = x.shape
        qkv = linear(x.contiguous().view(n * length, width), self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.view(n, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        mask = attn_mask.to(q.dtype) if attn_mask is not None and attn_mask.is_floating_point() else attn_mask
        seen = scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2)
        out: Tensor = self.out_proj(seen.reshape(n, length, width))
        return (out if self.batch_first else out.transpose(0, 1)), None

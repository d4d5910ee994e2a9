"""Inference: a network on a device, in a precision, in batches of one size; `Embedder` does all three."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Literal, TypeAlias, TypeVar, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, normalize, scaled_dot_product_attention

from benchmark.core.devices import allowed_cores
from benchmark.networks.pixels import RGB

T = TypeVar("T")
P = TypeVar("P")
M = TypeVar("M", bound=nn.Module)

Precision: TypeAlias = Literal["fp32", "bf16"]
PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "bf16")

SIZE: Final = 32
"""Items of a batch for small networks."""


class Embedder(ABC):
    """A network that embeds images, and texts if it has a tower for them; a batch is always of one size.

    Attributes:
        unit: Whether embeddings are made unit vectors.
        key: Names the embeddings for all scorers that share them.

    Args:
        device: Where to compute.
        key: Weights and preprocessing; the precision is added unless it is float32.
        precision: ``fp32`` or ``bf16``.
        side: Of the network's input, in pixels.
        size: Length of an embedding.
    """

    unit: ClassVar[bool] = True

    def __init__(self, device: str, key: str, precision: str, side: int, size: int) -> None:
        self.device, self.precision, self.side, self.size = device, precision, side, size
        self.key = key if precision == "fp32" else f"{key}+{precision}"

    @abstractmethod
    def preprocess(self, image: RGB) -> Tensor:
        """The network's input from the pixels of one image."""

    @abstractmethod
    def encode_images(self, inputs: Tensor) -> Float[Tensor, "n d"]:
        """Embeddings of preprocessed images of one size."""

    def stack(self, inputs: Sequence[Tensor]) -> Tensor:
        """One tensor of the inputs of images of one size."""
        return torch.stack(list(inputs))

    def encode_texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Embeddings of texts."""
        raise NotImplementedError

    @final
    def embed_images(self, images: Sequence[RGB]) -> list[Tensor]:
        """The embedding of each image."""
        return prepared_in_batches(images, self.preprocess, self._images, batch_size(self.device, self.side))

    @final
    def embed_texts(self, texts: Sequence[str]) -> list[Tensor]:
        """The embedding of each text."""
        return in_batches(texts, self._texts, batch_size(self.device, self.side))

    @final
    def of_images(self, images: Sequence[RGB]) -> Float[np.ndarray, "n d"]:
        """Embeddings of images that belong to no set, such as references."""
        return torch.stack(self.embed_images(images)).numpy()

    def _images(self, inputs: Sequence[Tensor]) -> Tensor:
        """One size at a time: nothing is resized but by the network's own preprocessing."""
        out: list[Tensor] = [torch.empty(0)] * len(inputs)
        for size in dict.fromkeys(image.shape for image in inputs):
            rows = [row for row, image in enumerate(inputs) if image.shape == size]
            stacked = self.stack([inputs[row] for row in rows]).to(self.device)
            with running(self.device, self.precision):
                embeddings = self.encode_images(stacked)
            for row, embedding in zip(rows, self._finished(embeddings), strict=True):
                out[row] = embedding
        return torch.stack(out)

    def _texts(self, texts: Sequence[str]) -> Tensor:
        with running(self.device, self.precision):
            embeddings = self.encode_texts(texts)
        return self._finished(embeddings)

    def _finished(self, embeddings: Tensor) -> Tensor:
        return normalize(embeddings.float(), dim=-1) if self.unit else embeddings.float()


def batch_size(device: str, side: int) -> int:
    """Images or texts of a batch: enough to fill the device, few enough for a large network on a processor.

    Args:
        device: Where it is computed.
        side: Of the network's input, in pixels.
    """
    if device.startswith("cuda"):
        return 64
    return SIZE if side <= 64 else 8


def in_batches(
    items: Sequence[T], compute: Callable[[Sequence[T]], Tensor], size: int = SIZE
) -> list[Tensor]:
    """One tensor for each item.

    Args:
        items: Looked at a batch at a time, so that a lazy sequence stays lazy.
        compute: From a batch to a tensor whose first dimension is the batch's.
        size: Items of a batch; on a GPU without room for them, half as many, and so on.
    """
    return prepared_in_batches(items, lambda item: item, compute, size)


def prepared_in_batches(
    items: Sequence[T], prepare: Callable[[T], P], compute: Callable[[Sequence[P]], Tensor], size: int = SIZE
) -> list[Tensor]:
    """The same for items that are prepared one by one, on threads, while the batch before is computed.

    Args:
        items: Looked at a batch at a time.
        prepare: From an item to what `compute` reads, such as pixels of the size that a network has.
        compute: From a batch of these to a tensor whose first dimension is the batch's.
        size: As of `in_batches`.
    """
    out: list[Tensor] = []
    with torch.inference_mode(), ThreadPoolExecutor(allowed_cores(), "prepare") as pool:
        for batch, count in _prepared(items, prepare, size, pool):
            out.extend(_careful(compute, batch)[:count])
    return out


def pairs_in_batches(
    images: Sequence[RGB],
    texts: Sequence[str],
    preprocess: Callable[[RGB], Tensor],
    compute: Callable[[Tensor, list[str]], Tensor],
    size: int,
) -> list[float]:
    """One number for each image with its text, for networks that read both together.

    Args:
        images: Decoded when they are looked at.
        texts: As many.
        preprocess: The network's input from the pixels of one image.
        compute: From inputs (n, 3, side, side) and n texts to n numbers.
        size: As of `in_batches`.
    """

    def prepare(row: int) -> tuple[Tensor, str]:
        return preprocess(images[row]), texts[row]

    def both(batch: Sequence[tuple[Tensor, str]]) -> Tensor:
        return compute(torch.stack([image for image, _ in batch]), [text for _, text in batch])

    return [float(value) for value in prepared_in_batches(range(len(texts)), prepare, both, size)]


def _prepared(
    items: Sequence[T], prepare: Callable[[T], P], size: int, pool: ThreadPoolExecutor
) -> Iterator[tuple[list[P], int]]:
    """Full batches and how many of their items count, prepared one batch ahead."""

    @torch.inference_mode()
    def one(item: T) -> P:
        return prepare(item)

    # Items are fetched here, by one thread: a lazy sequence need not be safe for several.
    starts = range(0, len(items), size)
    coming = [pool.submit(one, item) for item in items[:size]]
    for start in starts:
        batch = [future.result() for future in coming]
        coming = [pool.submit(one, item) for item in items[start + size : start + 2 * size]]
        yield batch + [batch[-1]] * (size - len(batch)), len(batch)


def _careful(compute: Callable[[Sequence[P]], Tensor], batch: Sequence[P]) -> list[Tensor]:
    """A batch; one that a GPU has no room for, in halves."""
    try:
        return list(compute(batch).float().cpu().unbind(0))
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
        torch.cuda.empty_cache()
        half = len(batch) // 2
        return _careful(compute, batch[:half]) + _careful(compute, batch[half:])


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

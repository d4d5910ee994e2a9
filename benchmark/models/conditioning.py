"""What a network is told of prompts, whatever parts that has."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The encoding of n prompts for a network; which parts there are is the family's own matter.

    Attributes:
        parts: Tensors by name, whose first axis is the prompts.
    """

    parts: Mapping[str, Tensor]

    @staticmethod
    def cat(several: Sequence["Conditioning"]) -> "Conditioning":
        """Several of the same parts, one after the other."""
        return Conditioning(
            {name: torch.cat([one.parts[name] for one in several]) for name in several[0].parts}
        )

    @staticmethod
    def from_flat(flat: Float[Tensor, "n width"], shapes: Mapping[str, tuple[int, ...]]) -> "Conditioning":
        """The inverse of :meth:`flat`.

        Args:
            flat: The parts side by side.
            shapes: Of each part without the first axis, in their order; see :attr:`shapes`.
        """
        columns = flat.split([math.prod(shape) for shape in shapes.values()], dim=1)
        named = zip(shapes.items(), columns, strict=True)
        return Conditioning({name: part.reshape(len(flat), *shape) for (name, shape), part in named})

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of each part, without the first axis."""
        return {name: tuple(part.shape[1:]) for name, part in self.parts.items()}

    def flat(self) -> Float[Tensor, "n width"]:
        """All parts of a prompt side by side, in their order."""
        return torch.cat([part.flatten(1) for part in self.parts.values()], dim=1)

    def __len__(self) -> int:
        """The number of prompts."""
        return len(next(iter(self.parts.values())))

    def __getitem__(self, rows: slice | Int[Tensor, " k"]) -> "Conditioning":
        """Some of the prompts."""
        return self._each(lambda part: part[rows])

    def repeat(self, times: int) -> "Conditioning":
        """All prompts, that many times one after the other."""
        return self._each(lambda part: part.expand(times, *part.shape).flatten(0, 1))

    def to(self, device: torch.device) -> "Conditioning":
        """On another device."""
        return self._each(lambda part: part.to(device))

    def zeros(self) -> "Conditioning":
        """Zeros of the same shapes."""
        return self._each(torch.zeros_like)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Conditioning":
        return Conditioning({name: change(part) for name, part in self.parts.items()})

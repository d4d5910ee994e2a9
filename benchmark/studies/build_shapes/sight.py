"""What an image tower learns first: to read the scene. The heads that say what it read are thrown away."""

import torch
from torch import Tensor, nn

from benchmark.shapes.oracles import OUTPUTS
from benchmark.shapes.readings import reading_of
from benchmark.shapes.renderer import distances
from benchmark.shapes.scenes import SIDE, Scenes
from benchmark.shapes.vocabulary import COLOURS, SHAPES, SIZES
from benchmark.studies.build_shapes.oracles import reading_loss

PATCH_KINDS = {"shape": len(SHAPES), "colour": len(COLOURS), "size": len(SIZES)}
NEAR = 1.5
"""Pixels from an object within which the centre of a patch counts as its."""


class Heads(nn.Module):
    """Linear readers of a tower's output: of the whole picture, and for a transformer also of every patch."""

    def __init__(self, width: int, patch_width: int = 0) -> None:
        super().__init__()
        self.whole = nn.Sequential(nn.GELU(), nn.Linear(width, OUTPUTS))
        self.patch = nn.Linear(patch_width, sum(n + 1 for n in PATCH_KINDS.values())) if patch_width else None

    def forward(self, seen: Tensor, scenes: Scenes, patches: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Loss and accuracy of reading scenes from a tower's outputs (n, width) and (n, patches, width).

        Without its patches a transformer's one summary token is slow to find out where to look.
        """
        nothing_is_empty = torch.zeros(len(seen), dtype=torch.bool)
        loss, accuracy = reading_loss(self.whole(seen.float()), reading_of(scenes), nothing_is_empty)
        if self.patch is not None and patches is not None:
            loss = loss + 2 * patch_loss(self.patch(patches.float()), scenes)
        return loss, accuracy


def patch_loss(logits: Tensor, scenes: Scenes) -> Tensor:
    """Cross-entropy of what each patch shows: shape, colour, size, or none; logits (n, patches, classes)."""
    side = round(logits.shape[1] ** 0.5)
    axis = (torch.arange(side) + 0.5) * SIDE / side
    x, y = axis[None, None, :].expand(1, side, side), axis[None, :, None].expand(1, side, side)
    distance, nearest = distances(scenes, x, y).flatten(2).min(1)
    terms = []
    for part, (kind, none) in zip(
        logits.split([n + 1 for n in PATCH_KINDS.values()], -1), PATCH_KINDS.items(), strict=True
    ):
        target = torch.where(distance < NEAR, getattr(scenes, kind).gather(1, nearest), none)
        terms.append(nn.functional.cross_entropy(part.movedim(-1, 1), target))
    return torch.stack(terms).sum()

"""What an image tower learns first: to read the scene. The heads that say what it read are thrown away."""

import torch
from torch import Tensor, nn

from benchmark.shapes.oracles import OUTPUTS, split_outputs, target_geometry
from benchmark.shapes.readings import CLASSES, NONE, Readings, reading_of
from benchmark.shapes.renderer import distances
from benchmark.shapes.scenes import SIDE, Scenes
from benchmark.shapes.vocabulary import COLOURS, SHAPES, SIZES

CELL_KINDS = {"shape": len(SHAPES), "colour": len(COLOURS), "size": len(SIZES)}
NEAR = 0.3
"""Sides of a cell from an object within which the cell's centre counts as the object's."""
CELL_WEIGHT, GEOMETRY_WEIGHT = 2.0, 4.0


class Heads(nn.Module):
    """Readers of a tower's output, of the whole picture and of every cell of a grid inside the tower.

    Without the cells a tower is slow to find out that there are objects: one summary of the picture says
    little about where the mistake was.
    """

    def __init__(self, width: int, cell_width: int) -> None:
        super().__init__()
        self.whole = nn.Sequential(nn.GELU(), nn.Linear(width, OUTPUTS))
        self.cell = nn.Linear(cell_width, sum(n + 1 for n in CELL_KINDS.values()))

    def forward(self, seen: Tensor, cells: Tensor, scenes: Scenes) -> tuple[Tensor, Tensor]:
        """Loss and accuracy of reading scenes from outputs (n, width) and cells (n, rows, columns, d)."""
        loss, accuracy = reading_loss(self.whole(seen.float()), reading_of(scenes))
        return loss + CELL_WEIGHT * cell_loss(self.cell(cells.float()), scenes), accuracy


def reading_loss(outputs: Tensor, truth: Readings) -> tuple[Tensor, Tensor]:
    """Cross-entropy of every attribute plus the error of the geometry of what is there; and the accuracy."""
    logits, geometry = split_outputs(outputs)
    terms, right = [], []
    for kind, (many, classes) in CLASSES.items():
        target = getattr(truth, kind).reshape(len(outputs), many) - (1 if kind == "count" else 0)
        target = torch.where(target == NONE, classes, target)
        terms.append(nn.functional.cross_entropy(logits[kind].movedim(-1, 1), target))
        right.append((logits[kind].argmax(-1) == target).all(1).float().mean())
    there = torch.arange(2) < truth.count[:, None]
    error = nn.functional.smooth_l1_loss(geometry, target_geometry(truth), reduction="none", beta=0.1).mean(
        -1
    )
    terms.append(GEOMETRY_WEIGHT * (error * there).sum() / there.sum())
    return torch.stack(terms).sum(), torch.stack(right).mean()


def cell_loss(logits: Tensor, scenes: Scenes) -> Tensor:
    """Cross-entropy of what each cell shows: shape, colour, size or none; logits (n, side, side, classes)."""
    side = logits.shape[1]
    axis = (torch.arange(side) + 0.5) * SIDE / side
    x, y = axis[None, None, :].expand(1, side, side), axis[None, :, None].expand(1, side, side)
    distance, nearest = distances(scenes, x, y).flatten(2).min(1)
    terms = []
    parts = logits.flatten(1, 2).split([n + 1 for n in CELL_KINDS.values()], -1)
    for part, (kind, none) in zip(parts, CELL_KINDS.items(), strict=True):
        target = torch.where(distance < NEAR * SIDE / side, getattr(scenes, kind).gather(1, nearest), none)
        terms.append(nn.functional.cross_entropy(part.movedim(-1, 1), target))
    return torch.stack(terms).sum()

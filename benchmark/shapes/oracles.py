"""Two readers of images: `oracle_label` labels data, `oracle` evaluates and is used for nothing else.

They differ in seed, architecture and training augmentation, so that an image that fools one need not fool the
other.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmark.networks.folders import load_strictly, read_weights
from benchmark.shapes.readings import CLASSES, NONE, Readings
from benchmark.shapes.scenes import MAX_ANGLE, SIDE

GEOMETRY: Final = 8
"""Numbers for two objects: centre x and y, radius and angle of each."""
OUTPUTS: Final = sum(many * (classes + 1) for many, classes in CLASSES.values()) + GEOMETRY


class Looking(nn.Module):
    """Reads an 8 x 8 grid of features by looking at one object, at the other, and at the whole.

    A map over the grid says where each object is; its softmax pools the features there.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(width, 2, 1)
        self.head = nn.Sequential(
            nn.Linear(3 * width, 256), nn.LayerNorm(256), nn.ReLU(), nn.Linear(256, OUTPUTS)
        )

    def forward(
        self, grid: Float[Tensor, "n c 8 8"]
    ) -> tuple[Float[Tensor, "n outputs"], Float[Tensor, "n 2 cells"]]:
        """Outputs, and the logits of where each object is."""
        maps = self.maps(grid).flatten(2)
        cells = grid.flatten(2).transpose(1, 2)
        looks = torch.cat([maps.softmax(-1) @ cells, cells.mean(1, keepdim=True)], 1)
        return self.head(looks.flatten(1)), maps


class ConvReader(nn.Module):
    """Residual convolutions to 8 x 8, which are told where they are, then `Looking`."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        stages: list[nn.Module] = [_Convolution(3, width, 4)]
        for i in range(2):
            stages += [_Residual(width << i), _Convolution(width << i, width << (i + 1), 4)]
        self.trunk = nn.Sequential(*stages)
        self.position = nn.Parameter(0.02 * torch.randn(1, 4 * width, 8, 8))
        self.mixer = nn.Sequential(*(_Residual(4 * width) for _ in range(3)))
        self.looking = Looking(4 * width)

    def forward(self, images: Float[Tensor, "n 3 64 64"]) -> tuple[Tensor, Tensor]:
        """Outputs, and the logits of where each object is."""
        out: tuple[Tensor, Tensor] = self.looking(self.mixer(self.trunk(images) + self.position))
        return out


class _Convolution(nn.Sequential):
    """Convolution, normalisation, rectification; a kernel of 4 halves the resolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, stride=2 if kernel == 4 else 1, padding=1, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _Convolution(width, width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.body(x))


class AttentionReader(nn.Module):
    """A short convolutional stem to 8 x 8 patches, a transformer over them, then `Looking`."""

    def __init__(self, width: int = 128, depth: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _Convolution(3, 40, 4),
            _Convolution(40, 80, 4),
            _Convolution(80, width, 4),
            nn.Conv2d(width, width, 1),
        )
        self.position = nn.Parameter(0.02 * torch.randn(1, 64, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, activation="relu", batch_first=True, norm_first=True
        )
        self.mixer = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.looking = Looking(width)

    def forward(self, images: Float[Tensor, "n 3 64 64"]) -> tuple[Tensor, Tensor]:
        """Outputs, and the logits of where each object is."""
        grid = self.mixer(self.stem(images).flatten(2).transpose(1, 2) + self.position)
        out: tuple[Tensor, Tensor] = self.looking(grid.transpose(1, 2).unflatten(2, (8, 8)))
        return out


READERS: Final[dict[str, Callable[[], nn.Module]]] = {"oracle_label": ConvReader, "oracle": AttentionReader}


def split_outputs(outputs: Float[Tensor, "n outputs"]) -> tuple[dict[str, Tensor], Tensor]:
    """Logits (n, many, classes + 1) of every attribute, `none` last, and scaled geometry (n, 2, 4)."""
    sizes = [many * (classes + 1) for many, classes in CLASSES.values()]
    *parts, geometry = outputs.float().split([*sizes, GEOMETRY], dim=1)
    logits = {
        k: part.unflatten(1, (many, -1)) for (k, (many, _)), part in zip(CLASSES.items(), parts, strict=True)
    }
    return logits, geometry.unflatten(1, (2, 4))


def target_geometry(readings: Readings) -> Float[Tensor, "n 2 4"]:
    """What the geometry outputs should be for these readings."""
    shape = (readings.radius / 16)[..., None], (readings.angle / MAX_ANGLE)[..., None]
    return torch.cat([readings.centre / SIDE * 2 - 1, *shape], -1)


class Oracle:
    """A trained reader; `read` makes hard decisions."""

    def __init__(self, name: str, network: nn.Module) -> None:
        self.name, self.network = name, network.eval()

    @torch.no_grad()
    def read(self, images: Float[Tensor, "n 3 64 64"], batch: int = 128) -> Readings:
        """Readings of images in [0, 1]."""
        return Readings.joined([_decide(self.network(part * 2 - 1)[0]) for part in images.split(batch)])

    def save(self, folder: Path) -> None:
        """Half precision, with the name of the class beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {k: v.half().contiguous() for k, v in self.network.state_dict().items()},
            folder / "model.safetensors",
        )
        (folder / "config.json").write_text(json.dumps({"reader": self.name}) + "\n")


def _decide(outputs: Tensor) -> Readings:
    logits, geometry = split_outputs(outputs)
    found = {}
    for kind, (many, classes) in CLASSES.items():
        choice = logits[kind].argmax(-1)
        choice = torch.where(choice == classes, NONE, choice)
        found[kind] = choice if many > 1 else choice.squeeze(1)
    found["count"] = found["count"] + 1
    return Readings(
        **found,
        centre=(geometry[..., :2] + 1) / 2 * SIDE,
        radius=geometry[..., 2] * 16,
        angle=(geometry[..., 3] * MAX_ANGLE).clamp(-MAX_ANGLE, MAX_ANGLE),
    )


@cache
def load_oracle(folder: Path) -> Oracle:
    """The oracle saved in a folder, in float32; loading is strict."""
    name = json.loads((folder / "config.json").read_text())["reader"]
    network = READERS[name]()
    weights = folder / "model.safetensors"
    load_strictly(network, read_weights(weights), weights)
    return Oracle(name, network)

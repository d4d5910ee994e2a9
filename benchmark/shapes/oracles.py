"""Two readers of images: `oracle_label` labels data, `oracle` evaluates and is used for nothing else.

They differ in seed, architecture and training augmentation, so that an image that fools one need not fool the other.
"""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmark.shapes.readings import CLASSES, NONE, Readings
from benchmark.shapes.scenes import MAX_ANGLE, SIDE

GEOMETRY: Final = 8
"""Numbers for two objects: centre x and y, radius and angle of each."""
OUTPUTS: Final = sum(many * (classes + 1) for many, classes in CLASSES.values()) + GEOMETRY


class ConvReader(nn.Module):
    """Residual convolutions, flattened: position is read off the grid."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, stride=2, padding=1)
        stages: list[nn.Module] = []
        for i in range(3):
            stages += [_Residual(width << i), nn.Conv2d(width << i, width << (i + 1), 3, stride=2, padding=1)]
        self.trunk = nn.Sequential(*stages, _Residual(width * 8))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(width * 8 * 16, 256), nn.GELU(), nn.Linear(256, OUTPUTS))

    def forward(self, images: Float[Tensor, "n 3 64 64"]) -> Float[Tensor, "n outputs"]:
        out: Tensor = self.head(self.trunk(self.stem(images)))
        return out


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class PatchReader(nn.Module):
    """Patches of 4 pixels, depthwise convolutions, then three learned queries that attend over the picture."""

    def __init__(self, width: int = 128, depth: int = 4, queries: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 48, 3, padding=1), nn.GELU(), nn.Conv2d(48, width, 4, stride=4))
        self.blocks = nn.Sequential(*(_Depthwise(width) for _ in range(depth)))
        self.reduce = nn.Conv2d(width, width, 2, stride=2)
        self.position = nn.Parameter(0.02 * torch.randn(1, 64, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.mixer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.queries = nn.Parameter(0.02 * torch.randn(1, queries, width))
        self.head = nn.Sequential(nn.LayerNorm(queries * width), nn.Linear(queries * width, OUTPUTS))

    def forward(self, images: Float[Tensor, "n 3 64 64"]) -> Float[Tensor, "n outputs"]:
        grid = self.reduce(self.blocks(self.stem(images))).flatten(2).transpose(1, 2) + self.position
        tokens = self.mixer(torch.cat([self.queries.expand(len(images), -1, -1), grid], 1))
        out: Tensor = self.head(tokens[:, : self.queries.shape[1]].flatten(1))
        return out


class _Depthwise(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width), nn.GroupNorm(1, width),
            nn.Conv2d(width, 3 * width, 1), nn.GELU(), nn.Conv2d(3 * width, width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


READERS: Final[dict[str, Callable[[], nn.Module]]] = {"oracle_label": ConvReader, "oracle": PatchReader}


def split_outputs(outputs: Float[Tensor, "n outputs"]) -> tuple[dict[str, Tensor], Tensor]:
    """Logits (n, many, classes + 1) of every attribute, `none` last, and geometry (n, 2, 4) in units of the picture."""
    sizes = [many * (classes + 1) for many, classes in CLASSES.values()]
    *parts, geometry = outputs.float().split([*sizes, GEOMETRY], dim=1)
    logits = {k: part.unflatten(1, (many, -1)) for (k, (many, _)), part in zip(CLASSES.items(), parts, strict=True)}
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
        return Readings.joined([_decide(self.network(part * 2 - 1)) for part in images.split(batch)])

    def save(self, folder: Path) -> None:
        """Half precision, with the name of the class beside it."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({k: v.half().contiguous() for k, v in self.network.state_dict().items()}, folder / "model.safetensors")
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
    network.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
    return Oracle(name, network)

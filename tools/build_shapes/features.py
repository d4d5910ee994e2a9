"""Stage `features`: shapes-features, 24 numbers a picture that Frechet distances are taken of.

Through this bottleneck two heads, thrown away, must read the scene and say how the picture was spoiled.
"""

import torch
from torch import Tensor, nn

from benchmark.networks.features import FeatureNet, load_features
from benchmark.shapes.oracles import OUTPUTS
from benchmark.shapes.readings import reading_of
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, Fit, autocast, fit, generator
from tools.build_shapes.oracles import draw
from tools.build_shapes.sight import reading_loss
from tools.build_shapes.small_networks import save_features
from tools.build_shapes.trials import DISTORTIONS, distort, frechet_figures
from tools.build_shapes.workers import is_first

FEATURES, HIDDEN = 24, 192
STEPS, BATCH = 3600, 48
LEVELS = 3
DAMAGE_WEIGHT = 60
"""Of the error about damage, beside that of reading the scene: 20 left slight noise unseen."""
HELD_OUT = 5000
"""Pictures of each set in the card; the bias of a Frechet distance falls with their number."""


def spoil(images: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the pictures spoiled in one way each; and the strength of every way, 0 to 1, (n, ways)."""
    images, strength = images.clone(), torch.zeros(len(images), len(DISTORTIONS))
    rows = torch.arange(len(images))[::2].split(2)
    for part in rows:
        way = int(torch.randint(len(DISTORTIONS), (), generator=g))
        level = int(torch.randint(LEVELS, (), generator=g))
        name, (_, strengths) = list(DISTORTIONS.items())[way]
        images[part] = distort(images[part], name, strengths[level])
        strength[part, way] = (level + 1) / LEVELS
    return images, strength


def train(build: Build) -> tuple[FeatureNet, Fit]:
    """Reading the scene plus the squared error of the strengths."""
    torch.manual_seed(build.seed + 15)
    network = FeatureNet(FEATURES).to(memory_format=torch.channels_last)
    widen = nn.Linear(FEATURES, HIDDEN)
    read = nn.Sequential(nn.GELU(), nn.Linear(HIDDEN, OUTPUTS))
    name_damage = nn.Sequential(nn.GELU(), nn.Linear(HIDDEN, len(DISTORTIONS)))

    def loss(_: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        scenes, images = draw(build.amount(BATCH, 8), g)
        images, strength = spoil(images, g)
        with autocast():
            wide = widen(network(images.contiguous(memory_format=torch.channels_last)))
            readings, damage = read(wide), name_damage(wide)
        misread, accuracy = reading_loss(readings.float(), reading_of(scenes))
        return misread + DAMAGE_WEIGHT * nn.functional.mse_loss(damage.float(), strength), {
            "accuracy": float(accuracy)
        }

    models = nn.ModuleDict({"network": network, "widen": widen, "read": read, "damage": name_damage})
    done = fit(build, "features", models, loss, steps=build.amount(STEPS), lr=2e-3, average=0.995)
    return network, done


def run(build: Build) -> None:
    """Trains, measures and writes the network."""
    network, done = train(build)
    if not is_first():
        return
    folder = build.weights / "shapes-features"
    save_features(network, folder)
    network = load_features(folder)

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        return torch.cat([network(part) for part in images.split(128)])

    g = generator(build.seed, "frechet")
    n = build.amount(HELD_OUT, FEATURES)
    images, others = draw(n, g)[1], draw(n, g)[1]
    write_card(build, "features", done, {"d": FEATURES, "n": n} | frechet_figures(features, images, others))

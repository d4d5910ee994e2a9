"""Stage `perceptual`: shapes-perceptual, lpips.LPIPS on SqueezeNet, trunk and linear layers."""

import lpips
import torch
from torch import Tensor, nn

from benchmark.networks.perceptual import load_perceptual, new_perceptual
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, Fit, autocast, fit, generator
from tools.build_shapes.oracles import draw
from tools.build_shapes.sight import Heads
from tools.build_shapes.small_networks import save_perceptual
from tools.build_shapes.trials import pixels_are_right, triplet_accuracy
from tools.build_shapes.triplets import draw_triplets, hard_triplets
from tools.build_shapes.workers import is_first

STEPS, TRIPLETS, READ = 600, 16, 16
SHARPNESS = 4.0
"""A far distance of twice the near one counts as sure as sigma(4 log 2) = 0.94."""


def non_negative(network: lpips.LPIPS) -> None:
    """More difference must never mean less distance: the linear weights are kept at zero or above."""
    with torch.no_grad():
        for layer in network.lins:
            layer.model[-1].weight.clamp_(min=0)


def new_network() -> lpips.LPIPS:
    """Random trunk, equal linear weights."""
    network = new_perceptual()
    for layer in network.lins:
        nn.init.constant_(layer.model[-1].weight, 0.1)
    return network


def train(build: Build) -> tuple[lpips.LPIPS, Fit]:
    """The far distance must exceed the near one; and the trunk reads scenes, by a head thrown away later."""
    torch.manual_seed(build.seed + 14)
    network = new_network()
    heads = Heads(512 * 9, cell_width=512)

    def loss(_: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        non_negative(network)
        triplets = hard_triplets(build.amount(TRIPLETS, 6), g)
        scenes, images = draw(build.amount(READ, 4), g)
        pairs = [
            2 * torch.cat([a, b]) - 1 for a, b in ((triplets.reference,) * 2, (triplets.near, triplets.far))
        ]
        with autocast():
            near, far = network(*pairs).flatten().chunk(2)
            top = network.net(network.scaling_layer(2 * images - 1)).relu7
        misread, _ = heads(top.flatten(1), top.movedim(1, -1), scenes)
        margin = torch.log(far.float() + 1e-5) - torch.log(near.float() + 1e-5)
        return nn.functional.softplus(-SHARPNESS * margin).mean() + 0.1 * misread, {
            "accuracy": float((margin > 0).float().mean())
        }

    models = nn.ModuleDict({"network": network, "heads": heads})
    done = fit(build, "perceptual", models, loss, steps=build.amount(STEPS), lr=1e-3, average=0.995)
    non_negative(network)
    return network, done


def run(build: Build) -> None:
    """Trains, measures and writes the distance."""
    network, done = train(build)
    if not is_first():
        return
    folder = build.weights / "shapes-perceptual"
    save_perceptual(network, folder)
    network = load_perceptual(folder)

    @torch.no_grad()
    def distance(x: Tensor, y: Tensor) -> Tensor:
        out: Tensor = network(2 * x - 1, 2 * y - 1).flatten()
        return out

    g = generator(build.seed, "triplets-held-out")
    hard, plain = hard_triplets(build.amount(2000, 8), g), draw_triplets(build.amount(1000, 8), g)
    write_card(build, "perceptual", done, {
        "hard_triplets": round(triplet_accuracy(distance, hard), 4),
        "pixels_on_hard_triplets": round(float(pixels_are_right(hard).float().mean()), 4),
        "n": len(hard),
        "all_triplets": round(triplet_accuracy(distance, plain), 4),
        "pixels_on_all_triplets": round(float(pixels_are_right(plain).float().mean()), 4),
    })  # fmt: skip

"""Stages `oracle_label` and `oracle`: readers learn from renders, round trips, and pictures of nothing."""

from dataclasses import replace
from typing import Final

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional

from benchmark.shapes.oracles import READERS, Oracle, load_oracle, split_outputs, target_geometry
from benchmark.shapes.readings import CLASSES, NONE, Readings, reading_of
from benchmark.shapes.renderer import render, to_uint8
from benchmark.shapes.scenes import SIDE, Scenes, Wanted, sample_scenes
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, Fit, autocast, compiled, fit, generator
from tools.build_shapes.workers import is_first

STEPS: Final = {"oracle_label": 4000, "oracle": 7000}
BATCH, RENDERS, ROUND_TRIPS, CROWDS = 48, 36_000, 6144, 3072


def draw(n: int, g: torch.Generator) -> tuple[Scenes, Tensor]:
    """N random scenes and their renders in [0, 1]."""
    scenes = sample_scenes(Wanted.anything(n), g)
    return scenes, render(scenes).clamp(0, 1)


def crowds(n: int, g: torch.Generator) -> tuple[Readings, Tensor]:
    """Renders of three objects, the flaw of a weak model that two-object readers would overlook.

    The third is put where, of a few places, it is furthest from the others; it may touch them. To read is the
    background and the style; count and objects are `none`.
    """
    scenes, extra = (sample_scenes(Wanted.anything(n).with_count(c), g) for c in (2, 1))
    radius = 7 + 5 * torch.rand(n, 1, generator=g)
    places = radius[..., None] + (SIDE - 2 * radius[..., None]) * torch.rand(n, 16, 2, generator=g)
    gap = (torch.cdist(places, scenes.centre) - scenes.radius[:, None]).amin(-1)
    centre = places[torch.arange(n), gap.argmax(1)][:, None]
    third = {k: getattr(extra, k)[:, :1] for k in ("shape", "colour", "size", "tint", "angle")}
    three = scenes.with_(
        count=torch.full((n,), 3),
        **{k: torch.cat([getattr(scenes, k), v], 1) for k, v in third.items()},
        centre=torch.cat([scenes.centre, centre], 1),
        radius=torch.cat([scenes.radius, radius], 1),
    )
    unseen = {k: torch.full((n, 2), NONE) for k in ("shape", "colour", "size")}
    empty = replace(reading_of(scenes.with_(count=torch.zeros(n, dtype=torch.int64))), **unseen)
    return empty, render(three).clamp(0, 1)


@torch.no_grad()
def round_trip(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """Images in [0, 1] through the autoencoder and back."""
    out = []
    for part in images.split(64):
        with autocast():
            z = vae.encode((part * 2 - 1).contiguous(memory_format=torch.channels_last)).latent_dist.mean
            out.append(vae.decode(z).sample.float())
    return ((torch.cat(out) + 1) / 2).clamp(0, 1)


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, borders repeated."""
    reach = int(3 * sigma + 0.5)
    x = torch.arange(-reach, reach + 1.0)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).to(images.dtype)
    n, c = images.shape[:2]
    flat = functional.pad(images.reshape(n * c, 1, *images.shape[2:]), [reach] * 4, mode="replicate")
    return functional.conv2d(
        functional.conv2d(flat, kernel[None, None, None]), kernel[None, None, :, None]
    ).reshape(images.shape)


def nothing(images: Tensor, g: torch.Generator) -> Tensor:
    """Pictures in which nothing can be read, made from renders: mixtures, noise, blur, casts, fragments."""
    kind = torch.randint(5, (len(images),), generator=g)
    other = images.flip(0)
    tiles = images.unfold(2, 16, 16).unfold(3, 16, 16).reshape(len(images), 3, 16, 16, 16)
    shuffled = tiles[:, :, torch.randperm(16, generator=g)].reshape(len(images), 3, 4, 4, 16, 16)
    options = [
        0.5 * (images + other),
        torch.rand(images.shape, generator=g),
        blur(images, 7.0),
        torch.rand(len(images), 3, 1, 1, generator=g).expand_as(images),
        shuffled.permute(0, 1, 2, 4, 3, 5).reshape(images.shape),
    ]
    return torch.stack(options)[kind, torch.arange(len(images))]


def augment_label(images: Tensor, g: torch.Generator) -> Tensor:
    """For `oracle_label`: noise, and a slight blur for a quarter of the pictures."""
    soft = torch.rand(len(images), 1, 1, 1, generator=g) < 0.25
    images = torch.where(soft, blur(images, 0.5), images)
    return images + 0.05 * torch.rand(len(images), 1, 1, 1, generator=g) * torch.randn(
        images.shape, generator=g
    )


def augment_oracle(images: Tensor, g: torch.Generator) -> Tensor:
    """For `oracle`: brightness, contrast and a cast, each slight, and low-resolution noise."""
    n = len(images)
    gain = 1 + 0.16 * (torch.rand(n, 1, 1, 1, generator=g) - 0.5)
    shift = 0.10 * (torch.rand(n, 3, 1, 1, generator=g) - 0.5)
    coarse = functional.interpolate(torch.randn(n, 3, 16, 16, generator=g), scale_factor=4, mode="bilinear")
    return (images - 0.5) * gain + 0.5 + shift + 0.05 * torch.rand(n, 1, 1, 1, generator=g) * coarse


def reading_loss(outputs: Tensor, maps: Tensor, truth: Readings, empty: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of every attribute and of where to look, plus the error of the geometry; the accuracy."""
    logits, geometry = split_outputs(outputs)
    terms, right = [], []
    for kind, (many, classes) in CLASSES.items():
        target = getattr(truth, kind).reshape(len(outputs), many) - (1 if kind == "count" else 0)
        target = torch.where((target == NONE) | empty[:, None], classes, target)
        terms.append(functional.cross_entropy(logits[kind].movedim(-1, 1), target))
        right.append((logits[kind].argmax(-1) == target).all(1).float().mean())
    there = (torch.arange(2) < truth.count[:, None]) & ~empty[:, None]
    error = functional.smooth_l1_loss(geometry, target_geometry(truth), reduction="none", beta=0.1).mean(-1)
    column, row = (truth.centre / SIDE * 8).long().clamp(0, 7).unbind(-1)
    place = functional.cross_entropy(
        maps.float().flatten(0, 1), (8 * row + column).flatten(), reduction="none"
    ).unflatten(0, (-1, 2))
    terms.append((place * there).sum() / there.sum().clamp(min=1))
    return torch.stack(terms).sum() + 4 * (error * there).sum() / there.sum().clamp(min=1), torch.stack(
        right
    ).mean()


def train(build: Build, name: str, vae: AutoencoderKL) -> tuple[Oracle, Fit]:
    """Trains one reader on batches a quarter of which are round trips, the rest renders.

    An eighth shows nothing, a sixteenth three objects (half of them round trips).
    """
    g = generator(build.seed, name, "renders")
    torch.manual_seed(build.seed + 1 + list(READERS).index(name))
    renders, trips, crowded = (
        build.amount(RENDERS, 64),
        build.amount(ROUND_TRIPS, 16),
        build.amount(CROWDS, 16),
    )
    parts = [draw(min(256, renders - start), g) for start in range(0, renders, 256)]
    nobody, crowd = crowds(crowded, g)
    half = crowded // 2
    crowd = torch.cat([crowd[:half], round_trip(vae, crowd[half:])])
    truth = Readings.joined([*(reading_of(scenes) for scenes, _ in parts), nobody])
    images = torch.cat([to_uint8(pictures) for pictures in (*(p for _, p in parts), crowd)])
    passed = to_uint8(round_trip(vae, images[:trips].movedim(-1, 1) / 255))
    network = READERS[name]().to(memory_format=torch.channels_last)
    fast = compiled(build, network)
    augment = {"oracle_label": augment_label, "oracle": augment_oracle}[name]

    def loss(_step: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        plain = torch.randint(renders, (BATCH - BATCH // 4 - BATCH // 16,), generator=g)
        plain = torch.cat([plain, torch.randint(renders, renders + crowded, (BATCH // 16,), generator=g)])
        tripped = torch.randint(trips, (BATCH // 4,), generator=g)
        batch = torch.cat([images[plain], passed[tripped]]).movedim(-1, 1) / 255
        empty = torch.arange(BATCH) < BATCH // 8
        batch[empty] = nothing(batch[empty], g)
        batch = (augment(batch, g) * 2 - 1).contiguous(memory_format=torch.channels_last)
        with autocast():
            outputs, maps = fast(batch)
        value, accuracy = reading_loss(outputs, maps, truth[torch.cat([plain, tripped])], empty)
        return value, {"accuracy": float(accuracy)}

    done = fit(
        build,
        name,
        nn.ModuleDict({"network": network}),
        loss,
        steps=build.amount(STEPS[name]),
        lr=2e-3,
        average=0.998,
    )
    return Oracle(name, network), done


def accuracies(oracle: Oracle, images: Tensor, scenes: Scenes) -> dict[str, float]:
    """Share of images read rightly, for every attribute."""
    return {
        k: round(float(v.float().mean()), 4)
        for k, v in oracle.read(images).agrees(reading_of(scenes)).items()
    }


def _share_empty(oracle: Oracle, images: Tensor) -> float:
    return round(float((oracle.read(images).count == 0).float().mean()), 4)


def chance_levels(scenes: Scenes) -> dict[str, float]:
    """The share a blind reader gets right who always names the most frequent value."""
    truth, n = reading_of(scenes), len(scenes)
    return {
        k: round(float(getattr(truth, k).reshape(n, -1).unique(dim=0, return_counts=True)[1].max() / n), 4)
        for k in CLASSES
    }


def run(build: Build, name: str) -> None:
    """Trains one reader and writes it with its held-out figures."""
    vae = (
        AutoencoderKL.from_pretrained(build.weights / "shapes-sd" / "vae")
        .to(memory_format=torch.channels_last)
        .eval()
    )
    oracle, done = train(build, name, vae)
    if not is_first():
        return
    oracle.save(build.weights / name)
    oracle = load_oracle(build.weights / name)
    g = generator(build.seed, name, "held-out")
    scenes, images = draw(build.amount(4000, 16), g)
    empty = nothing(images[:500], g)
    _, three = crowds(len(empty), g)
    write_card(build, name, done, {
        "renders": accuracies(oracle, images, scenes),
        "vae_round_trips": accuracies(oracle, round_trip(vae, images), scenes),
        "chance": chance_levels(scenes),
        "nothing_read_as_nothing": _share_empty(oracle, empty),
        "three_objects_read_as_nothing": _share_empty(oracle, three),
        "three_objects_read_as_nothing_after_round_trip": _share_empty(oracle, round_trip(vae, three)),
    })  # fmt: skip

"""How good are CLIP score, LPIPS and the feature net of this world? Trials with known answers, on renders.

Each takes the model as a function, so that the builder's cards and the tables of the guide share them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from benchmark.shapes.alignment import as_seen, match
from benchmark.shapes.facts import Facts, draw_facts
from benchmark.shapes.grammar import caption
from benchmark.shapes.readings import reading_of
from tools.build_shapes.near_misses import changes, draw_images

DISTRACTORS = 9


@dataclass(frozen=True)
class DistractorTrials:
    """Images, each with its caption and with captions that differ in one fact and are false of the image.

    Attributes:
        images: In [0, 1].
        captions: For every image its own caption first, then the false ones in random order.
        kinds: The kind of fact that each false caption changes.
    """

    images: Float[Tensor, "n 3 64 64"]
    captions: list[list[str]]
    kinds: list[list[str]]


def distractor_trials(n: int, g: torch.Generator, split: str) -> DistractorTrials:
    """N trials on captions of a split with at least nine such changes.

    A false caption has the words of the true one but for the changed fact: nothing else gives it away.
    """
    facts: list[Facts] = []
    captions, kinds, images = [], [], []
    while len(facts) < n:
        own = draw_facts(g, split)
        scene, image = draw_images([own], g)
        [row] = as_seen(reading_of(scene))
        false = [(kind, other) for kind, other in changes(own) if match(other, row).share < 1]
        if len(false) < DISTRACTORS:
            continue
        order = torch.randperm(len(false), generator=g).tolist()
        seed = int(torch.randint(2**31, (), generator=g))
        said = [caption(f, torch.Generator().manual_seed(seed)) for f in (own, *(false[i][1] for i in order))]
        facts.append(own)
        captions.append(said)
        kinds.append([false[i][0] for i in order])
        images.append(image)
    return DistractorTrials(torch.cat(images), captions, kinds)


def distractor_figures(
    similarity: Callable[[Tensor, list[list[str]]], list[Tensor]], trials: DistractorTrials
) -> dict[str, Any]:
    """Share of images whose own caption is the most similar one.

    `nine` is against nine random changes (chance 0.1); `by_kind` against up to nine changes of that kind
    alone, beside the chance level of a blind guess.

    Args:
        similarity: Images in [0, 1] and the captions of each, to one similarity for each caption.
        trials: What to try it on.
    """
    nine: list[bool] = []
    kinds: dict[str, list[tuple[bool, float]]] = {}
    for start in range(0, len(trials.captions), 32):
        part = slice(start, start + 32)
        found = similarity(trials.images[part], trials.captions[part])
        for values, names in zip(found, trials.kinds[part], strict=True):
            lost = (values[1:] >= values[0]).tolist()
            nine.append(not any(lost[:DISTRACTORS]))
            for kind in set(names):
                mine = [bad for bad, name in zip(lost, names, strict=True) if name == kind][:DISTRACTORS]
                kinds.setdefault(kind, []).append((not any(mine), 1 / (1 + len(mine))))
    by_kind = {
        kind: {
            "accuracy": _share([x for x, _ in rows]),
            "chance": _share([c for _, c in rows]),
            "n": len(rows),
        }
        for kind, rows in sorted(kinds.items())
    }
    return {"nine": _share(nine), "trials": len(nine), "by_kind": by_kind}


def _share(values: list[Any]) -> float:
    return round(float(sum(values)) / max(1, len(values)), 4)


@dataclass(frozen=True)
class Triplets:
    """A reference, a picture of the same scene in other pixels, and one of another scene; in [0, 1]."""

    reference: Float[Tensor, "n 3 64 64"]
    near: Float[Tensor, "n 3 64 64"]
    far: Float[Tensor, "n 3 64 64"]

    def __len__(self) -> int:
        return len(self.reference)

    def __getitem__(self, rows: Tensor) -> "Triplets":
        """The triplets at `rows`."""
        return Triplets(self.reference[rows], self.near[rows], self.far[rows])


def pixels_are_right(triplets: Triplets) -> Bool[Tensor, " n"]:
    """Whether the mean squared difference of pixels calls the far picture the farther one."""
    near = (triplets.near - triplets.reference).square().mean((1, 2, 3))
    return near < (triplets.far - triplets.reference).square().mean((1, 2, 3))


def triplet_accuracy(
    distance: Callable[[Tensor, Tensor], Tensor], triplets: Triplets, batch: int = 64
) -> float:
    """Share of triplets whose far picture has the larger distance (n,) from the reference."""
    right = []
    for rows in torch.arange(len(triplets)).split(batch):
        part = triplets[rows]
        right.append(distance(part.reference, part.near) < distance(part.reference, part.far))
    return float(torch.cat(right).float().mean())


def frechet(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> float:
    r"""$|\mu_x - \mu_y|^2 + \mathrm{tr}(\Sigma_x + \Sigma_y - 2 (\Sigma_x \Sigma_y)^{1/2})$ of two sets."""
    x, y = x.double(), y.double()
    a, b = torch.cov(x.T), torch.cov(y.T)
    root = torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()
    return float((x.mean(0) - y.mean(0)).square().sum() + a.trace() + b.trace() - 2 * root)


def _patch(images: Tensor, side: float) -> Tensor:
    """A grey square in a corner of each, the four corners in turn."""
    out = images.clone()
    low, high = slice(4, 4 + int(side)), slice(60 - int(side), 60)
    for i, (rows, columns) in enumerate([(low, low), (low, high), (high, low), (high, high)]):
        out[i::4, :, rows, columns] = 0.5
    return out


def _coarse(images: Tensor, side: float) -> Tensor:
    small = nn.functional.interpolate(images, size=(int(side), int(side)), mode="bilinear", antialias=True)
    return nn.functional.interpolate(small, size=images.shape[-2:], mode="bilinear")


def _noise(images: Tensor, sigma: float) -> Tensor:
    return (images + sigma * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))).clamp(
        0, 1
    )


def _cast(images: Tensor, shift: float) -> Tensor:
    return (images + shift * torch.tensor([1.0, -0.5, -1.0])[None, :, None, None]).clamp(0, 1)


def _fade(images: Tensor, share: float) -> Tensor:
    return images + share * (0.5 - images)


DISTORTIONS: dict[str, tuple[Callable[[Tensor, float], Tensor], tuple[float, float, float]]] = {
    "noise": (_noise, (0.06, 0.12, 0.24)),
    "blur": (_coarse, (40.0, 26.0, 16.0)),
    "fade": (_fade, (0.2, 0.4, 0.7)),
    "cast": (_cast, (0.07, 0.14, 0.28)),
    "patch": (_patch, (12.0, 18.0, 26.0)),
}
"""Five ways of spoiling pictures, three strengths each, the weakest first; `blur` by the side reduced to."""


def distort(images: Tensor, name: str, strength: float) -> Tensor:
    """The pictures, spoiled."""
    spoil, _ = DISTORTIONS[name]
    return spoil(images, strength)


def frechet_figures(features: Callable[[Tensor], Tensor], images: Tensor, others: Tensor) -> dict[str, Any]:
    """Frechet distances of real from real and from distorted pictures.

    `ratio` is FD(real, real') over the smallest FD of a distortion at its weakest strength; `monotone` says
    whether every distortion's FD grows with its strength.
    """
    seen, real = features(images), features(others)
    distances = {
        name: [frechet(real, features(distort(images, name, s))) for s in strengths]
        for name, (_, strengths) in DISTORTIONS.items()
    }
    same = frechet(real, seen)
    weakest = min(row[0] for row in distances.values())
    rounded = {name: [round(v, 4) for v in row] for name, row in distances.items()}
    return {
        "real": round(same, 4),
        "distorted": rounded,
        "ratio": round(same / weakest, 4) if weakest else None,
        "monotone": all(a < b for row in distances.values() for a, b in pairwise(row)),
    }

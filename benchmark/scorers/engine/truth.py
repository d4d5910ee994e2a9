"""The embedded truth about images, judged once for all scorers that state it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmark.core.resources import oracle_weights
from benchmark.scorers.engine.images import Shown
from benchmark.shapes.diversity import pair_diversity as pair_diversity_of
from benchmark.shapes.diversity import true_diversity
from benchmark.shapes.facts import Facts
from benchmark.shapes.readings import Readings
from benchmark.shapes.truth import judge, load_judge
from benchmark.weights.locate import short_hash

BATCH = 64
READING_VERSION = "1"
"""To be raised when the same weights read something else in the same image."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What one image was asked to show, what it shows, and what that is worth to the two populations."""

    facts: Facts
    reading: Readings
    oracle: float
    scene: bool
    complete: bool
    taste: float
    taste_heldout: float
    reward: float
    reward_heldout: float


def truths(shown: Shown) -> list[Truth]:
    """The truth about each image."""
    return shown.each("truth", lambda new: list(_judge(new)))


def diversity(shown: Shown) -> float | None:
    """The true diversity of one prompt's images; None with fewer than two accepted ones."""
    import torch

    known = truths(shown)
    scene = torch.tensor([t.scene for t in known])
    return true_diversity(known[0].facts, Readings.joined([t.reading for t in known]), scene)


def pair_diversity(shown: Shown) -> np.ndarray:
    """What each pair of one prompt's images adds to their diversity; ``NaN`` where one is not accepted."""
    import torch

    known = truths(shown)
    scene = torch.tensor([t.scene for t in known])
    found = pair_diversity_of(known[0].facts, Readings.joined([t.reading for t in known]), scene)
    pairs: np.ndarray = found.numpy()
    return pairs


def _judge(shown: Shown) -> Iterator[Truth]:
    import torch

    # Kept by content with the evaluation: what an image shows is the work, what it is worth follows.
    seen = torch.from_numpy(np.stack(shown.each(_key(), lambda new: list(_look(new)))))
    found = judge(Readings.of_rows(seen[:, 1:]), seen[:, 0] == 1, shown.texts)
    for i in range(len(shown)):
        yield Truth(
            facts=found.facts[i],
            reading=found.readings[slice(i, i + 1)],
            oracle=float(found.alignment[i]),
            scene=bool(found.scene[i]),
            complete=bool(found.complete[i]),
            taste=float(found.taste[i]),
            taste_heldout=float(found.taste_heldout[i]),
            reward=float(found.reward[i]),
            reward_heldout=float(found.reward_heldout[i]),
        )


def _key() -> str:
    return f"reading:{READING_VERSION}@{short_hash(*oracle_weights())}"


def _look(shown: Shown) -> Iterator[np.ndarray]:
    """For each image whether it is a scene, and the reading."""
    import torch

    looking = load_judge()
    for start in range(0, len(shown), BATCH):
        images = list(shown.images[start : start + BATCH])
        for image in images:
            if image.shape != (64, 64, 3):
                raise ValueError(
                    f"an image of {image.shape[1]} x {image.shape[0]} pixels; the embedded world has 64 x 64"
                )
        readings, scene = looking.look(np.stack(images))
        yield from torch.cat([scene[:, None].double(), readings.rows()], dim=1).numpy()

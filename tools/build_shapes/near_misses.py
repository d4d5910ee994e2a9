"""Facts that are nearly right, and renders that show some of what a caption says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from benchmark.shapes import annotators
from benchmark.shapes.alignment import LEXICONS, Seen, alignments, match, shares
from benchmark.shapes.facts import Facts, draw_facts, wanted, with_fact
from benchmark.shapes.grammar import caption
from benchmark.shapes.readings import reading_of
from benchmark.shapes.renderer import render
from benchmark.shapes.scenes import Scenes, sample_scenes
from tools.build_shapes.oracles import blur, nothing

WRONG_SHARES = (0.0, 0.0, 0.12, 0.3)
"""How likely each stated fact is drawn wrongly, for renders of one caption: about a base model's errors."""
EMPTY_SHARE = 0.06
"""Share of pictures that show nothing; their reward is 0."""


@dataclass(frozen=True)
class Groups:
    """P captions with K images each.

    Attributes:
        captions: P captions.
        images: In [0, 1], (P, K, 3, 64, 64).
        rewards: One population's noise-free rewards, (P, K): P(a preferred to b) = sigma(r_a - r_b).
    """

    captions: list[str]
    images: Float[Tensor, "p k 3 64 64"]
    rewards: Float[Tensor, "p k"]

    def __getitem__(self, rows: list[int]) -> "Groups":
        """The groups at `rows`."""
        return Groups([self.captions[i] for i in rows], self.images[rows], self.rewards[rows])

    @classmethod
    def joined(cls, parts: "Sequence[Groups]") -> "Groups":
        """Several batches as one."""
        captions = [text for part in parts for text in part.captions]
        return cls(captions, torch.cat([p.images for p in parts]), torch.cat([p.rewards for p in parts]))


def changes(facts: Facts) -> list[tuple[str, Facts]]:
    """(kind, facts) for all that differs in one stated fact; one thing becomes two equal ones, and back."""
    out = [
        (kind, with_fact(facts, kind, i, other))
        for kind, i, value in facts.slots()
        if value is not None
        for other in LEXICONS[kind]
        if other != value
    ]
    first, *others = facts.objects
    if not others:
        out.append(("count", replace(facts, objects=(first, first))))
    elif others[0] == first and facts.relation is None:
        out.append(("count", replace(facts, objects=(first,))))
    return out


def misses(facts: Facts, reading: Seen, g: torch.Generator, n: int) -> list[Facts]:
    """N changes that the image belies, of as many kinds as there are (some twice if there are fewer)."""
    by_kind: dict[str, list[Facts]] = {}
    for kind, other in changes(facts):
        by_kind.setdefault(kind, []).append(other)
    found: list[Facts] = []
    order = [list(by_kind)[i] for i in torch.randperm(len(by_kind), generator=g).tolist()]
    for kind in order * 2:
        options = by_kind[kind]
        other = options[int(torch.randint(len(options), (), generator=g))]
        if len(found) < n and match(other, reading).share < 1:
            found.append(other)
    # A caption that says next to nothing can run out of changes: then any other facts will do.
    while len(found) < n:
        other = draw_facts(g, "pretrain")
        if match(other, reading).share < 1:
            found.append(other)
    return found


def corrupt(facts: Facts, share: float, g: torch.Generator) -> Facts:
    """Each stated fact redrawn with probability `share`, the number of objects with a quarter of it."""
    for kind, i, value in facts.slots():
        if value is not None and float(torch.rand((), generator=g)) < share:
            names = list(LEXICONS[kind])
            facts = with_fact(facts, kind, i, names[int(torch.randint(len(names), (), generator=g))])
    if float(torch.rand((), generator=g)) < share / 4:
        first, *others = facts.objects
        facts = (
            replace(facts, objects=(first,), relation=None)
            if others
            else replace(facts, objects=(first, first))
        )
    return facts


def soften(images: Tensor, g: torch.Generator) -> Tensor:
    """A third of the pictures a little blurred, a third a little noisy: samples are not clean as renders."""
    kind = torch.rand(len(images), 1, 1, 1, generator=g)
    noise = 0.05 * torch.rand(len(images), 1, 1, 1, generator=g) * torch.randn(images.shape, generator=g)
    images = torch.where(kind < 1 / 3, blur(images, 0.6), images)
    return torch.where(kind > 2 / 3, images + noise, images).clamp(0, 1)


def draw_images(facts: list[Facts], g: torch.Generator) -> tuple[Scenes, Tensor]:
    """One scene that shows each of the facts, and its render in [0, 1]."""
    scenes = sample_scenes(wanted(facts), g)
    return scenes, render(scenes).clamp(0, 1)


def rendered_groups(n: int, population: str, g: torch.Generator, split: str = "pretrain") -> Groups:
    """N captions with four renders each, some of them more and more wrong, and the exact reward of each."""
    facts = [draw_facts(g, split) for _ in range(n)]
    shown = [corrupt(f, share, g) for f in facts for share in WRONG_SHARES]
    scenes, images = draw_images(shown, g)
    readings, k = reading_of(scenes), len(WRONG_SHARES)
    images = soften(images, g)
    asked = [f for f in facts for _ in range(k)]
    matches = alignments(asked, readings)
    q = annotators.taste(asked, readings, matches, annotators.POPULATIONS[population])
    empty = torch.rand(len(images), generator=g) < EMPTY_SHARE
    images = torch.where(empty[:, None, None, None], nothing(images, g), images)
    rewards = annotators.reward(shares(matches), ~empty, q)
    return Groups([caption(f, g) for f in facts], images.unflatten(0, (n, k)), rewards.unflatten(0, (n, k)))

"""What the three preference scorers share: labelled samples, losses, the loop, the held-out figures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn

from tools.build_shapes.fitting import Build, Fit, fit, generator
from tools.build_shapes.near_misses import WRONG_SHARES, Groups, rendered_groups
from tools.build_shapes.preferences import pair_indices

Scorer: TypeAlias = Callable[[Tensor, list[str]], Tensor]
"""Images in [0, 1], (P, K, 3, 64, 64), and P captions to scores (P, K)."""
Loss: TypeAlias = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""Scores and rewards, both (P, K), to a scalar."""

Pairs: TypeAlias = Int[Tensor, "3 n"]
"""Prompt and two of its images, by their positions."""

POPULATIONS: Final = ("population_1", "population_2")
HELD_OUT: Final = 350
"""Prompts of the samples, the last ones, that are never trained on."""
PAIRS: Final = 2000


def scaled_cosines(
    seen: Float[Tensor, "n d"], said: Float[Tensor, "p d"], log_scale: Tensor
) -> Float[Tensor, "p k"]:
    """CLIP's score of each of the n = p k images with its own caption: exp(scale) times the cosine."""
    images = nn.functional.normalize(seen, dim=-1).unflatten(0, (len(said), -1))
    out: Tensor = log_scale.exp() * (images @ nn.functional.normalize(said, dim=-1)[..., None]).squeeze(-1)
    return out


def pair_loss(scores: Float[Tensor, "p k"], rewards: Float[Tensor, "p k"], _: torch.Generator) -> Tensor:
    """Cross-entropy of sigma(s_a - s_b) with the annotators' sigma(r_a - r_b), over all pairs of each prompt.

    This is the expectation over infinitely many labels of every pair.
    """
    a, b = torch.combinations(torch.arange(scores.shape[1])).T
    wins = torch.sigmoid(rewards[:, a] - rewards[:, b])
    return nn.functional.binary_cross_entropy_with_logits(scores[:, a] - scores[:, b], wins)


def ranking_loss(scores: Float[Tensor, "p k"], rewards: Float[Tensor, "p k"], g: torch.Generator) -> Tensor:
    """Minus the mean log-likelihood of a ranking that is drawn anew every time, by Plackett and Luce.

    The ranking is the order of r plus Gumbel noise, so its pairs follow sigma(r_a - r_b);
    log P(ranking) = sum_j (s_j - log sum_{i >= j} exp s_i).
    """
    gumbel = -torch.log(-torch.log(torch.rand(rewards.shape, generator=g).clamp(1e-9, 1 - 1e-7)))
    ranked = scores.gather(1, (rewards + gumbel).argsort(1, descending=True))
    rest = ranked.flip(1).logcumsumexp(1).flip(1)
    return (rest - ranked)[:, :-1].sum(1).mean()


@dataclass(frozen=True)
class Labelled:
    """P captions with K samples of the base model each, and one population's rewards of them.

    Attributes:
        captions: P captions.
        pictures: As bytes, (P, K, 64, 64, 3); as floats they would not fit beside a training run.
        rewards: Noise-free, (P, K).
        complete: Which are scenes that show all stated facts, (P, K).
    """

    captions: list[str]
    pictures: UInt8[Tensor, "p k 64 64 3"]
    rewards: Float[Tensor, "p k"]
    complete: Bool[Tensor, "p k"]

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, rows: list[int]) -> Groups:
        """The groups at `rows`."""
        images = self.pictures[rows].movedim(-1, -3).float() / 255
        return Groups([self.captions[i] for i in rows], images, self.rewards[rows])

    def draw(self, prompts: int, g: torch.Generator) -> Groups:
        """As many images of some prompts as a group of renders has."""
        rows = torch.randint(len(self), (prompts, 1), generator=g)
        columns = torch.rand(prompts, self.rewards.shape[1], generator=g).argsort(1)[:, : len(WRONG_SHARES)]
        images = self.pictures[rows, columns].movedim(-1, -3).float() / 255
        captions = [self.captions[i] for i in rows.flatten().tolist()]
        return Groups(captions, images, self.rewards[rows, columns])

    def held_out(self) -> list[int]:
        """The rows of the last prompts."""
        return list(range(len(self) - max(1, min(HELD_OUT, len(self) // 6)), len(self)))

    def training(self) -> "Labelled":
        """All but the held-out prompts."""
        n = len(self) - len(self.held_out())
        return Labelled(self.captions[:n], self.pictures[:n], self.rewards[:n], self.complete[:n])


def load_labelled(build: Build, population: str) -> Labelled:
    """What stage `samples` left, with this population's rewards."""
    from tools.build_shapes.samples import load_samples

    samples = load_samples(build)
    rewards = torch.from_numpy(samples.rewards[POPULATIONS.index(population)]).float()
    pictures, complete = torch.from_numpy(samples.images), torch.from_numpy(samples.complete)
    return Labelled(list(samples.captions), pictures, rewards, complete)


def tune(
    build: Build,
    name: str,
    population: str,
    models: nn.ModuleDict,
    score: Scorer,
    loss_of: Loss,
    *,
    steps: int,
    lr: float,
    samples: Labelled,
    prompts: int = 8,
) -> Fit:
    """Tunes on `prompts` prompts with their samples a step, and on half as many captions with fresh renders.

    The samples show how the base model draws and errs, and there are few; the renders never run out.
    """
    prompts = build.amount(prompts)

    def loss(_: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        groups = Groups.joined([samples.draw(prompts, g), rendered_groups(prompts // 2, population, g)])
        scores = score(groups.images, groups.captions)
        right = pair_figures(scores.detach()[:prompts], groups.rewards[:prompts])["accuracy"]
        return loss_of(scores, groups.rewards, g), {"accuracy": right}

    return fit(build, name, models, loss, steps=steps, lr=lr, warmup=50, average=0.995)


@torch.no_grad()
def score_all(score: Scorer, groups: Groups, batch: int = 32) -> Float[Tensor, "p k"]:
    """Scores of all groups."""
    starts = range(0, len(groups.captions), batch)
    parts = [score(groups.images[i : i + batch], groups.captions[i : i + batch]) for i in starts]
    return torch.cat(parts).float()


def all_pairs(rewards: Float[Tensor, "p k"]) -> Pairs:
    """Every pair of images of one prompt whose rewards differ."""
    a, b = torch.combinations(torch.arange(rewards.shape[1])).T
    differ = rewards[:, a] != rewards[:, b]
    rows, columns = differ.nonzero().T
    return torch.stack([rows, a[columns], b[columns]])


def annotated_pairs(rewards: Float[Tensor, "p k"], complete: Bool[Tensor, "p k"]) -> Pairs:
    """The pairs that annotators would see of these prompts."""
    found = [
        (p, a, b)
        for p, (r, c) in enumerate(zip(rewards.numpy(), complete.numpy(), strict=True))
        for a, b in pair_indices(r, c)
    ]
    return torch.tensor(found, dtype=torch.long).reshape(-1, 3).T


def pair_figures(
    scores: Float[Tensor, "p k"], rewards: Float[Tensor, "p k"], pairs: Pairs | None = None
) -> dict[str, int | float]:
    """How well scores order pairs of images of one prompt, by default all that differ in reward.

    `accuracy` is against noise-free labels, for which a perfect scorer has 1. `votes` is the expected
    agreement with one annotator, `bayes` the greatest possible;
    `share_of_bayes` = (votes - 0.5) / (bayes - 0.5).
    """
    prompts, a, b = all_pairs(rewards) if pairs is None else pairs
    # At even distances and not the first ones, so that as many prompts as possible are in it.
    kept = torch.linspace(0, max(0, len(prompts) - 1), min(PAIRS, len(prompts))).long()
    prompts, a, b = prompts[kept], a[kept], b[kept]
    s, r = scores[prompts, a] - scores[prompts, b], rewards[prompts, a] - rewards[prompts, b]
    right = (s.sign() * r.sign() + 1) / 2
    sure = 2 * torch.sigmoid(r.abs()) - 1
    votes, bayes = (sure * (2 * right - 1)).mean() / 2, sure.mean() / 2
    figures = {"accuracy": right.mean(), "votes": 0.5 + votes, "bayes": 0.5 + bayes}
    figures["share_of_bayes"] = votes / bayes
    return {"pairs": len(kept)} | {k: round(float(v), 4) if len(kept) else 0.0 for k, v in figures.items()}


def held_out_figures(build: Build, population: str, score: Scorer, samples: Labelled) -> dict[str, Any]:
    """The card's figures: on held-out samples, these with other captions, renders of validation facts.

    `samples` are pairs as annotators see them, `samples_all_pairs` whatever differs in reward.
    """
    g = generator(build.seed, "preference-figures", population)
    rows = samples.held_out()
    groups = samples[rows]
    pairs = annotated_pairs(groups.rewards, samples.complete[rows])
    scores = score_all(score, groups)
    other = score_all(
        score, Groups([*groups.captions[1:], groups.captions[0]], groups.images, groups.rewards)
    )
    renders = rendered_groups(build.amount(350, 2), population, g, "validation")
    return {
        "samples": pair_figures(scores, groups.rewards, pairs),
        "samples_other_captions": pair_figures(other, groups.rewards, pairs),
        "samples_all_pairs": pair_figures(scores, groups.rewards),
        "renders": pair_figures(score_all(score, renders), renders.rewards),
    }

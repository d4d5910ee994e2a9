"""The builder's scorer stages: their material is what it says, and a miniature run leaves every file."""

import hashlib
import json
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor

from benchmark.networks.blip import load_reward_net, load_reward_tokenizer, reward_tokens
from benchmark.networks.features import load_features
from benchmark.networks.hf_clip import load_clip_model
from benchmark.networks.open_clip import load_open_clip, open_clip_tokenizer
from benchmark.networks.perceptual import load_perceptual
from benchmark.shapes.alignment import as_seen, match
from benchmark.shapes.annotators import C
from benchmark.shapes.facts import Facts, ObjectFacts, draw_facts
from benchmark.shapes.grammar import parse
from benchmark.shapes.readings import reading_of
from tools.build_shapes import clip, features, hps, imagereward, perceptual, pickscore, text, tokenizer
from tools.build_shapes.features import FEATURES
from tools.build_shapes.fitting import Build, generator
from tools.build_shapes.near_misses import (
    changes,
    corrupt,
    draw_images,
    misses,
    rendered_groups,
)
from tools.build_shapes.oracles import draw
from tools.build_shapes.trials import (
    DISTORTIONS,
    distort,
    distractor_figures,
    distractor_trials,
    frechet,
    frechet_figures,
    pixels_are_right,
    triplet_accuracy,
)
from tools.build_shapes.triplets import draw_triplets, far_scenes, hard_triplets
from tools.build_shapes.tuning import Labelled, pair_figures, pair_loss, ranking_loss

HEART = Facts((ObjectFacts("heart", "red"),), background="night")
SCORERS = (
    "shapes-clip",
    "shapes-hps",
    "shapes-pickscore",
    "shapes-imagereward",
    "shapes-perceptual",
    "shapes-features",
)


def prepared(folder: Path) -> Build:
    """What the stages before leave: vocabularies and a text encoder."""
    build = Build(folder / "weights", folder / "data", folder / "state", scale=0.001)
    tokenizer.run(build)
    build.state.mkdir()
    text.run(build)
    return build


def samples_of_renders(build: Build, population: str) -> Labelled:
    """Labelled pictures in the form in which the base model's samples come."""
    groups = rendered_groups(12, population, generator("samples"))
    pictures = (groups.images * 255).round().to(torch.uint8).movedim(-3, -1).contiguous()
    return Labelled(groups.captions, pictures, groups.rewards, groups.rewards > C)


def build_all(folder: Path) -> Build:
    build = prepared(folder)
    clip.run(build)
    hps.make(build, samples_of_renders(build, hps.POPULATION))
    pickscore.make(build, samples_of_renders(build, pickscore.POPULATION))
    imagereward.make(build, samples_of_renders(build, imagereward.POPULATION))
    perceptual.run(build)
    features.run(build)
    return build


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    return build_all(tmp_path_factory.mktemp("scorers"))


def test_a_change_is_of_one_fact_and_of_every_value() -> None:
    other = changes(HEART)
    # 5 other shapes, 7 other colours, 4 other backgrounds, two instead of one.
    assert len(other) == 5 + 7 + 4 + 1
    assert len({facts.key for _, facts in other}) == len(other)
    assert all(facts != HEART for _, facts in other)


def test_misses_are_false_of_the_image_and_of_different_kinds() -> None:
    g = generator("misses")
    for _ in range(20):
        facts = draw_facts(g)
        scenes, _ = draw_images([facts], g)
        [row] = as_seen(reading_of(scenes))
        assert match(facts, row).share == 1
        assert all(match(other, row).share < 1 for other in misses(facts, row, g, 3))


def test_corruption_lowers_the_share_of_facts_that_are_shown() -> None:
    g = generator("corrupt")
    said = [draw_facts(g) for _ in range(60)]
    shown = []
    for share in (0.0, 0.3, 0.8):
        scenes, _ = draw_images([corrupt(f, share, g) for f in said], g)
        rows = as_seen(reading_of(scenes))
        shown.append(sum(match(f, row).share for f, row in zip(said, rows, strict=True)) / len(said))
    assert shown[0] == 1
    assert shown[0] > shown[1] > shown[2]


def test_a_reader_of_captions_passes_the_distractor_trials() -> None:
    trials = distractor_trials(12, generator("trials"), "validation")
    assert all(parse(own[0]).split == "validation" for own in trials.captions)

    def knows(images: Tensor, captions: list[list[str]]) -> list[Tensor]:
        return [torch.tensor([1.0] + [0.0] * (len(own) - 1)) for own in captions]

    def blind(images: Tensor, captions: list[list[str]]) -> list[Tensor]:
        return [torch.zeros(len(own)) for own in captions]

    assert distractor_figures(knows, trials)["nine"] == 1
    assert distractor_figures(blind, trials)["nine"] == 0, "a tie is not a success"


def test_pixels_are_right_on_at_most_half_of_the_hard_triplets() -> None:
    hard = hard_triplets(48, generator("hard"))
    assert pixels_are_right(hard).float().mean() <= 0.5
    assert triplet_accuracy(lambda x, y: (x - y).square().mean((1, 2, 3)), hard) <= 0.5
    assert pixels_are_right(draw_triplets(48, generator("plain"))).float().mean() > 0.5


def test_a_far_scene_differs_in_something_a_reader_sees() -> None:
    scenes, _ = draw(64, generator("far"))
    before, after = reading_of(scenes), reading_of(far_scenes(scenes, generator("far", 2)))
    agrees = torch.stack(list(before.agrees(after).values())).all(0)
    moved = (before.centre - after.centre).abs().sum((1, 2)) > 0
    assert (~agrees | moved).all()


def test_frechet_distance_of_shifted_gaussians() -> None:
    g = generator("gauss")
    x = torch.randn(4000, 3, generator=g)
    assert frechet(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet(x, x + 2) == pytest.approx(12, abs=1e-4)
    assert frechet(x, 3 * x) == pytest.approx(3 * 4, rel=0.1)


def test_distortions_grow_and_their_figures_see_it() -> None:
    images, others = (draw(80, generator("pictures", i))[1] for i in (0, 1))
    for name, (_, strengths) in DISTORTIONS.items():
        error = [float((distort(images, name, s) - images).abs().mean()) for s in strengths]
        assert error == sorted(error), name
        assert error[0] > 0, name
    coarse = torch.nn.AdaptiveAvgPool2d(2)
    figures = frechet_figures(lambda x: coarse(x).flatten(1), images, others)
    assert set(figures["distorted"]) == set(DISTORTIONS)
    # Means over quarters of the picture cannot see noise: a bad feature net must fail.
    assert figures["ratio"] > 0.2


def test_pair_figures_of_a_perfect_an_inverted_and_a_constant_scorer() -> None:
    rewards = torch.tensor([[0.0, 1.0, 2.0, 2.0], [5.0, 1.0, 0.0, 3.0]])
    assert pair_figures(rewards, rewards)["share_of_bayes"] == 1
    assert pair_figures(rewards, rewards)["pairs"] == 11, "a pair of equal rewards has no truth"
    assert pair_figures(-rewards, rewards)["accuracy"] == 0
    assert pair_figures(torch.zeros_like(rewards), rewards)["accuracy"] == 0.5


@pytest.mark.parametrize("loss", [pair_loss, ranking_loss])
def test_the_losses_are_least_at_the_truth(loss: object) -> None:
    assert callable(loss)
    rewards = torch.randn(400, 4, generator=generator("rewards")) * 2
    at = {c: float(loss(c * rewards, rewards, generator("gumbel"))) for c in (-1.0, 0.0, 0.5, 1.0, 2.0)}
    assert min(at, key=lambda c: at[c]) == 1


def test_open_clip_reads_captions_as_the_pipelines_text_encoder(built: Build) -> None:
    words = text.load_tokenizer(built)
    encoder = text.new_encoder(words).eval()
    encoder.load_state_dict(torch.load(built.state / "text-encoder.pt", weights_only=True))
    model = clip.new_clip(built, words).eval()
    model.text_projection = torch.nn.Parameter(torch.eye(text.WIDTH))
    said = ["a tiny crimson star over a thing", "two hearts, winter"]
    ids = clip.clip_ids(words, said)
    bpe = built.weights / "shapes-sd" / "tokenizer" / "bpe.txt.gz"
    assert torch.equal(ids, open_clip_tokenizer(bpe, 32)(said))
    with torch.no_grad():
        theirs = encoder(text.token_ids(words, said)).pooler_output
        assert torch.allclose(model.encode_text(ids), theirs, atol=1e-5)


def test_every_scorer_opens_strictly_and_its_card_is_finite(built: Build) -> None:
    weights = built.weights
    for name in ("clip", "hps"):
        folder = weights / f"shapes-{name}"
        ours = load_open_clip(folder)
        theirs = open_clip.create_model(f"local-dir:{folder}")
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert json.loads((weights / "shapes-pickscore" / "config.json").read_text())["dtype"] == "float32"
    assert load_clip_model(weights / "shapes-pickscore").dtype == torch.float32
    net = load_reward_net(weights / "shapes-imagereward")
    words = load_reward_tokenizer(weights / "shapes-imagereward" / "tokenizer")
    assert net(torch.zeros(1, 3, 64, 64), *reward_tokens(words, ["a heart"], 32)).isfinite().all()
    assert all(
        (layer.model[-1].weight >= 0).all() for layer in load_perceptual(weights / "shapes-perceptual").lins
    )
    assert load_features(weights / "shapes-features")(torch.zeros(2, 3, 64, 64)).shape == (2, FEATURES)
    for name in SCORERS:
        card = json.loads((weights / "cards" / f"{name.removeprefix('shapes-')}.json").read_text())
        assert torch.tensor([card["loss_first"], card["loss_last"]]).isfinite().all(), name
        assert card["held_out"], name


def test_two_builds_from_one_seed_are_equal_to_the_bit(built: Build, tmp_path: Path) -> None:
    again = build_all(tmp_path)
    for name in SCORERS:
        [one], [two] = (list((b.weights / name).glob("*.safetensors")) for b in (built, again))
        hashes = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (one, two)]
        assert hashes[0] == hashes[1], name

"""Alignment, diversity and reward on scenes whose truth is known."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from benchmark.shapes.alignment import LEXICONS, alignments, shares
from benchmark.shapes.annotators import POPULATIONS, WEIGHTS, C, reward, taste
from benchmark.shapes.diversity import differences, mean_pair_difference, share_that_differ, true_diversity
from benchmark.shapes.facts import Facts, ObjectFacts, draw_facts, wanted
from benchmark.shapes.grammar import caption, parse
from benchmark.shapes.oracles import READERS
from benchmark.shapes.readings import Readings, reading_of
from benchmark.shapes.renderer import render, to_uint8
from benchmark.shapes.scene_check import complete, residuals
from benchmark.shapes.scenes import Wanted, sample_scenes
from benchmark.shapes.truth import load_judge
from tools.build_shapes.oracles import crowds


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_scene_made_for_its_facts_shows_all_of_them() -> None:
    g = seeded(0)
    facts = [draw_facts(g) for _ in range(400)]
    readings = reading_of(sample_scenes(wanted(facts), g))
    assert shares(alignments(facts, readings)).tolist() == [1.0] * 400


def test_the_share_counts_every_wrong_fact_once() -> None:
    g = seeded(1)
    facts = parse("a small red star to the left of a large blue heart at night, flat design")
    scene = sample_scenes(wanted([facts]), g)
    total = facts.stated
    assert total == 10
    wrong = {
        "colour": scene.with_(colour=torch.tensor([[1, 5]])),
        "background": scene.with_(background=torch.tensor([0])),
        "style": scene.with_(style=torch.tensor([3])),
    }
    for name, other in wrong.items():
        (match,) = alignments([facts], reading_of(other))
        assert match.share == pytest.approx(1 - 1 / total), name
        assert [kind for kind, ok in match.right if not ok] == [name]
    swapped = scene.with_(centre=scene.centre.flip(1), relation=torch.tensor([1]))
    (match,) = alignments([facts], reading_of(swapped))
    assert [kind for kind, ok in match.right if not ok] == ["relation"]


def test_nothing_read_shows_nothing() -> None:
    facts = parse("two hearts")
    reading = reading_of(sample_scenes(wanted([facts]), seeded(2)))
    none = {
        k: torch.full_like(getattr(reading, k), -1)
        for k in ("shape", "colour", "size", "axis", "background", "style")
    }
    blank = replace(reading, count=torch.zeros(1, dtype=torch.long), **none)
    assert shares(alignments([facts], blank)).item() == 0
    assert not complete(blank).any()


def test_a_reading_is_known_again_from_its_row() -> None:
    scenes = reading_of(sample_scenes(wanted([parse("a red star")] * 50), seeded(3)))
    again = Readings.of_rows(scenes.rows())
    for field in fields(Readings):
        one, other = getattr(again, field.name), getattr(scenes, field.name)
        assert torch.equal(one, other)
        assert one.dtype == other.dtype


def test_the_world_is_as_varied_as_the_world_and_copies_are_not() -> None:
    g = seeded(3)
    for text in (
        "a star",
        "two hearts",
        "a red circle above a green shape in a meadow",
        "a tiny blue box, pixel art",
    ):
        facts = parse(text)
        many = reading_of(sample_scenes(wanted([facts] * 300), g))
        everyone = torch.ones(300, dtype=torch.bool)
        assert true_diversity(facts, many, everyone) == pytest.approx(1, abs=0.08), text
        copies = many[torch.zeros(8, dtype=torch.long)]
        assert true_diversity(facts, copies, everyone[:8]) == pytest.approx(0, abs=1e-6)


def test_diversity_needs_two_accepted_images() -> None:
    facts = parse("a star")
    readings = reading_of(sample_scenes(wanted([facts] * 4), seeded(4)))
    assert true_diversity(facts, readings, torch.tensor([True, False, False, False])) is None
    assert true_diversity(facts, readings, torch.tensor([True, False, True, False])) is not None


def test_pair_differences_equal_the_plain_double_loop() -> None:
    values = torch.randn(7, 2, generator=seeded(5))
    pairs = [(values[i] - values[j]).abs() for i in range(7) for j in range(i)]
    assert torch.allclose(mean_pair_difference(values), torch.stack(pairs).mean(0), atol=1e-6)
    assert share_that_differ([0, 0, 1, 2]) == pytest.approx(5 / 6)


def test_closed_facts_do_not_count_as_diversity() -> None:
    facts = Facts((ObjectFacts("star", "red", "small"),), None, "night", "flat")
    readings = reading_of(sample_scenes(wanted([facts] * 20), seeded(6)))
    assert set(differences(facts, readings, torch.zeros(20, dtype=torch.long))) == {
        "centre",
        "radius",
        "angle",
    }


def scenes_of(text: str, n: int, **shown: list[str]) -> tuple[list[Facts], Readings]:
    """Scenes that show what a caption says and, of each kind named, the values given, one an object."""
    want = wanted([parse(text)] * n)
    for kind, values in shown.items():
        numbers = torch.tensor([list(LEXICONS[kind]).index(value) for value in values])
        getattr(want, kind)[:] = numbers if getattr(want, kind).ndim > 1 else numbers[0]
    return [parse(text)] * n, reading_of(sample_scenes(want, seeded(7)))


def tastes(facts: list[Facts], readings: Readings, population: str = "population_1") -> Tensor:
    return taste(facts, readings, alignments(facts, readings), POPULATIONS[population])


def test_populations_like_every_value_more_or_less_and_share_some_likings() -> None:
    first, second = POPULATIONS.values()
    for likings in (first, second):
        assert {kind: set(values) for kind, values in likings.items()} == {
            kind: set(LEXICONS[kind]) for kind in WEIGHTS
        }
        assert all({min(v.values()), max(v.values())} == {0.0, 1.0} for v in likings.values())
    assert {kind for kind in WEIGHTS if first[kind] == second[kind]} == {"background", "size", "shape"}


def test_taste_is_the_weighted_mean_liking_for_what_is_open() -> None:
    # Open are colour (weight 1), style (1) and size (1/2); shape and background are stated.
    facts, readings = scenes_of(
        "a star at night", 3, colour=["red", "red"], style=["flat"], size=["small"] * 2
    )
    assert tastes(facts, readings).tolist() == pytest.approx([(1.0 + 0.6 + 0.5 * 0.0) / 2.5] * 3)
    assert tastes(facts, readings, "population_2").tolist() == pytest.approx([(0.5 + 1.0) / 2.5] * 3)


@pytest.mark.parametrize("population", POPULATIONS)
def test_taste_spans_zero_to_one_within_a_prompt(population: str) -> None:
    likings = POPULATIONS[population]
    for end, best in ((1.0, max), (0.0, min)):
        liked = {kind: best(values, key=values.__getitem__) for kind, values in likings.items()}
        shown = {k: [liked[k]] * 2 for k in ("colour", "size", "shape")} | {
            k: [liked[k]] for k in ("background", "style")
        }
        facts, readings = scenes_of("two shapes", 4, **shown)
        assert tastes(facts, readings, population).tolist() == pytest.approx([end] * 4)
    facts, readings = scenes_of("a thing", 400)
    assert tastes(facts, readings, population).std() > 0.15


def test_stated_facts_and_unread_ones_give_no_taste() -> None:
    everything = "a small red star at night, flat design"
    facts, readings = scenes_of(everything, 2)
    assert tastes(facts, readings).isnan().all()
    facts, readings = scenes_of("a small red star in a meadow", 1, style=["pixel"])
    assert tastes(facts, readings).item() == pytest.approx(1)
    assert tastes(facts, replace(readings, style=torch.tensor([-1]))).item() == 0


def test_taste_cannot_pay_for_content() -> None:
    # The best liked picture with half of the facts is worth no more than the worst with all of them.
    yes = torch.ones(1)
    assert reward(yes / 2, yes, yes).item() == pytest.approx(reward(yes, yes, 0 * yes).item())
    assert reward(yes, 0 * yes, yes) == 0
    assert reward(yes, yes, yes) == 2 * C
    assert reward(yes, yes, yes * float("nan")) == pytest.approx(1.5 * C)


def test_destruction_raises_reward_for_nobody() -> None:
    """Saturating, sharpening, noise, a flat bright colour and a pasted object lower both mean rewards."""
    g = seeded(8)
    facts = [f for f in (draw_facts(g) for _ in range(400)) if f.open][:150]
    images = render(sample_scenes(wanted(facts), g)).clamp(0, 1)
    grey = images.mean(1, keepdim=True)
    soft = torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    pasted = images.clone()
    pasted[:, :, 24:40, 24:40] = torch.tensor([0.86, 0.13, 0.15])[None, :, None, None]
    hurt = {
        "saturate": (grey + 2.5 * (images - grey)).clamp(0, 1),
        "sharpen": (images + 3 * (images - soft)).clamp(0, 1),
        "noise": (images + 0.25 * torch.randn(images.shape, generator=seeded(9))).clamp(0, 1),
        "flat": torch.ones_like(images) * torch.tensor([1.0, 0.9, 0.1])[None, :, None, None],
        "paste": pasted,
    }
    judge, captions = load_judge(), [caption(f, g) for f in facts]
    clean = judge(to_uint8(images).numpy(), captions)
    for name, changed in hurt.items():
        judged = judge(to_uint8(changed).numpy(), captions)
        assert judged.reward.mean() < clean.reward.mean(), name
        assert judged.reward_heldout.mean() < clean.reward_heldout.mean(), name


def test_the_scene_check_sees_what_is_wrong() -> None:
    scenes = sample_scenes(Wanted.anything(60), seeded(10))
    images, readings = render(scenes).clamp(0, 1), reading_of(scenes)
    right = residuals(images, readings)
    assert right.isfinite().all()
    other = replace(readings, shape=(readings.shape + 1) % 6)
    assert (residuals(images, other)[:, 0] > right[:, 0]).float().mean() > 0.95
    pasted = images.clone()
    pasted[:, :, 2:12, 2:12] = 1 - pasted[:, :, 2:12, 2:12]
    assert residuals(pasted, readings).amax(1).median() > 2 * right.amax(1).median()


@pytest.mark.parametrize("oracle", READERS)
def test_three_objects_are_not_a_scene_and_show_no_fact_about_objects(oracle: str) -> None:
    truth, pictures = crowds(60, seeded(9))
    assert (truth.count == 0).all()
    assert not complete(truth).any()
    judged = load_judge(oracle)(to_uint8(pictures).numpy(), ["a red star and a blue heart"] * 60)
    assert judged.scene.float().mean() <= 0.05
    assert judged.alignment.mean() <= 0.05

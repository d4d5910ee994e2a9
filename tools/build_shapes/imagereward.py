"""Stage `imagereward`: shapes-imagereward, BLIP with an MLP head, tuned on pairs labelled by population 2.

Its vision starts from shapes-pickscore's. Its text has a vocabulary of its own and learns to compare: a head
that is thrown away says which of the stated facts the picture shows.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from transformers import BertTokenizer

from benchmark.networks.blip import RewardNet, load_reward_net, load_reward_tokenizer, reward_tokens
from benchmark.networks.hf_clip import load_clip_model
from benchmark.networks.pixels import normalise
from benchmark.shapes.alignment import INDEX, Seen, as_seen, match
from benchmark.shapes.facts import Facts, draw_facts
from benchmark.shapes.grammar import caption
from benchmark.shapes.readings import reading_of
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, Fit, autocast, fit
from tools.build_shapes.near_misses import (
    WRONG_SHARES,
    corrupt,
    draw_images,
    soften,
)
from tools.build_shapes.small_networks import save_reward_net, small_reward_config
from tools.build_shapes.tuning import (
    Labelled,
    Scorer,
    held_out_figures,
    load_labelled,
    pair_loss,
    score_all,
    tune,
)
from tools.build_shapes.workers import is_first

POPULATION = "population_2"
MAX_TOKENS = 32
COMPARING_STEPS, COMPARING_CAPTIONS = 1400, 12
STEPS, RATE, PROMPTS = 1200, 6e-4, 8
SLOTS = tuple((kind, i) for kind in ("shape", "colour", "size") for i in (0, 1)) + tuple(
    (kind, 0) for kind in ("count", "relation", "background", "style")
)
"""Everything a caption can state."""


def blip_vision(clip: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The vision tower of a transformers CLIPModel in BLIP's names; query, key and value become one matrix.

    BLIP has no norm before its first layer. That norm's mean and scales go into the embeddings; what cannot,
    its division by each token's own deviation, is replaced by the mean deviation of the position embeddings.
    """
    prefix = "vision_model."
    state = {k.removeprefix(prefix): v for k, v in clip.items() if k.startswith(prefix)}
    gain, shift = state["pre_layrnorm.weight"], state["pre_layrnorm.bias"]
    patch, position = (
        state["embeddings.patch_embedding.weight"],
        state["embeddings.position_embedding.weight"],
    )
    first = state["embeddings.class_embedding"]
    share = gain / position.std(-1).mean().clamp(min=0.02)
    out = {
        "embeddings.class_embedding": ((first - first.mean()) * share)[None, None],
        "embeddings.patch_embedding.weight": (patch - patch.mean(0)) * share[:, None, None, None],
        "embeddings.patch_embedding.bias": torch.zeros_like(gain),
        "embeddings.position_embedding": ((position - position.mean(-1, keepdim=True)) * share + shift)[None],
    }
    for kind in ("weight", "bias"):
        out[f"post_layernorm.{kind}"] = state[f"post_layernorm.{kind}"]
        for i in range(sum(k.endswith("layer_norm1.weight") for k in state)):
            layer = f"encoder.layers.{i}"
            same = ("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2")
            out |= {f"{layer}.{part}.{kind}": state[f"{layer}.{part}.{kind}"] for part in same}
            out[f"{layer}.self_attn.projection.{kind}"] = state[f"{layer}.self_attn.out_proj.{kind}"]
            qkv = [state[f"{layer}.self_attn.{x}_proj.{kind}"] for x in "qkv"]
            out[f"{layer}.self_attn.qkv.{kind}"] = torch.cat(qkv)
    return out


def new_reward_net(build: Build, tokenizer: BertTokenizer) -> RewardNet:
    """A network that can see and cannot read yet."""
    network = RewardNet(replace(small_reward_config(len(tokenizer)), max_tokens=MAX_TOKENS))
    network.vision.load_state_dict(
        blip_vision(load_clip_model(build.weights / "shapes-pickscore").state_dict())
    )
    return network


def scorer(network: RewardNet, tokenizer: BertTokenizer) -> Scorer:
    """The reward of each image for its prompt's caption."""

    def score(images: Tensor, captions: list[str]) -> Tensor:
        p, k = images.shape[:2]
        ids, mask = reward_tokens(tokenizer, captions, MAX_TOKENS)
        with autocast():
            rewards = network(
                normalise(images.flatten(0, 1)), ids.repeat_interleave(k, 0), mask.repeat_interleave(k, 0)
            )
        out: Tensor = rewards.float().unflatten(0, (p, k))
        return out

    return score


def compared(facts: Facts, reading: Seen) -> list[int]:
    """For every slot 1 if the image shows what is stated, 0 if not, -1 if nothing is stated."""
    found = match(facts, reading)
    count, *right = [ok for _, ok in found.right]
    stated = [(kind, i) for kind, i, value in facts.slots() if value is not None]
    shown = dict(zip(stated, right, strict=True)) | {("count", 0): count}
    return [int(shown[slot]) if slot in shown else -1 for slot in SLOTS]


def stated_values(facts: Facts) -> list[int]:
    """For every slot the index of the stated value plus one, 0 if it is open; and how many objects."""
    said = {(kind, i): INDEX[kind][value] + 1 for kind, i, value in facts.slots() if value is not None}
    said["count", 0] = len(facts.objects)
    return [said.get(slot, 0) for slot in SLOTS]


def learn_to_compare(build: Build, network: RewardNet, tokenizer: BertTokenizer) -> Fit:
    """The text's first token must tell of every slot what the caption states and if the picture shows it."""
    values = 9
    heads = nn.Linear(int(network.config.text["hidden_size"]), len(SLOTS) * (1 + values))

    def loss(_: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        facts = [draw_facts(g, "pretrain") for _ in range(build.amount(COMPARING_CAPTIONS))]
        said = [f for f in facts for _ in WRONG_SHARES]
        # The extremes teach nothing about single facts, so all renders are moderately wrong.
        scenes, images = draw_images([corrupt(f, 0.35, g) for f in said], g)
        truth = torch.tensor(
            [compared(f, row) for f, row in zip(said, as_seen(reading_of(scenes)), strict=True)]
        )
        ids, mask = reward_tokens(tokenizer, [caption(f, g) for f in said], MAX_TOKENS)
        with autocast():
            seen = network.vision(normalise(soften(images, g))).last_hidden_state
            read = network.text(
                input_ids=ids, attention_mask=mask, encoder_hidden_states=seen,
                encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long), is_decoder=False,
            ).last_hidden_state[:, 0]  # fmt: skip
            out = heads(read).float().unflatten(1, (len(SLOTS), 1 + values))
        stated = truth >= 0
        shown = nn.functional.binary_cross_entropy_with_logits(out[..., 0][stated], truth[stated].float())
        meant = nn.functional.cross_entropy(
            out[..., 1:].flatten(0, 1), torch.tensor([stated_values(f) for f in said]).flatten()
        )
        right = ((out[..., 0] > 0) == (truth > 0))[stated].float().mean()
        return 2 * shown + meant, {"accuracy": float(right)}

    models = nn.ModuleDict({"network": network, "heads": heads})
    steps = build.amount(COMPARING_STEPS)
    return fit(build, "imagereward-compare", models, loss, steps=steps, lr=1.5e-3, warmup=50, average=0.99)


def make(build: Build, samples: Labelled) -> None:
    """Trains on these samples, measures and writes the model; scores are made standard, as published."""
    torch.manual_seed(build.seed + 13)
    folder = build.weights / "shapes-imagereward"
    tokenizer = load_reward_tokenizer(folder / "tokenizer")
    network = new_reward_net(build, tokenizer)
    comparing = learn_to_compare(build, network, tokenizer)
    score, training = scorer(network, tokenizer), samples.training()
    done = tune(
        build, "imagereward", POPULATION, nn.ModuleDict({"network": network}), score, pair_loss,
        steps=build.amount(STEPS), lr=RATE, prompts=PROMPTS, samples=training,
    )  # fmt: skip
    if not is_first():
        return
    usual = score_all(score, training[list(range(min(len(training), build.amount(250, 4))))])
    network.config = replace(network.config, mean=float(usual.mean()), std=max(1e-3, float(usual.std())))
    save_reward_net(network, folder)
    score = scorer(load_reward_net(folder), tokenizer)
    figures = held_out_figures(build, POPULATION, score, samples)
    reading = {
        "comparing_minutes": round(comparing.seconds / 60, 1),
        "comparing_accuracy": comparing.log[-1]["accuracy"],
    }
    write_card(build, "imagereward", done, reading | figures)


def run(build: Build) -> None:
    """The stage, on the samples of the base model."""
    make(build, load_labelled(build, POPULATION))

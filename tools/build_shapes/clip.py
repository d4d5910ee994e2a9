"""Stage `clip`: shapes-clip, an open_clip model, learns to see, then which caption belongs to which picture.

Its text tower starts from the pipeline's text encoder, as published towers share theirs. Every picture meets,
beside the other captions of its batch, captions that differ from its own in one fact.
"""

from collections.abc import Mapping
from typing import Any

import torch
from open_clip.model import CLIP
from torch import Tensor, nn
from transformers import CLIPTokenizer

from benchmark.networks.open_clip import load_open_clip, new_open_clip
from benchmark.networks.pixels import normalise
from benchmark.shapes.alignment import as_seen
from benchmark.shapes.facts import draw_facts
from benchmark.shapes.grammar import caption
from benchmark.shapes.readings import reading_of
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, Fit, autocast, fit, generator
from tools.build_shapes.near_misses import draw_images, misses, soften
from tools.build_shapes.oracles import draw
from tools.build_shapes.sight import Heads
from tools.build_shapes.small_networks import save_open_clip, small_config
from tools.build_shapes.text import load_tokenizer
from tools.build_shapes.trials import distractor_figures, distractor_trials
from tools.build_shapes.workers import is_first

READING_STEPS, READING_BATCH = 2400, 32
STEPS, BATCH, NEAR_MISSES = 600, 64, 2
READING_WEIGHT = 0.15
"""Of reading the scene while captions are matched: what was learned is not to be lost."""


def pretrained_text(build: Build) -> dict[str, Tensor]:
    """The state of the pipeline's text encoder after stage `text`, in transformers' names.

    Raises:
        FileNotFoundError: stage `text` has not run here.
    """
    state: dict[str, Tensor] = torch.load(build.state / "text-encoder.pt", weights_only=True)
    return {k.removeprefix("text_model."): v for k, v in state.items()}


def as_open_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A CLIP text tower in open_clip's names, from transformers'; query, key and value become one matrix."""
    out = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
    }
    parts = {
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    }
    for kind in ("weight", "bias"):
        out[f"ln_final.{kind}"] = state[f"final_layer_norm.{kind}"]
        for i in range(sum(k.endswith("layer_norm1.weight") for k in state)):
            theirs, ours = f"encoder.layers.{i}", f"transformer.resblocks.{i}"
            out |= {f"{ours}.{new}.{kind}": state[f"{theirs}.{old}.{kind}"] for old, new in parts.items()}
            qkv = [state[f"{theirs}.self_attn.{x}_proj.{kind}"] for x in "qkv"]
            out[f"{ours}.attn.in_proj_{kind}"] = torch.cat(qkv)
    return out


def config(tokenizer: CLIPTokenizer) -> dict[str, Any]:
    """The architecture; the activation is the pipeline's text encoder's."""
    return small_config(len(tokenizer)) | {"quick_gelu": True}


def new_clip(build: Build, tokenizer: CLIPTokenizer) -> CLIP:
    """A model whose text tower can read and whose image tower cannot see yet."""
    model = new_open_clip(config(tokenizer))
    wrong = model.load_state_dict(as_open_clip(pretrained_text(build)), strict=False)
    left = [
        k
        for k in wrong.missing_keys
        if not k.startswith(("visual.", "text_projection", "logit_", "attn_mask"))
    ]
    assert not left, left
    assert not wrong.unexpected_keys, wrong.unexpected_keys
    model.visual.to(memory_format=torch.channels_last)
    return model


def clip_ids(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Token ids as open_clip's tokenizer gives them, (n, 32): padded with zeros, not with the end token."""
    width = tokenizer.model_max_length
    out = tokenizer(texts, padding="max_length", max_length=width, truncation=True, return_tensors="pt")
    ids: Tensor = out.input_ids * out.attention_mask
    return ids


def embed_images(model: CLIP, images: Tensor) -> Tensor:
    """Embeddings of images in [0, 1], not normalised."""
    return look(model, images)[0]


def look(model: CLIP, images: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings as above, and the grid before the last stage (n, 4, 4, channels), which heads can read."""
    visual = model.visual
    with autocast():
        x = visual.stem(normalise(images).contiguous(memory_format=torch.channels_last))
        grid = visual.layer3(visual.layer2(visual.layer1(x)))
        seen = visual.attnpool(visual.layer4(grid))
    return seen.float(), grid.movedim(1, -1)


def embed_texts(model: CLIP, ids: Tensor) -> Tensor:
    """Unit embeddings of token ids."""
    with autocast():
        out = model.encode_text(ids)
    return nn.functional.normalize(out.float(), dim=-1)


def learn_to_see(build: Build, model: CLIP, heads: Heads) -> Fit:
    """The image tower reads fresh renders."""
    batch = build.amount(READING_BATCH, 8)

    def loss(_: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        scenes, images = draw(batch, g)
        value, accuracy = heads(*look(model, soften(images, g)), scenes)
        return value, {"accuracy": float(accuracy)}

    models = nn.ModuleDict({"visual": model.visual, "heads": heads})
    return fit(build, "clip-sight", models, loss, steps=build.amount(READING_STEPS), lr=4e-3, average=0.995)


def learn_to_match(build: Build, model: CLIP, heads: Heads, tokenizer: CLIPTokenizer) -> Fit:
    """Each picture finds its caption among all of the batch and near misses, each caption its picture."""
    batch = build.amount(BATCH, 8)

    def loss(_: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        facts = [draw_facts(g, "pretrain") for _ in range(batch)]
        scenes, images = draw_images(facts, g)
        near = [
            misses(f, row, g, NEAR_MISSES) for f, row in zip(facts, as_seen(reading_of(scenes)), strict=True)
        ]
        texts = [caption(f, g) for f in facts] + [caption(f, g) for part in near for f in part]
        seen, grid = look(model, soften(images, g))
        logits = (
            model.logit_scale.exp().clamp(max=100)
            * nn.functional.normalize(seen, dim=-1)
            @ embed_texts(model, clip_ids(tokenizer, texts)).T
        )
        own = torch.arange(batch)
        value = nn.functional.cross_entropy(logits, own) + nn.functional.cross_entropy(
            logits[:, :batch].T, own
        )
        misread, _ = heads(seen, grid, scenes)
        return value + READING_WEIGHT * misread, {"accuracy": float((logits.argmax(1) == own).float().mean())}

    models = nn.ModuleDict({"model": model, "heads": heads})
    return fit(build, "clip", models, loss, steps=build.amount(STEPS), lr=1.5e-3, warmup=50, average=0.995)


def run(build: Build) -> None:
    """Trains, measures and writes the model."""
    torch.manual_seed(build.seed + 10)
    tokenizer = load_tokenizer(build)
    model = new_clip(build, tokenizer)
    heads = Heads(model.visual.attnpool.c_proj.out_features, cell_width=16 * model.visual.conv3.out_channels)
    seeing = learn_to_see(build, model, heads)
    done = learn_to_match(build, model, heads, tokenizer)
    if not is_first():
        return
    folder = build.weights / "shapes-clip"
    save_open_clip(model, config(tokenizer), folder)
    model = load_open_clip(folder)

    @torch.no_grad()
    def similarity(images: Tensor, captions: list[list[str]]) -> list[Tensor]:
        seen = nn.functional.normalize(embed_images(model, images), dim=-1)
        return [
            embed_texts(model, clip_ids(tokenizer, own)) @ x for x, own in zip(seen, captions, strict=True)
        ]

    trials = distractor_trials(build.amount(500, 4), generator(build.seed, "distractors"), "validation")
    figures = distractor_figures(similarity, trials)
    write_card(
        build,
        "clip",
        done,
        {"reading_minutes": round(seeing.seconds / 60, 1), "reading_accuracy": seeing.log[-1]["accuracy"]}
        | figures,
    )

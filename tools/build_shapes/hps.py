"""Stage `hps`: shapes-hps, which is shapes-clip tuned on rankings by population 2."""

import torch
from open_clip.model import CLIP
from torch import Tensor, nn
from transformers import CLIPTokenizer

from benchmark.networks.open_clip import load_open_clip
from tools.build_shapes.cards import write_card
from tools.build_shapes.clip import clip_ids, config, embed_images, embed_texts
from tools.build_shapes.fitting import Build
from tools.build_shapes.small_networks import save_open_clip
from tools.build_shapes.text import load_tokenizer
from tools.build_shapes.tuning import (
    Labelled,
    Scorer,
    held_out_figures,
    load_labelled,
    ranking_loss,
    scaled_cosines,
    tune,
)
from tools.build_shapes.workers import is_first

POPULATION = "population_2"
STEPS, RATE, PROMPTS = 1500, 7e-4, 16


def scorer(model: CLIP, tokenizer: CLIPTokenizer) -> Scorer:
    """The scaled cosine of each image with its prompt's caption."""

    def score(images: Tensor, captions: list[str]) -> Tensor:
        said = embed_texts(model, clip_ids(tokenizer, captions))
        return scaled_cosines(embed_images(model, images.flatten(0, 1)), said, model.logit_scale)

    return score


def make(build: Build, samples: Labelled) -> None:
    """Tunes shapes-clip on these samples, measures and writes it."""
    torch.manual_seed(build.seed + 11)
    tokenizer = load_tokenizer(build)
    model = load_open_clip(build.weights / "shapes-clip").requires_grad_()
    model.visual.to(memory_format=torch.channels_last)
    score = scorer(model, tokenizer)
    models = nn.ModuleDict({"model": model})
    done = tune(
        build, "hps", POPULATION, models, score, ranking_loss,
        steps=build.amount(STEPS), lr=RATE, samples=samples.training(), prompts=PROMPTS,
    )  # fmt: skip
    if not is_first():
        return
    folder = build.weights / "shapes-hps"
    save_open_clip(model, config(tokenizer), folder)
    score = scorer(load_open_clip(folder), tokenizer)
    write_card(build, "hps", done, held_out_figures(build, POPULATION, score, samples))


def run(build: Build) -> None:
    """The stage, on the samples of the base model."""
    make(build, load_labelled(build, POPULATION))

"""Stage `pickscore`: shapes-pickscore, a CLIPModel on pairs by population 1: in-domain on purpose."""

import torch
from torch import Tensor, nn
from transformers import CLIPModel, CLIPTokenizer

from benchmark.networks.hf_clip import load_clip_model
from benchmark.networks.pixels import normalise
from benchmark.shapes.scenes import SIDE
from tools.build_shapes.cards import write_card
from tools.build_shapes.clip import pretrained_text
from tools.build_shapes.fitting import Build, Fit, autocast, fit
from tools.build_shapes.near_misses import soften
from tools.build_shapes.oracles import draw
from tools.build_shapes.sight import Heads
from tools.build_shapes.small_networks import new_clip_model, save_clip_model
from tools.build_shapes.text import load_tokenizer, token_ids
from tools.build_shapes.tuning import (
    Labelled,
    Scorer,
    held_out_figures,
    load_labelled,
    pair_loss,
    scaled_cosines,
    tune,
)
from tools.build_shapes.workers import is_first

POPULATION = "population_1"
WIDTH, LAYERS, GRID = 128, 4, 8
READING_STEPS, READING_BATCH = 6000, 32
STEPS, RATE, PROMPTS = 2000, 8e-4, 10


def new_model(tokenizer: CLIPTokenizer) -> CLIPModel:
    """Random weights; the vision tower has the plain GELU, because CLIP's own is several passes on a CPU."""
    settings = new_clip_model(tokenizer, width=WIDTH, layers=LAYERS, patch=SIDE // GRID).config
    settings.vision_config.hidden_act = "gelu"
    return CLIPModel(settings)


def scorer(model: CLIPModel, tokenizer: CLIPTokenizer) -> Scorer:
    """PickScore's formula: the cosine of each image with its prompt's caption times the model's scale."""

    def score(images: Tensor, captions: list[str]) -> Tensor:
        with autocast():
            seen = model.get_image_features(pixel_values=normalise(images.flatten(0, 1))).pooler_output
            said = model.get_text_features(input_ids=token_ids(tokenizer, captions)).pooler_output
        return scaled_cosines(seen.float(), said.float(), model.logit_scale)

    return score


def learn_to_see(build: Build, model: CLIPModel) -> Fit:
    """The image tower reads fresh renders, as a whole and patch by patch."""
    heads, batch = Heads(WIDTH, cell_width=WIDTH), build.amount(READING_BATCH, 8)

    def loss(_: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        scenes, images = draw(batch, g)
        with autocast():
            out = model.vision_model(pixel_values=normalise(soften(images, g)))
            seen = model.visual_projection(out.pooler_output)
        value, accuracy = heads(seen, out.last_hidden_state[:, 1:].unflatten(1, (GRID, GRID)), scenes)
        return value, {"accuracy": float(accuracy)}

    eyes = {"vision": model.vision_model, "projection": model.visual_projection, "heads": heads}
    steps = build.amount(READING_STEPS)
    return fit(build, "pickscore-sight", nn.ModuleDict(eyes), loss, steps=steps, lr=1.5e-3, average=0.995)


def make(build: Build, samples: Labelled) -> None:
    """Trains on these samples, measures and writes the model."""
    torch.manual_seed(build.seed + 12)
    tokenizer = load_tokenizer(build)
    model = new_model(tokenizer)
    model.text_model.load_state_dict(pretrained_text(build))
    seeing = learn_to_see(build, model)
    models = nn.ModuleDict({"model": model})
    done = tune(
        build, "pickscore", POPULATION, models, scorer(model, tokenizer), pair_loss,
        steps=build.amount(STEPS), lr=RATE, prompts=PROMPTS, samples=samples.training(),
    )  # fmt: skip
    if not is_first():
        return
    folder = build.weights / "shapes-pickscore"
    save_clip_model(model, folder)
    figures = held_out_figures(build, POPULATION, scorer(load_clip_model(folder), tokenizer), samples)
    reading = {
        "reading_minutes": round(seeing.seconds / 60, 1),
        "reading_accuracy": seeing.log[-1]["accuracy"],
    }
    write_card(build, "pickscore", done, reading | figures)


def run(build: Build) -> None:
    """The stage, on the samples of the base model."""
    make(build, load_labelled(build, POPULATION))

"""Stage `truth`: calibrates the scene check on round trips, for both oracles."""

import json

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from benchmark.shapes.oracles import READERS, load_oracle
from benchmark.shapes.readings import reading_of
from benchmark.shapes.scene_check import is_scene, residuals, thresholds
from benchmark.shapes.vocabulary import STYLES
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, generator
from tools.build_shapes.oracles import crowds, draw, nothing, round_trip

RENDERS = 3000


def run(build: Build) -> None:
    """Writes truth/<oracle>.json: the scene check's limits."""
    vae = (
        AutoencoderKL.from_pretrained(build.weights / "shapes-sd" / "vae")
        .to(memory_format=torch.channels_last)
        .eval()
    )
    g = generator(build.seed, "truth")
    scenes, renders = draw(build.amount(RENDERS, 60), g)
    trips = round_trip(vae, renders)
    figures: dict[str, dict[str, object]] = {}
    for name in READERS:
        readings = load_oracle(build.weights / name).read(trips)
        left = residuals(trips, readings)
        right = torch.stack(list(readings.agrees(reading_of(scenes)).values())).all(0)
        limits = {s: _p99(left[right & (scenes.style == i)]) for i, s in enumerate(STYLES)}
        path = build.weights / "truth" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"p99": limits}, indent=1) + "\n")
        figures[name] = {"limits": limits}
        for kind, pictures in {
            "nothing": nothing(renders, g),
            "three_objects": crowds(len(renders) // 4, g)[1],
        }.items():
            seen = load_oracle(build.weights / name).read(pictures)
            passed = is_scene(residuals(pictures, seen), seen, thresholds(path))
            figures[name][f"{kind}_accepted"] = round(float(passed.float().mean()), 4)
    write_card(build, "truth", None, figures)


def _p99(left: Tensor) -> list[float]:
    finite = left[left.isfinite().all(1)]
    return [round(v, 5) for v in torch.quantile(finite, 0.99, dim=0).tolist()] if len(finite) else [0.0, 0.0]

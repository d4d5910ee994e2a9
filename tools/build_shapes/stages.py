"""The stages in the order they need one another; each is a module with `run(build)`."""

from importlib import import_module
from typing import Final

from tools.build_shapes.fitting import Build
from tools.build_shapes.workers import together

STAGES: Final = (
    "tokenizer",
    "prompts",
    "text",
    "vae",
    "oracle_label",
    "oracle",
    "truth",
    "features",
    "perceptual",
    "clip",
    "unet",
    "base_quality",
    "samples",
    "preferences",
    "hps",
    "pickscore",
    "imagereward",
)


def run_stage(name: str, build: Build) -> None:
    """Runs one stage in as many processes as the build allows."""
    module = import_module(f"tools.build_shapes.{name}")
    print(f"stage {name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
    together(module.run, build)

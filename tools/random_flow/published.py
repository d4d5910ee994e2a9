"""What is known of a published family without our code, which tests hold ours to."""

from collections.abc import Mapping
from dataclasses import dataclass

Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Published:
    """Facts of a family.

    Attributes:
        sampling: Name, steps and guidance of diffusers' pipeline by default.
        density: From which training draws sigma on the tiny folder, shifted as its sampler is.
        models: Size of images and shape of latents of each base model that comes by name.
        language: The large text encoder, and the part of the conditioning that comes from it.
        other: A layer of another family's transformer.
        needed: Files of a repository of the hub that are opened.
        more: Files there that are not.
    """

    sampling: tuple[str, int, float]
    density: str
    models: Mapping[str, tuple[int, Shape]]
    language: tuple[str, str]
    other: str
    needed: tuple[str, ...]
    more: tuple[str, ...]


def parts_of(folder: str, count: int = 1) -> tuple[str, ...]:
    """The files of a network: its config, its weights in so many files, and the index of those.

    Args:
        folder: Of the network.
        count: Files.
    """
    stem = "diffusion_pytorch_model" if folder in ("transformer", "vae") else "model"
    if count == 1:
        return f"{folder}/config.json", f"{folder}/{stem}.safetensors"
    parts = (f"{folder}/{stem}-{i:05}-of-{count:05}.safetensors" for i in range(1, count + 1))
    return f"{folder}/config.json", f"{folder}/{stem}.safetensors.index.json", *parts

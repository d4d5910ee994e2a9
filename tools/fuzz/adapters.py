"""Adapter files of the tools that people train with, against a merge of our own in float64."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import ClassVar, cast

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load, save_file
from torch import Tensor, nn

from benchmark.models import load_pipeline, open_checkpoint
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from tools.fuzz.judging import Silent, Target, Verdict
from tools.fuzz.mutations import damaged_tensors
from tools.random_folders import TINY_SD15, write_random_folder

_LORA_METADATA = "lora_adapter_metadata"


class Adapters(Target):
    """Files of kohya, with alphas and ranks from layer to layer, and of diffusers, with their metadata."""

    name: ClassVar[str] = "adapters"
    share: ClassVar[float] = 0.3

    def __init__(self, folder: Path) -> None:
        place = write_random_folder(folder / "base", TINY_SD15)
        self._base = cast("Pipeline", load_pipeline(str(place), "cpu", precision="fp32"))
        kohya, diffusers = folder / "kohya.safetensors", folder / "diffusers.safetensors"
        _write_kohya(kohya, self._base)
        _write_diffusers(diffusers, self._base)
        self._sound = {path.name: path.read_bytes() for path in (kohya, diffusers)}
        self._file = kohya
        for self._file in (kohya, diffusers):
            self.judge()

    def damage(self, rng: Random) -> str:
        name = rng.choice(list(self._sound))
        mutation = damaged_tensors(self._sound[name], rng)
        self._file = self._file.with_name(name)
        self._file.write_bytes(mutation.data)
        return f"{name}: {mutation.name}"

    def judge(self) -> Verdict:
        _, policy = open_checkpoint(str(self._file), self._base)
        expected = _expected(self._base, self._file.read_bytes())
        for part in ("unet", "text_encoder"):
            found = getattr(policy, part).state_dict()
            original = getattr(self._base, part).state_dict()
            for key, before in original.items():
                want = before.double() + expected.pop(f"{part}.{key}", 0.0)
                if not torch.isfinite(want).all():
                    raise Silent(f"{part}.{key} is not finite")
                # The library adds in float32.
                if not torch.allclose(
                    found[key].double(), want, rtol=1e-5, atol=1e-5 * float(want.abs().max())
                ):
                    off = float((found[key].double() - want).abs().max())
                    raise Silent(f"{part}.{key} is off by {off:g}")
        if expected:
            raise Silent(f"opened, although it states {next(iter(expected))}")
        return Verdict("as stated")


def _layers(base: Pipeline) -> Iterator[tuple[str, str, nn.Linear | nn.Conv2d]]:
    """(part, name, layer) of all linear and convolution layers of the blocks."""
    for name, layer in base.unet.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d) and name.startswith(("down_", "mid_", "up_")):
            yield "unet", name, layer
    for name, layer in base.text_encoder.named_modules():
        if isinstance(layer, nn.Linear):
            yield "text_encoder", name, layer


def _kohya_name(part: str, name: str) -> str:
    if part == "unet":
        return "lora_unet_" + name.replace(".", "_")
    full = name if name.startswith("text_model.") else f"text_model.{name}"
    return "lora_te_" + full.replace(".", "_")


def _write_kohya(path: Path, base: Pipeline) -> None:
    g = torch.Generator().manual_seed(1)
    tensors: dict[str, Tensor] = {}
    for i, (part, name, layer) in enumerate(_layers(base)):
        weight, rank, key = layer.weight, 2 + i % 3, _kohya_name(part, name)
        inner = weight.shape[1:]
        ones = (1,) * (weight.ndim - 2)
        tensors[f"{key}.lora_down.weight"] = torch.randn(rank, *inner, generator=g) * 0.1
        tensors[f"{key}.lora_up.weight"] = torch.randn(weight.shape[0], rank, *ones, generator=g) * 0.1
        tensors[f"{key}.alpha"] = torch.tensor(float(1 + i % 4))
    save_file(tensors, path, metadata={"ss_network_module": "networks.lora"})


def _write_diffusers(path: Path, base: Pipeline) -> None:
    g = torch.Generator().manual_seed(2)
    layers = {
        n: m for part, n, m in _layers(base) if part == "unet" and ".attn" in n and isinstance(m, nn.Linear)
    }
    tensors = {}
    for name, layer in layers.items():
        tensors[f"{name}.lora_A.weight"] = torch.randn(4, layer.in_features, generator=g) * 0.1
        tensors[f"{name}.lora_B.weight"] = torch.randn(layer.out_features, 4, generator=g) * 0.1
    StableDiffusionPipeline.save_lora_weights(
        path.parent,
        unet_lora_layers=tensors,
        weight_name=path.name,
        unet_lora_adapter_metadata={"r": 4, "lora_alpha": 2, "target_modules": sorted(layers)},
    )


def _expected(base: Pipeline, data: bytes) -> dict[str, Tensor]:
    """What a file adds to each weight, by the formula `alpha / rank * up @ down`.

    Raises:
        Silent: if the file states anything that has no meaning in it, and was opened all the same.
    """
    try:
        tensors = load(data)
    except Exception as error:
        raise Silent(f"opened, although safetensors refuses it: {error}") from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = json.loads(header.get("__metadata__", {}).get(_LORA_METADATA, "{}"))
    kohya = {_kohya_name(part, name): (part, name, layer) for part, name, layer in _layers(base)}
    plain = {f"unet.{name}": ("unet", name, layer) for part, name, layer in _layers(base) if part == "unet"}
    added: dict[str, Tensor] = {}
    for names, down_key, up_key in ((kohya, "lora_down", "lora_up"), (plain, "lora_A", "lora_B")):
        for key, (part, name, layer) in names.items():
            down = tensors.pop(f"{key}.{down_key}.weight", None)
            up = tensors.pop(f"{key}.{up_key}.weight", None)
            alpha = tensors.pop(f"{key}.alpha", None)
            if down is None and up is None and alpha is None:
                continue
            if down is None or up is None:
                raise Silent(f"opened, although {key} is not complete")
            rank = down.shape[0]
            scale = _alpha(alpha, metadata, name, rank) / rank
            try:
                delta = (up.double().flatten(1) @ down.double().flatten(1)).reshape(layer.weight.shape)
            except RuntimeError as error:
                raise Silent(f"opened, although {key} does not fit: {error}") from error
            added[f"{part}.{name}.weight"] = delta * scale
    if tensors:
        raise Silent(f"opened, although nothing is known of {next(iter(tensors))}")
    return added


def _alpha(stated: Tensor | None, metadata: Mapping[str, object], name: str, rank: int) -> float:
    if stated is not None:
        return float(stated.flatten()[0]) if stated.numel() == 1 else math.nan
    pattern = metadata.get("unet.alpha_pattern") or {}
    assert isinstance(pattern, dict)
    value = pattern.get(name, metadata.get("unet.lora_alpha", rank))
    return float(value) if isinstance(value, int | float) else math.nan

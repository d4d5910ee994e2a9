"""A family of base models in one file, as a plug-in has it: ``--base tests/toy_family.py:toy``.

A velocity model of 3 x 8 x 8 pixels, which are its latents. Time is sigma in [0, 1): x_sigma is
(1 - sigma) x + sigma noise, the network says noise - x, and Euler steps lead back. Prompts are bags of
letters. On disk it is toy.json and toy.safetensors, its adapters are toy_lora.safetensors.
"""

import functools
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmark.core.errors import UnknownNameError, UnreadableFileError
from benchmark.core.records import Sampler
from benchmark.models import Family, ModelFacts
from benchmark.models.conditioning import Conditioning
from benchmark.models.families.base import LoraTargets, Pipeline, Precision
from benchmark.models.loading import resolve_precision
from benchmark.models.steps import SamplerSteps

SIDE, WIDTH, LETTERS = 8, 8, "abcdefghijklmnopqrstuvwxyz"


def _facts(place: Path) -> ModelFacts | None:
    return (
        ModelFacts(
            name=place.name,
            family=FAMILY,
            sampler=Sampler(name="euler", steps=4, guidance=1.5, batch_size=4),
            image_size=SIDE,
            latent_shape=(3, SIDE, SIDE),
            local=lambda: place,
        )
        if (place / "toy.json").is_file()
        else None
    )


FAMILY = Family(
    name="toy",
    load=lambda: ToyPipeline,
    facts=_facts,
    samplers=("euler",),
    checkpoints=("a folder with toy.safetensors or toy_lora.safetensors",),
)


def toy() -> ModelFacts:
    """A toy: 8 x 8 pixels, random weights that are always the same."""
    found = _facts(_weights())
    assert found is not None
    return replace(found, name="toy")


@functools.cache
def _weights() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fbench-toy-"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ToyNetwork(WIDTH)
    (folder / "toy.json").write_text(json.dumps({"width": WIDTH}))
    save_file(network.state_dict(), folder / "toy.safetensors")
    return folder


class ToyBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.mix = nn.Conv2d(width, width, 3, padding=1), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.mix(x.movedim(1, -1)).movedim(-1, 1)
        out: Tensor = x + self.conv(nn.functional.silu(mixed))
        return out


class ToyNetwork(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.told = nn.Linear(len(LETTERS) + 1, width)
        self.first, self.last = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)
        self.blocks = nn.ModuleList([ToyBlock(width), ToyBlock(width)])

    def forward(self, x: Tensor, sigma: Tensor, letters: Tensor) -> Tensor:
        told = self.told(torch.cat([letters, sigma.expand(len(x))[:, None]], dim=1))
        h = self.first(x) + told[:, :, None, None]
        for block in self.blocks:
            h = block(h)
        out: Tensor = self.last(h)
        return out


@final
class EulerSteps(SamplerSteps):
    def __init__(self, steps: int, device: torch.device) -> None:
        self._steps, self._device = steps, device
        self.times = 1 - torch.arange(steps, device=device) / steps

    def start(self, noise: Tensor) -> Tensor:
        return noise.to(self._device)

    def step(
        self, prediction: Tensor, t: Tensor, latents: Tensor, generators: list[torch.Generator]
    ) -> Tensor:
        return latents - prediction / self._steps


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class ToyPipeline(Pipeline):
    family: ClassVar[Family] = FAMILY
    toy: nn.Module

    @classmethod
    def open(
        cls, place: Path, facts: ModelFacts, device: torch.device, precision: str, revision: str
    ) -> "ToyPipeline":
        network = ToyNetwork(json.loads((place / "toy.json").read_text())["width"])
        network.load_state_dict(load_file(place / "toy.safetensors"))
        chosen = resolve_precision(precision, device)
        return cls(
            name=facts.name,
            device=device,
            precision=chosen,
            sampler=replace(facts.sampler, precision=chosen),
            revision=revision or FAMILY.content_hash(place),
            place=place,
            toy=network.requires_grad_(False).eval().to(device),
        )

    @property
    def network(self) -> nn.Module:
        return self.toy

    def with_network(self, network: nn.Module) -> "ToyPipeline":
        return replace(self, toy=network)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        return 3, SIDE, SIDE

    @property
    def image_size(self) -> int:
        return SIDE

    def encode_prompts(self, texts: list[str]) -> Conditioning:
        bags = [[text.lower().count(letter) / max(1, len(text)) for letter in LETTERS] for text in texts]
        return Conditioning({"letters": torch.tensor(bags, device=self.device)})

    def encode_empty(self) -> Conditioning:
        return self.encode_prompts([""])

    def prompt_encoders_id(self) -> list[object]:
        return [LETTERS]

    def encode_images(self, images: np.ndarray) -> Tensor:
        return torch.from_numpy(images).to(self.device).movedim(-1, 1).float() / 127.5 - 1

    def image_encoder_id(self) -> list[object]:
        return ["pixels"]

    def decode(self, latents: Tensor, precision: Precision | None = None) -> np.ndarray:
        pixels = ((latents.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).movedim(1, -1)
        return np.ascontiguousarray(pixels.cpu().numpy())

    def release_encoders(self) -> None:
        """There are none."""

    def sample_t(self, u: np.ndarray) -> Tensor:
        below = np.float32(np.nextafter(np.float32(1), np.float32(0)))
        return torch.from_numpy(np.minimum(u.astype(np.float32), below)).to(self.device)

    def noise_level(self, t: Tensor) -> Tensor:
        return t

    def add_noise(self, latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        sigma = t[:, None, None, None]
        return (1 - sigma) * latents + sigma * noise

    def target(self, latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        return noise - latents

    def predict(
        self,
        network: nn.Module,
        noisy: Tensor,
        t: Tensor,
        told: Conditioning,
        size_and_crop: Tensor | None = None,
        precision: Precision | None = None,
    ) -> Tensor:
        with self.autocast(precision):
            out: Tensor = network(noisy, t, told.parts["letters"])
        return out

    def sampler_steps(self, sampler: Sampler) -> SamplerSteps:
        if sampler.name not in FAMILY.samplers:
            raise UnknownNameError("sampler", sampler.name, FAMILY.samplers)
        return EulerSteps(sampler.steps, self.device)

    def trainable(self, *, gradient_checkpointing: bool = False, compiled: bool = False) -> nn.Module:
        return self.toy.requires_grad_(False)

    def lora_targets(self, which: LoraTargets) -> tuple[str, ...]:
        return ("mix",) if which == "attention" else ("mix", "conv")

    def blocks_to_shard(self, network: nn.Module) -> list[nn.Module]:
        return [module for module in network.modules() if isinstance(module, ToyBlock)]

    def empty_network(self) -> nn.Module:
        return ToyNetwork(WIDTH)

    def save_network(self, network: nn.Module, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "toy.json").write_text(json.dumps({"width": WIDTH}))
        weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        save_file(weights, folder / "toy.safetensors")

    def save_adapter(self, network: nn.Module, adapter_name: str, folder: Path) -> None:
        from peft.utils import get_peft_model_state_dict

        folder.mkdir(parents=True, exist_ok=True)
        layers = get_peft_model_state_dict(network, adapter_name=adapter_name)
        config: Any = network.peft_config
        scale = config[adapter_name].lora_alpha / config[adapter_name].r
        save_file(_on_cpu(layers), folder / "toy_lora.safetensors", {"scale": str(scale)})

    def open_policy(self, place: Path) -> "ToyPipeline":
        network = ToyNetwork(WIDTH)
        network.load_state_dict(self.toy.state_dict())
        if (file := place / "toy.safetensors").is_file():
            network.load_state_dict(load_file(file))
        elif (file := place / "toy_lora.safetensors").is_file():
            with safe_open(file, "pt") as opened:
                scale = float(opened.metadata()["scale"])
            layers = load_file(file)
            for name, a in layers.items():
                if name.endswith(".lora_A.weight"):
                    layer = network.get_submodule(name.removesuffix(".lora_A.weight"))
                    b = layers[name.replace("lora_A", "lora_B")]
                    weight = layer.get_parameter("weight")
                    delta = b.flatten(1) @ a.flatten(1)
                    weight.data += scale * delta.reshape(weight.shape)
        else:
            raise UnreadableFileError(place, f"a checkpoint of {self.name}", "it has no toy weights")
        return self.with_network(network.requires_grad_(False).eval().to(self.device))


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

"""Adapter files as trainers write them, with random numbers, and their merge in float64, index by index.

The kinds and spellings here are the ones that fbench says it opens; tests run over all of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline

# Every kind of layer that adapters are put on: (part, layer).
SD15 = (
    ("unet", "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"),
    ("unet", "up_blocks.0.attentions.1.transformer_blocks.0.attn2.to_k"),
    ("unet", "up_blocks.0.attentions.0.transformer_blocks.0.attn2.to_out.0"),
    ("unet", "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj"),
    ("unet", "mid_block.attentions.0.proj_in"),
    ("unet", "mid_block.resnets.1.time_emb_proj"),
    ("unet", "down_blocks.0.resnets.0.conv1"),
    ("unet", "up_blocks.1.resnets.0.conv_shortcut"),
    ("unet", "down_blocks.0.downsamplers.0.conv"),
    ("text_encoder", "encoder.layers.0.self_attn.q_proj"),
    ("text_encoder", "encoder.layers.1.mlp.fc1"),
)
SDXL = (*SD15, ("text_encoder_2", "text_model.encoder.layers.1.self_attn.out_proj"))
TARGETS = {"sd15": SD15, "sdxl": SDXL}


@dataclass(frozen=True)
class Made:
    """One layer's tensors by role, and what they add to the weight before alpha / rank."""

    tensors: Mapping[str, Tensor]
    delta: Tensor
    rank: int | None


def lora(g: torch.Generator, shape: torch.Size, rank: int) -> Made:
    down, up = _random(g, rank, *shape[1:]), _random(g, shape[0], rank, *[1] * (len(shape) - 2))
    delta = torch.einsum("or,ri->oi", up.double().flatten(1), down.double().flatten(1)).reshape(shape)
    return Made({"lora_down.weight": down, "lora_up.weight": up}, delta, rank)


def tucker(g: torch.Generator, shape: torch.Size, rank: int) -> Made:
    if len(shape) == 2 or shape[2] == 1:
        return lora(g, shape, rank)
    down, up = _random(g, rank, shape[1], 1, 1), _random(g, shape[0], rank, 1, 1)
    mid = _random(g, rank, rank, *shape[2:])
    delta = torch.einsum("or,rshw,si->oihw", *(t.double() for t in (up.flatten(1), mid, down.flatten(1))))
    return Made({"lora_down.weight": down, "lora_up.weight": up, "lora_mid.weight": mid}, delta, rank)


def loha(g: torch.Generator, shape: torch.Size, rank: int) -> Made:
    t = {f"hada_w{i}_{m}": _flat(g, shape, rank, m) for i in "12" for m in "ab"}
    first, second = (t[f"hada_w{i}_a"].double() @ t[f"hada_w{i}_b"].double() for i in "12")
    return Made(t, (first * second).reshape(shape), rank)


def loha_tucker(g: torch.Generator, shape: torch.Size, rank: int) -> Made:
    if len(shape) == 2 or shape[2] == 1:
        return loha(g, shape, rank)
    t: dict[str, Tensor] = {}
    factors = []
    for i in "12":
        one = {"w_a": _random(g, rank, shape[0]), "w_b": _random(g, rank, shape[1])}
        core = _random(g, rank, rank, *shape[2:])
        t |= {f"hada_w{i}_a": one["w_a"], f"hada_w{i}_b": one["w_b"], f"hada_t{i}": core}
        factors.append(
            torch.einsum("rshw,ro,si->oihw", core.double(), one["w_a"].double(), one["w_b"].double())
        )
    return Made(t, factors[0] * factors[1], rank)


def lokr(g: torch.Generator, shape: torch.Size, rank: int, *, whole: tuple[str, ...] = ("1",)) -> Made:
    """The left factor (2, 2), the right one the rest; `whole` ones are no products themselves."""
    left, right = (2, 2), (shape[0] // 2, shape[1] // 2, *shape[2:])
    t: dict[str, Tensor] = {}
    factors = []
    for i, size in (("1", left), ("2", right)):
        if i in whole:
            t[f"lokr_w{i}"] = _random(g, *size)
            factors.append(t[f"lokr_w{i}"].double())
        else:
            a, b = _random(g, size[0], rank), _flat(g, torch.Size(size), rank, "b")
            t |= {f"lokr_w{i}_a": a, f"lokr_w{i}_b": b}
            factors.append((a.double() @ b.double()).reshape(size))
    w1, w2 = factors[0], factors[1].flatten(2) if len(shape) > 2 else factors[1][..., None]
    delta = torch.einsum("ab,cdk->acbdk", w1, w2).reshape(shape)
    return Made(t, delta, None if set(whole) == {"1", "2"} else rank)


def lokr_whole(g: torch.Generator, shape: torch.Size, rank: int) -> Made:
    return lokr(g, shape, rank, whole=("1", "2"))


def lokr_products(g: torch.Generator, shape: torch.Size, rank: int) -> Made:
    return lokr(g, shape, rank, whole=())


def lokr_tucker(g: torch.Generator, shape: torch.Size, rank: int) -> Made:
    if len(shape) == 2 or shape[2] == 1:
        return lokr(g, shape, rank)
    w1, core = _random(g, 2, 2), _random(g, rank, rank, *shape[2:])
    a, b = _random(g, rank, shape[0] // 2), _random(g, rank, shape[1] // 2)
    w2 = torch.einsum("rshw,ro,si->oihw", core.double(), a.double(), b.double())
    delta = torch.einsum("ab,cdhw->acbdhw", w1.double(), w2).reshape(shape)
    return Made({"lokr_w1": w1, "lokr_w2_a": a, "lokr_w2_b": b, "lokr_t2": core}, delta, rank)


KINDS: dict[str, Callable[[torch.Generator, torch.Size, int], Made]] = {
    "lora": lora,
    "tucker": tucker,
    "loha": loha,
    "loha tucker": loha_tucker,
    "lokr": lokr,
    "lokr whole": lokr_whole,
    "lokr products": lokr_products,
    "lokr tucker": lokr_tucker,
}


def dora(weight: Tensor, magnitude: Tensor, axis: int) -> Tensor:
    """The weight's direction for each output (axis 0) or input (1), with that magnitude."""
    turned = weight.transpose(0, axis).flatten(1)
    scaled = turned / (turned**2).sum(1, keepdim=True).sqrt() * magnitude.double().reshape(-1, 1)
    return scaled.reshape(weight.transpose(0, axis).shape).transpose(0, axis)


# How tools spell (part, layer): what stands before a role.
def kohya(part: str, layer: str) -> str:
    prefix = {"unet": "lora_unet_", "text_encoder": "lora_te_", "text_encoder_2": "lora_te2_"}[part]
    return prefix + _published(part, layer).replace(".", "_")


def kohya_xl(part: str, layer: str) -> str:
    return kohya(part, layer).replace("lora_te_", "lora_te1_")


def onetrainer(part: str, layer: str) -> str:
    prefix = {"unet": "lora_unet.", "text_encoder": "lora_te1.", "text_encoder_2": "lora_te2."}[part]
    return prefix + _published(part, layer)


def diffusers(part: str, layer: str) -> str:
    return f"{part}.{_published(part, layer)}"


def simpletuner(part: str, layer: str) -> str:
    """LyCORIS as a wrapper of one network, which is the UNet."""
    assert part == "unet"
    return "lycoris_" + layer.replace(".", "_")


def bare(part: str, layer: str) -> str:
    """No prefix: a file for the UNet alone."""
    assert part == "unet"
    return layer


SPELLINGS = {
    "kohya": kohya,
    "kohya_xl": kohya_xl,
    "onetrainer": onetrainer,
    "diffusers": diffusers,
    "simpletuner": simpletuner,
    "bare": bare,
}


def write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata=metadata)
    return path


def module(pipeline: Pipeline, part: str, layer: str) -> Any:
    network: nn.Module = getattr(pipeline, part)
    return network.get_submodule(layer)


def parts(pipeline: Pipeline) -> Iterator[tuple[str, nn.Module]]:
    for part in ("unet", "text_encoder", "text_encoder_2"):
        if (network := getattr(pipeline, part, None)) is not None:
            yield part, network


def weights(pipeline: Pipeline) -> dict[str, Tensor]:
    """All weights that an adapter may change, by part and name."""
    return {f"{part}.{name}": p for part, net in parts(pipeline) for name, p in net.state_dict().items()}


def _published(part: str, layer: str) -> str:
    """With the prefix that published text encoders have and today's transformers has not."""
    return layer if part == "unet" else f"text_model.{layer.removeprefix('text_model.')}"


def _random(g: torch.Generator, *shape: int) -> Tensor:
    return (torch.randn(*shape, generator=g) * 0.35).half()


def _flat(g: torch.Generator, shape: torch.Size, rank: int, side: str) -> Tensor:
    """(out, rank) or (rank, in * kernel)."""
    return _random(g, shape[0], rank) if side == "a" else _random(g, rank, shape[1:].numel())

"""How trainers spell the layers of a UNet and of its text encoders in adapter files."""

import re
from collections.abc import Iterator, Mapping

from diffusers import UNet2DConditionModel
from torch import nn

from benchmark.models.adapters.names import (
    ANY_ADAPTER,
    EMBEDDINGS,
    OTHER_BASE,
    OTHER_KINDS,
    Foreign,
    LayerNames,
    text_spellings,
)

_PART = re.compile(
    r"(?P<unet>lora_unet[._]|unet\.|(?:model\.)?diffusion_model\.)"
    r"|(?P<text_encoder_2>lora_te2[._]|text_encoder_2\.)"
    r"|(?P<text_encoder>lora_te1?[._]|text_encoder\.)"
)
_FOREIGN: tuple[Foreign, ...] = (
    EMBEDDINGS,
    (
        r"lora_te3|text_encoder_3|t5xxl|(?:double|single|joint)_(?:\w+_)?(?:layers|blocks)|^transformer\.",
        "of a diffusion transformer",
        OTHER_BASE,
    ),
    *OTHER_KINDS,
    (
        r"^(?:unet\.)?blocks\.\d+\.",
        "in DiffSynth's own names",
        "export it from DiffSynth in diffusers' names",
    ),
    (r"lora_te2|text_encoder_2|conditioner\.embedders\.1", "of SDXL's second text encoder", OTHER_BASE),
    ANY_ADAPTER,
)


def layer_names(networks: Mapping[str, nn.Module]) -> LayerNames:
    """All layers of a model by every spelling of their names.

    Args:
        networks: The UNet and the text encoders.
    """
    spellings = {
        part: (_unet_spellings if part == "unet" else text_spellings)(network)
        for part, network in networks.items()
    }
    return LayerNames(networks, spellings, _PART, _FOREIGN)


def _unet_spellings(unet: UNet2DConditionModel) -> dict[str, list[str]]:
    return {name: [*_processors(name), *original_name(name, unet)] for name, _ in unet.named_modules()}


def _processors(name: str) -> Iterator[str]:
    """As diffusers named LoRAs in 2023, when an attention's processor held them."""
    if match := re.fullmatch(r"(.+\.attn\d)\.(to_(?:q|k|v|out))(\.0)?", name):
        yield f"{match[1]}.processor.{match[2]}"


_OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_BLOCK = re.compile(
    r"(down|mid|up)_block(?:s\.(\d+))?\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)"
)


def original_name(name: str, unet: UNet2DConditionModel) -> Iterator[str]:
    """The name in the UNet of the original code, on which kohya's scripts train SDXL, if it has one.

    There the blocks of one side are counted through: a block of L layers and its sampler are L + 1 of them.
    """
    if name in _OUTSIDE:
        yield _OUTSIDE[name]
    match, layers = _BLOCK.fullmatch(name), unet.config.layers_per_block
    if match is None or not isinstance(layers, int):
        return
    side, kind, inner = match[1], match[3], _RESNET.get(match[5], match[5])
    block, index = int(match[2] or 0), int(match[4])
    last = (block + 1) * (layers + 1)
    if side == "mid":
        yield f"middle_block.{2 * index if kind == 'resnets' else 1}.{inner}"
    elif kind == "downsamplers":
        yield f"input_blocks.{last}.0.op"
    elif kind == "upsamplers":
        has_attention = hasattr(unet.get_submodule(f"up_blocks.{block}"), "attentions")
        yield f"output_blocks.{last - 1}.{2 if has_attention else 1}.conv"
    else:
        number = block * (layers + 1) + index + (side == "down")
        yield f"{'input' if side == 'down' else 'output'}_blocks.{number}.{int(kind == 'attentions')}.{inner}"

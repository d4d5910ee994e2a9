"""How trainers spell FLUX's layers in adapter files: also as the original code does, and as XLabs does.

The original code, on which kohya's scripts train, has queries, keys and values in one matrix, in the single
blocks together with the first layer of the feed-forward part.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from torch import nn

from benchmark.models.adapters.joined import Rows
from benchmark.models.adapters.names import MERGE, Foreign, LayerNames
from benchmark.models.flow.names import CONVERT, FOREIGN, WHOLE, layer_names

_BLOCK: Final = re.compile(r"(?P<single>single_)?transformer_blocks\.(?P<number>\d+)\.(?P<inner>.+)")
_EMBEDDINGS: Final[Mapping[str, str]] = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "proj_out": "final_layer.linear",
}
_DOUBLE: Final[Mapping[str, Sequence[str]]] = {
    "attn.to_out.0": ("img_attn.proj", "processor.proj_lora1"),
    "attn.to_add_out": ("txt_attn.proj", "processor.proj_lora2"),
    "attn.norm_q": ("img_attn.norm.query_norm",),
    "attn.norm_k": ("img_attn.norm.key_norm",),
    "attn.norm_added_q": ("txt_attn.norm.query_norm",),
    "attn.norm_added_k": ("txt_attn.norm.key_norm",),
    "ff.net.0.proj": ("img_mlp.0",),
    "ff.net.2": ("img_mlp.2",),
    "ff_context.net.0.proj": ("txt_mlp.0",),
    "ff_context.net.2": ("txt_mlp.2",),
    "norm1.linear": ("img_mod.lin",),
    "norm1_context.linear": ("txt_mod.lin",),
}
_SINGLE: Final[Mapping[str, Sequence[str]]] = {
    "proj_out": ("linear2", "processor.proj"),
    "attn.norm_q": ("norm.query_norm",),
    "attn.norm_k": ("norm.key_norm",),
    "norm.linear": ("modulation.lin",),
}
_IMAGE: Final = ("attn.to_q", "attn.to_k", "attn.to_v")
_TEXT: Final = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")
_JOINED_DOUBLE: Final[Mapping[str, Sequence[str]]] = {
    "img_attn.qkv": _IMAGE,
    "processor.qkv_lora1": _IMAGE,
    "txt_attn.qkv": _TEXT,
    "processor.qkv_lora2": _TEXT,
}
_JOINED_SINGLE: Final[Mapping[str, Sequence[str]]] = {
    "linear1": (*_IMAGE, "proj_mlp"),
    "processor.qkv": _IMAGE,
}
_FOREIGN: Final[tuple[Foreign, ...]] = (
    # A whole transformer has the norms of a control-LoRA as well.
    WHOLE,
    (
        r"query_norm\.scale|key_norm\.scale",
        "of a control-LoRA, which is conditioned on images",
        MERGE,
    ),
    (
        r"lora_te[23]|text_encoder_2|t5xxl",
        "of T5, which no adapter changes here",
        "leave T5 out of the file, as plain diffusers does",
    ),
    *(foreign for foreign in FOREIGN if foreign[-1] != CONVERT),
)


def flux_names(networks: Mapping[str, nn.Module]) -> LayerNames:
    """All layers of FLUX by every spelling of their names.

    Args:
        networks: The transformer, and CLIP where it is there.
    """
    names = [name for name, _ in networks["transformer"].named_modules()]
    spellings = {name: list(_spellings(name)) for name in names}
    return layer_names(networks, spellings, _FOREIGN, dict(_joined(names)))


def _spellings(name: str) -> Iterator[str]:
    if name in _EMBEDDINGS:
        yield _EMBEDDINGS[name]
    if match := _BLOCK.fullmatch(name):
        known, block = (_SINGLE, "single") if match["single"] else (_DOUBLE, "double")
        yield from (f"{block}_blocks.{match['number']}.{other}" for other in known.get(match["inner"], ()))


def _joined(names: Sequence[str]) -> Iterator[tuple[str, tuple[Rows, ...]]]:
    """The original code's layers that are several of diffusers', and one whose halves it has in reverse."""
    for name in names:
        match = re.fullmatch(r"(single_)?transformer_blocks\.(\d+)", name)
        if match is not None:
            known, block = (_JOINED_SINGLE, "single") if match[1] else (_JOINED_DOUBLE, "double")
            for other, parts in known.items():
                yield f"{block}_blocks.{match[2]}.{other}", tuple(Rows(f"{name}.{part}") for part in parts)
    # First what shifts, then what scales.
    halves = Rows("norm_out.linear", 1, 2), Rows("norm_out.linear", 0, 2)
    yield "final_layer.adaLN_modulation.1", halves

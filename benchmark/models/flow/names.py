"""How trainers spell the layers of diffusion transformers in adapter files.

A name is looked up among the layers of diffusers' own network, with dots or underscores, behind
`transformer.`, `lora_transformer_`, `lora_unet_`, `diffusion_model.` or nothing. PEFT's name of the adapter
may stand in it, as DiffSynth writes it (`lora_A.default_0.default.weight`), which plain diffusers refuses.
What another code calls its layers, and what it has in one matrix where diffusers has three, a family may say;
else it is refused, and the tool that wrote it is named.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from torch import nn

from benchmark.models.adapters.joined import Joined
from benchmark.models.adapters.names import (
    ANY_ADAPTER,
    EMBEDDINGS,
    OTHER_BASE,
    OTHER_KINDS,
    Foreign,
    LayerNames,
    Spellings,
    text_spellings,
)

_PREFIXES: Final = re.compile(
    r"(?P<transformer>lora_transformer[._]|lora_unet[._]|transformer\.|(?:model\.)?diffusion_model\.)"
    r"|(?P<text_encoder_2>lora_te2[._]|text_encoder_2\.)"
    r"|(?P<text_encoder>lora_te1?[._]|text_encoder\.|text_encoders\.clip_l\.transformer\.)"
)
JOINT_ATTENTION: Final = (
    "attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "attn.add_q_proj", "attn.add_k_proj",
    "attn.add_v_proj", "attn.to_add_out",
)  # fmt: skip
"""The layers of diffusers' attention over images and text side by side, by the ends of their names."""
CONVERT: Final = "convert it to diffusers' names with the tool that wrote it, which splits these matrices"
WHOLE: Final[Foreign] = (
    r"(?:double|single|joint|transformer)_blocks\.\d+\.(?:\w+\.)*(?:qkv|linear1|to_q)\.weight$",
    "of a whole transformer, which is no adapter",
    "give a folder of it in diffusers' layout, with its config.json",
)
FOREIGN: Final[tuple[Foreign, ...]] = (
    EMBEDDINGS,
    WHOLE,
    (r"lora_te3|text_encoder_3|t5xxl", "of a third text encoder, which no adapter changes here", OTHER_BASE),
    (
        r"(?:joint|double|single)_blocks[._]\d+",
        "in the original code's names, as kohya writes them: queries, keys and values in one matrix",
        CONVERT,
    ),
    (
        r"^(?:\w+\.)*blocks\.\d+\.(?:block_[ab]|ff_[ab]|norm\w*_[ab]|attn\.[ab]_)",
        "in DiffSynth's own names",
        "export it from DiffSynth in diffusers' names",
    ),
    *OTHER_KINDS,
    ANY_ADAPTER,
)


def layer_names(
    networks: Mapping[str, nn.Module],
    more: Spellings | None = None,
    foreign: Sequence[Foreign] = FOREIGN,
    joined: Joined | None = None,
) -> LayerNames:
    """All layers of a model by every spelling of their names.

    Args:
        networks: The transformer, as `transformer`, and the text encoders that an adapter may change.
        more: Other names of the transformer's layers, by their own.
        foreign: What else a file may hold.
        joined: Layers of another code that are several of the transformer's.
    """
    spellings: dict[str, Spellings] = {
        part: (more or {}) if part == "transformer" else text_spellings(network)
        for part, network in networks.items()
    }
    return LayerNames(networks, spellings, _PREFIXES, foreign, {"transformer": joined or {}})

"""Names of tensors in adapter files, in every spelling that trainers use, and the layers they mean.

A name is a part (`lora_unet_`, `text_encoder.`), a layer (`down_blocks.0...to_q`, also with underscores, or
as the original UNet has it: `input_blocks_1_1...`) and a role (`.lora_down.weight`, `.lora_A.weight`,
`.alpha`).
A layer is looked up among those that the model has, so no name is ever guessed at.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import final

from diffusers import UNet2DConditionModel
from torch import nn

from benchmark.models.adapters import Names, Place

_PART = re.compile(
    r"(?P<unet>lora_unet[._]|unet\.|(?:model\.)?diffusion_model\.)"
    r"|(?P<text_encoder_2>lora_te2[._]|text_encoder_2\.)"
    r"|(?P<text_encoder>lora_te1?[._]|text_encoder\.)"
)
_WRAPPER = re.compile(r"base_model\.model\.|lycoris[._]")
_TENSOR = re.compile(
    r"(?P<layer>.+?)(?:"
    r"[._]lora(?:_linear_layer)?\.(?P<way>down|up)\.weight"
    r"|\.lora_(?P<matrix>A|B|down|up|mid)(?P<adapter>(?:\.\w+)*?)\.(?P<kind>weight|bias)"
    r"|\.lora_(?P<magnitude>magnitude_vector)(?P<whose>(?:\.\w+)*?)(?:\.weight)?"
    r"|\.(?P<role>alpha|dora_scale|diff|diff_b|w_norm|b_norm|hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2))"
    r")"
)
_MATRICES = {"A": "down", "B": "up"}


# What a tensor is that has no place in the model, by the names that tools give: the first match counts.
_MERGE = "merge it into the base with the tool that wrote it and give the merged model's folder"
_TAKE_OUT = "take it out of the file; fbench's prompts use the model's own tokens"
_OTHER_BASE = "give the base model that it was trained on with --base"

_FOREIGN = (
    (r"bundle_emb\.|string_to_param|emb_params|^clip_[lg]$", "a textual inversion embedding", _TAKE_OUT),
    (
        r"lora_te3|text_encoder_3|t5xxl|(?:double|single|joint)_(?:stream_|transformer_)?(?:layers|blocks)|^transformer\.",
        "of a transformer such as FLUX's or Stable Diffusion 3's",
        "fbench opens Stable Diffusion 1.x and SDXL",
    ),
    (r"oft_|boft", "of an OFT or BOFT adapter", _MERGE),
    (r"ia3|\.on_input$", "of an IA3 adapter", _MERGE),
    (r"\.(?:a[12]|b[12m])\.weight$|glora", "of a GLoRA adapter", _MERGE),
    (r"vera_|lora_E$|ranknum|lora_embedding_|lora_[pq]_layer|\.lambda_layer", "of a variant of LoRA", _MERGE),
    (r"custom_diffusion", "of Custom Diffusion", _MERGE),
    (r"ip_adapter|image_proj|to_[kv]_ip", "of an IP-Adapter, which is conditioned on images", _MERGE),
    (r"lora_controlnet|input_hint_block|control_model|controlnet", "of a ControlNet or control-LoRA", _MERGE),
    (
        r"^(?:model\.diffusion_model|first_stage_model|cond_stage_model|conditioner)\.",
        "of a whole checkpoint",
        _MERGE,
    ),
    (r"modules_to_save", "a whole layer that PEFT saved beside the adapter", _MERGE),
    (
        r"^(?:unet\.)?blocks\.\d+\.",
        "in DiffSynth's own names",
        "export it from DiffSynth in diffusers' names",
    ),
    (r"lora_te2|text_encoder_2|conditioner\.embedders\.1", "of SDXL's second text encoder", _OTHER_BASE),
    (r"lora_|lokr_|hada_|\.alpha$|\.diff(?:_b)?$|[wb]_norm$|dora_scale", "", _OTHER_BASE),
)


@final
class LayerNames(Names):
    """All layers of a model by every spelling of their names.

    Args:
        networks: The UNet and the text encoders.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._layers = {
            part: _spelled(network, (_unet_spellings if part == "unet" else _text_spellings)(network))
            for part, network in networks.items()
        }

    def find(self, name: str, part: str = "") -> Place | None:
        """Where a tensor of a file belongs; None if its name means nothing in this model.

        Args:
            name: As the file has it.
            part: What a name without a prefix belongs to; empty: the only part that has such a layer.
        """
        prefix, name = _split(name)
        part = prefix or part
        match = _TENSOR.fullmatch(name)
        if match is None:
            return None
        key = match["layer"].replace(".", "_")
        parts = [p for p in ([part] if part else self._layers) if key in self._layers.get(p, {})]
        role = _role(match)
        if len(parts) != 1 or not role:
            return None
        layer = self._layers[parts[0]][key]
        return Place(parts[0], layer, role, match["layer"], match["adapter"] or match["whose"] or "")

    def what_it_is(self, unknown: Sequence[str]) -> tuple[str, str, str]:
        """The tensor that tells best what a file is: its name, what it is after a comma, and what to do.

        Args:
            unknown: Names that have no place in the model.
        """
        for pattern, kind, do in _FOREIGN:
            if name := next((name for name in unknown if re.search(pattern, name)), ""):
                return name, (f", {kind}" if kind else ""), do
        ends = "lora_down.weight, lora_A.weight, hada_w1_a, lokr_w1, diff or the like"
        return unknown[0], "", f"an adapter's tensors end in {ends}"


def _split(name: str) -> tuple[str, str]:
    """A name's part, and the rest without the prefixes of part and wrappers."""
    part = ""
    while True:
        if wrapper := _WRAPPER.match(name):
            name = name[wrapper.end() :]
        elif (prefix := _PART.match(name)) and not part:
            part, name = str(prefix.lastgroup), name[prefix.end() :]
        else:
            return part, name


def _role(match: re.Match[str]) -> str:
    if match["matrix"]:
        matrix = _MATRICES.get(match["matrix"], match["matrix"])
        bias = match["kind"] == "bias"
        return ("up_bias" if match["matrix"] == "B" else "") if bias else matrix
    return match["way"] or match["role"] or "magnitude"


def _spelled(network: nn.Module, spellings: Mapping[str, list[str]]) -> dict[str, str]:
    """Layers with a weight, by names with underscores; a layer's own name goes before other spellings."""
    names = [name for name, module in network.named_modules() if isinstance(_weight(module), nn.Parameter)]
    found = {name.replace(".", "_"): name for name in names}
    for name in names:
        for other in spellings.get(name, ()):
            found.setdefault(other.replace(".", "_"), name)
    return found


def _weight(module: nn.Module) -> object:
    return None if isinstance(module, nn.Embedding) else getattr(module, "weight", None)


def _text_spellings(encoder: nn.Module) -> dict[str, list[str]]:
    """With and without `text_model.`, which transformers dropped, and as diffusers had attention in 2023."""
    found = {}
    for name, _ in encoder.named_modules():
        short = name.removeprefix("text_model.")
        both = [short, f"text_model.{short}"]
        old = [re.sub(r"self_attn\.(q|k|v|out)_proj$", r"self_attn.to_\1", one) for one in both]
        found[name] = [*both, *old]
    return found


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

"""Names of tensors in adapter files, in every spelling that trainers use, and the layers they mean.

A name is a part (`lora_unet_`, `text_encoder.`), a layer (`down_blocks.0...to_q`, also with underscores, or
in another spelling that its family knows) and a role (`.lora_down.weight`, `.lora_A.weight`, `.alpha`).
A layer is looked up among those that the model has, so no name is ever guessed at.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias, final

from torch import nn

from benchmark.models.adapters.joined import Joined, Rows
from benchmark.models.adapters.layers import Names, Place

Spellings: TypeAlias = Mapping[str, list[str]]
"""Other names of layers, by the layer's own."""
Foreign: TypeAlias = tuple[str, str, str]
"""What a tensor is that has no place in the model: a pattern of its name, what it is, and what to do."""

_WRAPPER = re.compile(r"base_model\.model\.|lycoris[._]")
# Where a layer of XLabs has two adapters, for image and text, their numbers belong to the layer's name.
_TENSOR = re.compile(
    r"(?P<layer>.+?)(?:"
    r"[._]lora(?:_linear_layer)?\.(?P<way>down|up)\.weight"
    r"|(?<=_lora[12])\.(?P<numbered>down|up)\.weight"
    r"|\.lora_(?P<matrix>A|B|down|up|mid)(?P<adapter>(?:\.\w+)*?)\.(?P<kind>weight|bias)"
    r"|\.lora_(?P<magnitude>magnitude_vector)(?P<whose>(?:\.\w+)*?)(?:\.weight)?"
    r"|\.(?P<role>alpha|dora_scale|diff|diff_b|w_norm|b_norm|hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2))"
    r")"
)
_MATRICES = {"A": "down", "B": "up"}

MERGE = "merge it into the base with the tool that wrote it and give the merged model's folder"
OTHER_BASE = "give the base model that it was trained on with --base"
_TAKE_OUT = "take it out of the file; fbench's prompts use the model's own tokens"

# The first match counts.
EMBEDDINGS: Foreign = (
    r"bundle_emb\.|string_to_param|emb_params|^clip_[lg]$", "a textual inversion embedding", _TAKE_OUT
)  # fmt: skip
OTHER_KINDS: tuple[Foreign, ...] = (
    (r"oft_|boft", "of an OFT or BOFT adapter", MERGE),
    (r"ia3|\.on_input$", "of an IA3 adapter", MERGE),
    (r"\.(?:a[12]|b[12m])\.weight$|glora", "of a GLoRA adapter", MERGE),
    (r"vera_|lora_E$|ranknum|lora_embedding_|lora_[pq]_layer|\.lambda_layer", "of a variant of LoRA", MERGE),
    (r"custom_diffusion", "of Custom Diffusion", MERGE),
    (r"ip_adapter|image_proj|to_[kv]_ip", "of an IP-Adapter, which is conditioned on images", MERGE),
    (r"lora_controlnet|input_hint_block|control_model|controlnet", "of a ControlNet or control-LoRA", MERGE),
    (
        r"^(?:model\.diffusion_model|first_stage_model|cond_stage_model|conditioner)\.",
        "of a whole checkpoint",
        MERGE,
    ),
    (r"modules_to_save", "a whole layer that PEFT saved beside the adapter", MERGE),
)
ANY_ADAPTER: Foreign = (
    r"lora_|lokr_|hada_|\.alpha$|\.diff(?:_b)?$|[wb]_norm$|dora_scale", "", OTHER_BASE
)  # fmt: skip


@final
class LayerNames(Names):
    """All layers of a model by every spelling of their names.

    Args:
        networks: The networks that an adapter may change.
        spellings: Of the layers of each of them.
        prefixes: Matches the start of a name that says its part: the group of that name.
        foreign: What else a file may hold, the first match counts.
        joined: Of the networks whose layers another code joins, those of that code.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        spellings: Mapping[str, Spellings],
        prefixes: re.Pattern[str],
        foreign: Sequence[Foreign],
        joined: Mapping[str, Joined] | None = None,
    ) -> None:
        self._layers: dict[str, dict[str, tuple[str, tuple[Rows, ...]]]] = {}
        for part, network in networks.items():
            own = {key: (name, ()) for key, name in _spelled(network, spellings[part]).items()}
            others = (joined or {}).get(part, {})
            self._layers[part] = {n.replace(".", "_"): (n, rows) for n, rows in others.items()} | own
        self._prefixes, self._foreign = prefixes, foreign

    def find(self, name: str, part: str = "") -> Place | None:
        """Where a tensor of a file belongs; None if its name means nothing in this model.

        Args:
            name: As the file has it.
            part: What a name without a prefix belongs to; empty: the only part that has such a layer.
        """
        prefix, name = self._split(name)
        part = prefix or part
        match = _TENSOR.fullmatch(name)
        if match is None:
            return None
        key = match["layer"].replace(".", "_")
        parts = [p for p in ([part] if part else self._layers) if key in self._layers.get(p, {})]
        role = _role(match)
        if len(parts) != 1 or not role:
            return None
        layer, rows = self._layers[parts[0]][key]
        return Place(parts[0], layer, role, match["layer"], match["adapter"] or match["whose"] or "", rows)

    def what_it_is(self, unknown: Sequence[str]) -> tuple[str, str, str]:
        """The tensor that tells best what a file is: its name, what it is after a comma, and what to do.

        Args:
            unknown: Names that have no place in the model.
        """
        for pattern, kind, do in self._foreign:
            if name := next((name for name in unknown if re.search(pattern, name)), ""):
                return name, (f", {kind}" if kind else ""), do
        ends = "lora_down.weight, lora_A.weight, hada_w1_a, lokr_w1, diff or the like"
        return unknown[0], "", f"an adapter's tensors end in {ends}"

    def _split(self, name: str) -> tuple[str, str]:
        """A name's part, and the rest without the prefixes of part and wrappers."""
        part = ""
        while True:
            if wrapper := _WRAPPER.match(name):
                name = name[wrapper.end() :]
            elif (prefix := self._prefixes.match(name)) and not part:
                part, name = str(prefix.lastgroup), name[prefix.end() :]
            else:
                return part, name


def text_spellings(encoder: nn.Module) -> Spellings:
    """With and without `text_model.`, which transformers dropped, and as diffusers had attention in 2023."""
    found = {}
    for name, _ in encoder.named_modules():
        short = name.removeprefix("text_model.")
        both = [short, f"text_model.{short}"]
        old = [re.sub(r"self_attn\.(q|k|v|out)_proj$", r"self_attn.to_\1", one) for one in both]
        found[name] = [*both, *old]
    return found


def _role(match: re.Match[str]) -> str:
    if match["matrix"]:
        matrix = _MATRICES.get(match["matrix"], match["matrix"])
        bias = match["kind"] == "bias"
        return ("up_bias" if match["matrix"] == "B" else "") if bias else matrix
    return match["way"] or match["numbered"] or match["role"] or "magnitude"


def _spelled(network: nn.Module, spellings: Spellings) -> dict[str, str]:
    """Layers with a weight, by names with underscores; a layer's own name goes before other spellings."""
    names = [name for name, module in network.named_modules() if isinstance(_weight(module), nn.Parameter)]
    found = {name.replace(".", "_"): name for name in names}
    for name in names:
        for other in spellings.get(name, ()):
            found.setdefault(other.replace(".", "_"), name)
    return found


def _weight(module: nn.Module) -> object:
    return None if isinstance(module, nn.Embedding) else getattr(module, "weight", None)

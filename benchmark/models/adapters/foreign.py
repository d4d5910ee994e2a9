"""What a tensor is that has no place in the model, by the names that tools give: first match counts."""

import re
from collections.abc import Sequence

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


def what_it_is(unknown: Sequence[str]) -> tuple[str, str, str]:
    """The tensor that tells best what a file is: its name, what it is with a comma before it, and what to do.

    Args:
        unknown: Names that have no place in the model.
    """
    for pattern, kind, do in _FOREIGN:
        if name := next((name for name in unknown if re.search(pattern, name)), ""):
            return name, (f", {kind}" if kind else ""), do
    ends = "an adapter's tensors end in lora_down.weight, lora_A.weight, hada_w1_a, lokr_w1, diff or the like"
    return unknown[0], "", ends

"""Whole models in one file, written from folders under the names of the original code.

The inverse of what is tested: no converter of a library is asked.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import save_file
from torch import Tensor

State = dict[str, Tensor]

_RESNET = (
    ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("norm2", "out_layers.0"), ("conv2", "out_layers.3"),
    ("time_emb_proj", "emb_layers.1"), ("conv_shortcut", "skip_connection"),
)  # fmt: skip
_TOP = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
}  # fmt: skip


def plain(folder: Path) -> Any:
    """The folder's pipeline as a script without fbench opens it."""
    kind = StableDiffusionXLPipeline if (folder / "text_encoder_2").is_dir() else StableDiffusionPipeline
    return kind.from_pretrained(folder).to(torch.float32)


def networks(pipe: Any) -> dict[str, State]:
    """The weights of each network by its name."""
    names = ("unet", "vae", "text_encoder", "text_encoder_2")
    return {name: getattr(pipe, name).state_dict() for name in names if getattr(pipe, name, None) is not None}


def whole_model(pipe: Any) -> State:
    """Every weight of a pipeline under its original name."""
    xl = hasattr(pipe, "text_encoder_2")
    state = {f"model.diffusion_model.{name}": value for name, value in unet_names(pipe.unet).items()}
    state |= {f"first_stage_model.{name}": value for name, value in vae_names(pipe.vae).items()}
    first = "conditioner.embedders.0.transformer." if xl else "cond_stage_model.transformer."
    for name, value in pipe.text_encoder.state_dict().items():
        state[f"{first}text_model.{name.removeprefix('text_model.')}"] = value
    if xl:
        second = open_clip_names(pipe.text_encoder_2.state_dict())
        state |= {f"conditioner.embedders.1.model.{name}": value for name, value in second.items()}
    return {name: value.clone().contiguous() for name, value in state.items()}


def write(file: Path, state: State, metadata: dict[str, str] | None = None) -> Path:
    """A state as a file of its ending's format."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".safetensors":
        save_file(state, file, metadata=metadata)
    else:
        torch.save({"state_dict": state, "global_step": 1000}, file)
    return file


def unet_names(unet: Any) -> State:
    """A UNet's weights under the names of its original code."""
    places = dict(_unet_places(unet.config))
    found = {}
    for name, value in unet.state_dict().items():
        for own, original in (*_TOP.items(), *places.items()):
            if name.startswith(own + "."):
                rest = name.removeprefix(own)
                if ".resnets." in own:
                    for a, b in _RESNET:
                        rest = rest.replace(f".{a}.", f".{b}.")
                found[original + rest] = value
                break
        else:
            raise ValueError(name)
    return found


def _unet_places(config: Any) -> Iterator[tuple[str, str]]:
    n = 1
    layers, blocks = config.layers_per_block, len(config.down_block_types)
    for b in range(blocks):
        for i in range(layers):
            yield f"down_blocks.{b}.resnets.{i}", f"input_blocks.{n}.0"
            yield f"down_blocks.{b}.attentions.{i}", f"input_blocks.{n}.1"
            n += 1
        if b < blocks - 1:
            yield f"down_blocks.{b}.downsamplers.0.conv", f"input_blocks.{n}.0.op"
            n += 1
    yield "mid_block.resnets.0", "middle_block.0"
    yield "mid_block.attentions.0", "middle_block.1"
    yield "mid_block.resnets.1", "middle_block.2"
    n = 0
    for b, kind in enumerate(config.up_block_types):
        for i in range(layers + 1):
            yield f"up_blocks.{b}.resnets.{i}", f"output_blocks.{n}.0"
            yield f"up_blocks.{b}.attentions.{i}", f"output_blocks.{n}.1"
            n += 1
        yield f"up_blocks.{b}.upsamplers.0", f"output_blocks.{n - 1}.{2 if 'Attn' in kind else 1}"


def vae_names(vae: Any) -> State:
    """An autoencoder's weights under its original code's names; attention is made of convolutions there."""
    last = len(vae.config.up_block_types) - 1
    renamed = {
        "mid_block.resnets.0": "mid.block_1", "mid_block.resnets.1": "mid.block_2",
        "conv_norm_out": "norm_out", "conv_shortcut": "nin_shortcut", "mid_block.attentions.0.group_norm": "mid.attn_1.norm",
        "mid_block.attentions.0.to_out.0": "mid.attn_1.proj_out", "mid_block.attentions.0.to_": "mid.attn_1.",
    }  # fmt: skip
    for i in range(last + 1):
        renamed[f"up_blocks.{i}.resnets."] = f"up.{last - i}.block."
        renamed[f"up_blocks.{i}.upsamplers.0."] = f"up.{last - i}.upsample."
        renamed[f"down_blocks.{i}.resnets."] = f"down.{i}.block."
        renamed[f"down_blocks.{i}.downsamplers.0."] = f"down.{i}.downsample."
    return {
        _replaced(name, renamed): value[:, :, None, None] if ".to_" in name and value.ndim == 2 else value
        for name, value in vae.state_dict().items()
    }


_OPEN_CLIP = {
    "text_model.": "", "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.token": "token", "encoder.layers.": "transformer.resblocks.", "layer_norm1": "ln_1", "layer_norm2": "ln_2",
    "self_attn.": "attn.", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "final_layer_norm": "ln_final",
    "text_projection.weight": "text_projection",
}  # fmt: skip


def open_clip_names(state: State) -> State:
    """SDXL's second text encoder as open_clip calls it, with queries, keys and values in one tensor."""
    found: State = {}
    for name, value in state.items():
        original = _replaced(name, _OPEN_CLIP)
        if ".q_proj." in original:
            parts = [state[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"]
            found[original.replace("q_proj.", "in_proj_")] = torch.cat(parts)
        elif ".k_proj." not in original and ".v_proj." not in original:
            found[original] = value.T if original == "text_projection" else value
    return found


def _replaced(name: str, pairs: dict[str, str]) -> str:
    for old, new in pairs.items():
        name = name.replace(old, new)
    return name

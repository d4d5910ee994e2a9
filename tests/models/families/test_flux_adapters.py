"""Adapters of FLUX.1 in every spelling that plain diffusers reads, equal to what it makes of them."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from diffusers import FluxPipeline as Plain
from diffusers import FluxTransformer2DModel
from diffusers.loaders.lora_conversion_utils import (
    _convert_kohya_flux_lora_to_diffusers,
    _convert_xlabs_flux_lora_to_diffusers,
)
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from benchmark.core.errors import UserError
from benchmark.models import open_checkpoint
from benchmark.models.adapters.joined import Rows
from benchmark.models.families.flux.adapter_names import flux_names
from benchmark.models.families.flux.pipeline import FluxPipeline

WIDTH = 16
RANK = 4

# Layers of the original code by their shapes, and the kind of block they are in.
DOUBLE = {
    "img_attn.qkv": (3, 1), "img_attn.proj": (1, 1), "img_mlp.0": (4, 1), "img_mlp.2": (1, 4),
    "img_mod.lin": (6, 1), "txt_attn.qkv": (3, 1), "txt_attn.proj": (1, 1), "txt_mlp.0": (4, 1),
    "txt_mlp.2": (1, 4), "txt_mod.lin": (6, 1),
}  # fmt: skip
SINGLE = {"linear2": (1, 5), "modulation.lin": (3, 1)}
LINEAR1 = {"linear1": (7, 1)}
XLABS = {
    **{f"double_blocks.{i}.processor.{name}": shape for i in range(2) for name, shape in {
        "qkv_lora1": (3, 1), "qkv_lora2": (3, 1), "proj_lora1": (1, 1), "proj_lora2": (1, 1),
    }.items()},
    **{f"single_blocks.{i}.processor.{name}": shape for i in range(2) for name, shape in {
        "qkv_lora": (3, 1), "proj_lora": (1, 5),
    }.items()},
}  # fmt: skip
CLIP = ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.self_attn.out_proj")


@pytest.fixture(scope="module")
def folder(published_folder: Callable[..., Path]) -> Path:
    return published_folder("flux")


@pytest.fixture(scope="module")
def base(published_pipeline: Callable[..., FluxPipeline]) -> FluxPipeline:
    return published_pipeline("flux")


def original_layers(blocks: int = 2, width: int = WIDTH, *, linear1: bool = False) -> dict[str, Any]:
    """Shapes of weights by the original code's names."""
    single = SINGLE | (LINEAR1 if linear1 else {})
    kinds = {"double_blocks": DOUBLE, "single_blocks": single}
    return {
        f"{kind}.{i}.{name}": (rows * width, columns * width)
        for kind, layers in kinds.items()
        for i in range(blocks)
        for name, (rows, columns) in layers.items()
    }


def factors(shapes: Mapping[str, tuple[int, int]], rank: int = RANK) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, down and up of layers."""
    g = torch.Generator().manual_seed(5)
    for name, (rows, columns) in shapes.items():
        down = torch.randn((rank, columns), generator=g) * 0.3
        yield name, down, torch.randn((rows, rank), generator=g) * 0.3


def kohya(
    shapes: Mapping[str, tuple[int, int]], alpha: float | None = 2.0, rank: int = RANK
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, down, up in factors(shapes, rank):
        stem = "lora_unet_" + name.replace(".", "_")
        found |= {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}
        found |= {} if alpha is None else {f"{stem}.alpha": torch.tensor(alpha)}
    return found


def with_clip(tensors: dict[str, Tensor], stem: str, *, dots: bool = False) -> dict[str, Tensor]:
    for layer in CLIP:
        name = stem + (layer if dots else layer.replace(".", "_"))
        ((_, down, up),) = factors({name: (WIDTH, WIDTH)})
        tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        tensors |= {f"{name}.alpha": torch.tensor(2.0)}
    return tensors


def comfy(tensors: Mapping[str, Tensor], shapes: Mapping[str, Any]) -> dict[str, Tensor]:
    """Kohya's file as ComfyUI's tools spell it."""
    dotted = {"lora_unet_" + name.replace(".", "_"): f"diffusion_model.{name}" for name in shapes}
    return {
        dotted[stem] + "." + rest: tensor
        for name, tensor in tensors.items()
        for stem, _, rest in [name.partition(".")]
    }


def diffusers_names(prefix: str, roles: tuple[str, str], *, underscores: bool = False) -> dict[str, Tensor]:
    """Of the attention of one block of each kind, as trainers on diffusers' network write them."""
    layers = [
        *(
            f"transformer_blocks.1.attn.{one}"
            for one in ("to_q", "to_k", "to_out.0", "add_v_proj", "to_add_out")
        ),
        *(f"single_transformer_blocks.0.attn.{one}" for one in ("to_q", "to_v")),
    ]
    found: dict[str, Tensor] = {}
    for name, down, up in factors(dict.fromkeys(layers, (WIDTH, WIDTH))):
        stem = prefix + (name.replace(".", "_") if underscores else name)
        found |= {f"{stem}.{roles[0]}.weight": down, f"{stem}.{roles[1]}.weight": up}
    return found


def with_alpha(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    stems = dict.fromkeys(name.partition(".lora")[0] for name in tensors)
    return tensors | {f"{stem}.alpha": torch.tensor(3.0) for stem in stems}


def xlabs() -> dict[str, Tensor]:
    sizes = {name: (rows * WIDTH, columns * WIDTH) for name, (rows, columns) in XLABS.items()}
    return {
        f"{name}.{role}.weight": tensor
        for name, down, up in factors(sizes)
        for role, tensor in (("down", down), ("up", up))
    }


SPELLINGS: dict[str, Callable[[], dict[str, Tensor]]] = {
    "kohya": lambda: kohya(original_layers()),
    "kohya without alpha": lambda: kohya(original_layers(), None),
    "kohya and CLIP": lambda: with_clip(kohya(original_layers()), "lora_te1_text_model_"),
    "ComfyUI": lambda: comfy(kohya(original_layers()), original_layers()),
    "XLabs": xlabs,
    "ai-toolkit": lambda: diffusers_names("transformer.", ("lora_A", "lora_B")),
    "ai-toolkit with alpha": lambda: with_alpha(diffusers_names("transformer.", ("lora_A", "lora_B"))),
    "OneTrainer and CLIP": lambda: with_clip(
        with_alpha(diffusers_names("lora_transformer_", ("lora_down", "lora_up"), underscores=True)),
        "lora_te1_text_model_",
    ),
}  # fmt: skip


def weights(pipeline: Any) -> dict[str, Tensor]:
    return {
        f"{part}.{name}": value.clone()
        for part in ("transformer", "text_encoder")
        for name, value in getattr(pipeline, part).state_dict().items()
    }


def write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    return path


def check_equals_diffusers(
    folder: Path, base: FluxPipeline, file: Path, *, exactly: bool = False
) -> set[str]:
    """Compares all weights, and returns the networks that have changed."""
    pipe: Any = Plain.from_pretrained(folder)
    pipe.load_lora_weights(str(file.parent), weight_name=file.name)
    pipe.fuse_lora(components=["transformer", "text_encoder"])
    pipe.unload_lora_weights()
    ours, theirs, before = weights(open_checkpoint(str(file), base)[1]), weights(pipe), weights(base)
    assert ours.keys() == theirs.keys()
    tolerance = 0.0 if exactly else 1e-6
    apart = [name for name in ours if not torch.allclose(ours[name], theirs[name], tolerance, tolerance)]
    assert apart == []
    return {name.partition(".")[0] for name in ours if not torch.equal(ours[name], before[name])}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_plain_diffusers_reads(tmp_path: Path, folder: Path, base: FluxPipeline, spelling: str) -> None:
    file = write(tmp_path / "a.safetensors", SPELLINGS[spelling]())
    changed = check_equals_diffusers(folder, base, file)
    assert changed == {"transformer", *(["text_encoder"] if "CLIP" in spelling else [])}


@pytest.mark.parametrize("with_metadata", [True, False])
def test_diffusers_own_files(tmp_path: Path, folder: Path, base: FluxPipeline, with_metadata: bool) -> None:
    pipe: Any = Plain.from_pretrained(folder)
    saved: dict[str, Any] = {}
    for part, targets in (("transformer", ["to_q", "proj_mlp", "ff.net.2"]), ("text_encoder", ["q_proj"])):
        # Without metadata alpha is the rank, for every reader.
        alpha = 8 if with_metadata else 4
        config = LoraConfig(r=4, lora_alpha=alpha, target_modules=targets, init_lora_weights=False)
        network = getattr(pipe, part)
        network.add_adapter(config)
        saved[f"{part}_lora_layers"] = get_peft_model_state_dict(network)
        stated = {k: sorted(v) if isinstance(v, set) else v for k, v in config.to_dict().items()}
        saved |= {f"{part}_lora_adapter_metadata": stated} if with_metadata else {}
    Plain.save_lora_weights(tmp_path, **saved)
    file = tmp_path / "pytorch_lora_weights.safetensors"
    assert check_equals_diffusers(folder, base, file, exactly=True) == {"transformer", "text_encoder"}


def test_pefts_folder(tmp_path: Path, folder: Path, base: FluxPipeline) -> None:
    config = LoraConfig(r=4, lora_alpha=2, target_modules=["to_k", "proj_out"], init_lora_weights=False)
    model: Any = get_peft_model(cast("Any", Plain.from_pretrained(folder).transformer), config)
    model.save_pretrained(tmp_path / "mine")
    theirs = model.merge_and_unload().state_dict()
    ours = open_checkpoint(str(tmp_path / "mine"), base)[1].network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def merged_by_hand(base: FluxPipeline, layers: tuple[str, ...], delta: Tensor) -> dict[str, Tensor]:
    found, start = {}, 0
    for layer in layers:
        weight = base.network.get_submodule(layer).get_parameter("weight")
        found[layer] = weight + delta[start : start + len(weight)]
        start += len(weight)
    assert start == len(delta)
    return found


def test_the_single_blocks_joined_layer_is_split_by_its_rows(tmp_path: Path, base: FluxPipeline) -> None:
    name, size = "single_blocks.1.linear1", {"single_blocks.1.linear1": (7 * WIDTH, WIDTH)}
    ((_, down, up),) = factors(size)
    file = write(tmp_path / "a.safetensors", kohya(size))
    policy = open_checkpoint(str(file), base)[1]
    inside = "single_transformer_blocks.1"
    layers = (*(f"{inside}.attn.{one}" for one in ("to_q", "to_k", "to_v")), f"{inside}.proj_mlp")
    for layer, wanted in merged_by_hand(base, layers, (up @ down) * 2.0 / RANK).items():
        torch.testing.assert_close(policy.network.get_submodule(layer).get_parameter("weight"), wanted)
    assert name.partition(".")[0] == "single_blocks"


def test_other_kinds_of_adapters_are_merged_into_the_joined_matrix(
    tmp_path: Path, base: FluxPipeline
) -> None:
    """DoRA's norm of each input goes over queries, keys and values together."""
    stem = "lora_unet_double_blocks_0_img_attn_qkv"
    layers = tuple(f"transformer_blocks.0.attn.to_{one}" for one in "qkv")
    ((_, down, up),) = factors({"qkv": (3 * WIDTH, WIDTH)})
    scale = torch.rand((1, WIDTH)) + 0.5
    tensors = {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.dora_scale": scale}
    policy = open_checkpoint(str(write(tmp_path / "a.safetensors", tensors)), base)[1]
    whole = torch.cat([base.network.get_submodule(one).get_parameter("weight") for one in layers]) + up @ down
    wanted = scale * whole / whole.norm(dim=0, keepdim=True)
    found = [policy.network.get_submodule(one).get_parameter("weight") for one in layers]
    torch.testing.assert_close(torch.cat(tuple(found)), wanted, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def published() -> FluxTransformer2DModel:
    """The published size, without memory."""
    with torch.device("meta"):
        return FluxTransformer2DModel(guidance_embeds=True)


def sizes(network: torch.nn.Module, place: Any) -> list[tuple[str, int]]:
    """Each layer that a place is made of, with its rows."""
    rows = place.rows or (Rows(place.layer),)
    return [(one.layer, len(one(network.get_submodule(one.layer).get_parameter("weight")))) for one in rows]


def test_the_original_names_are_those_that_diffusers_converts(published: FluxTransformer2DModel) -> None:
    """At the published size, first and last blocks: which rows of which matrix each layer gets."""
    names, width = flux_names({"transformer": published}), 3072
    last = {"double_blocks": 18, "single_blocks": 37}
    shapes = {
        name.replace(".1.", f".{last[name.partition('.')[0]]}.", 1) if "blocks.1." in name else name: shape
        for name, shape in original_layers(2, width, linear1=True).items()
    }
    given = kohya(shapes, 1.0, rank=1)
    wanted = _convert_kohya_flux_lora_to_diffusers(dict(given))
    seen = set()
    for name in shapes:
        stem = "lora_unet_" + name.replace(".", "_")
        place = names.find(f"{stem}.lora_up.weight")
        assert place is not None
        up, start = given[f"{stem}.lora_up.weight"], 0
        for layer, size in sizes(published, place):
            theirs = wanted[f"transformer.{layer}.lora_B.weight"]
            assert torch.equal(up[start : start + size], theirs), layer
            assert torch.equal(
                given[f"{stem}.lora_down.weight"], wanted[f"transformer.{layer}.lora_A.weight"]
            )
            seen.add(layer)
            start += size
        assert start == len(up)
    assert len(seen) == len(wanted) / 2


OUTSIDE = {
    "img_in": 3072, "txt_in": 3072, "time_in.in_layer": 3072, "time_in.out_layer": 3072,
    "vector_in.in_layer": 3072, "vector_in.out_layer": 3072, "guidance_in.in_layer": 3072,
    "guidance_in.out_layer": 3072, "final_layer.linear": 64, "final_layer.adaLN_modulation.1": 6144,
}  # fmt: skip


def test_the_layers_outside_of_blocks_as_well(published: FluxTransformer2DModel) -> None:
    names, shapes = (
        flux_names({"transformer": published}),
        {name: (rows, 1) for name, rows in OUTSIDE.items()},
    )
    # Of the last layers diffusers drops alpha: there is none here.
    given = kohya(shapes, None, rank=1)
    wanted = _convert_kohya_flux_lora_to_diffusers(dict(given))
    for name in shapes:
        up = given["lora_unet_" + name.replace(".", "_") + ".lora_up.weight"]
        place = names.find("lora_unet_" + name.replace(".", "_") + ".lora_up.weight")
        assert place is not None
        halves = place.rows or (Rows(place.layer),)
        theirs, start = wanted[f"{halves[0].layer}.lora_B.weight"], 0
        for half in halves:
            size = len(half(theirs))
            assert torch.equal(half(theirs), up[start : start + size]), name
            start += size
        assert start == len(up) == len(theirs)


def test_xlabs_names_are_those_that_diffusers_converts(base: FluxPipeline) -> None:
    names, given = flux_names({"transformer": base.network}), xlabs()
    wanted = _convert_xlabs_flux_lora_to_diffusers(dict(given))
    found = set[str]()
    for name in given:
        place = names.find(name)
        assert place is not None
        role = {"down": "lora_A", "up": "lora_B"}[place.role]
        found |= {f"transformer.{layer}.{role}.weight" for layer, _ in sizes(base.network, place)}
    assert found == wanted.keys()


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_diffsynths_names_of_adapters_are_read(tmp_path: Path, base: FluxPipeline, prefix: str) -> None:
    """`default_0.default` says nothing of the weights, and plain diffusers does not read it."""
    plainly = diffusers_names("transformer.", ("lora_A", "lora_B"))
    odd = {
        prefix + name.removeprefix("transformer.").replace(".weight", ".default_0.default.weight"): tensor
        for name, tensor in plainly.items()
    }
    opened = [
        weights(open_checkpoint(str(write(tmp_path / f"{i}.safetensors", tensors)), base)[1])
        for i, tensors in enumerate((plainly, odd))
    ]
    assert all(torch.equal(opened[0][name], opened[1][name]) for name in opened[0])


def one(stem: str, shape: tuple[int, int] = (WIDTH, WIDTH)) -> dict[str, Tensor]:
    ((_, down, up),) = factors({stem: shape})
    return {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}


REFUSED: dict[str, tuple[dict[str, Tensor], str]] = {
    "T5": (one("lora_te3_encoder_block_0_layer_0_SelfAttention_q"), "of T5, which no adapter changes here"),
    "diffusers' T5": (one("text_encoder_2.encoder.block.0.layer.0.SelfAttention.q"), "of T5"),
    "a control-LoRA": (
        {"double_blocks.0.img_attn.norm.query_norm.scale": torch.ones(8)}, "of a control-LoRA",
    ),
    "a whole transformer": (
        {
            "double_blocks.0.img_attn.norm.query_norm.scale": torch.ones(8),
            "double_blocks.0.img_attn.qkv.weight": torch.ones(3 * WIDTH, WIDTH),
        },
        "of a whole transformer, which is no adapter",
    ),
    "one in diffusers' names": (
        {"transformer_blocks.0.attn.to_q.weight": torch.ones(WIDTH, WIDTH)}, "of a whole transformer",
    ),
    "two spellings": (
        one("lora_unet_double_blocks_0_img_attn_qkv", (3 * WIDTH, WIDTH))
        | one("lora_transformer_transformer_blocks_0_attn_to_k"),
        r"adapts transformer_blocks\.0\.attn\.to_k as well",
    ),
    "a block too many": (one("lora_unet_double_blocks_7_img_attn_proj"), "give the base model"),
    "another width": (one("lora_unet_double_blocks_0_img_attn_qkv", (30, 10)), "does not fit"),
    "a UNet": (one("lora_unet_down_blocks_0_attentions_0_proj_in"), "give the base model"),
    "DiffSynth's own layers": (
        one("blocks.0.attn.a_to_qkv"), "in DiffSynth's own names",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path: Path, base: FluxPipeline, case: str) -> None:
    tensors, message = REFUSED[case]
    file = write(tmp_path / "a.safetensors", tensors)
    with pytest.raises(UserError, match=message):
        open_checkpoint(str(file), base)

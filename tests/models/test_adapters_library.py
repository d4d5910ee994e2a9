"""What diffusers and PEFT open rightly has their weights to the bit; PEFT's folders open."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from torch import Tensor

from benchmark.core.errors import UserError
from benchmark.models import load_pipeline as load_any
from benchmark.models import open_checkpoint
from benchmark.models.families.unet.adapter_names import layer_names, original_name
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline

load_pipeline = cast("Callable[..., Pipeline]", load_any)


ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
ALL_LAYERS = [*ATTENTION, "proj_in", "conv1", "conv_shortcut", "time_emb_proj", "ff.net.0.proj"]


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(family: str, published_folder: Callable[..., Path]) -> Path:
    return published_folder(family)


@pytest.fixture(scope="module")
def base(folder: Path) -> Pipeline:
    return load_pipeline(str(folder), precision="fp32")


def plain(folder: Path) -> Any:
    """The pipeline as a script without fbench opens it."""
    if (folder / "text_encoder_2").is_dir():
        return StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    return StableDiffusionPipeline.from_pretrained(folder)


def check_equals_diffusers(adapter_files: Any, folder: Path, base: Pipeline, file: Path) -> None:
    pipe = plain(folder)
    pipe.load_lora_weights(str(file.parent), weight_name=file.name)
    pipe.fuse_lora(components=[part for part, _ in adapter_files.parts(base)])
    pipe.unload_lora_weights()
    opened = adapter_files.weights(open_checkpoint(str(file), base)[1])
    before = adapter_files.weights(base)
    theirs = adapter_files.weights(pipe)
    assert opened.keys() == theirs.keys()
    assert [name for name in opened if not torch.equal(opened[name], theirs[name])] == []
    assert any(not torch.equal(opened[name], before[name]) for name in opened)


def randomised(network: Any) -> Any:
    """With random numbers wherever an adapter has some."""
    g = torch.Generator().manual_seed(3)
    for name, parameter in network.named_parameters():
        if "lora_magnitude" in name:
            parameter.data.mul_(torch.rand(parameter.shape, generator=g) + 0.5)
        elif any(word in name for word in ("lora_", "hada_", "lokr_")):
            parameter.data.copy_(torch.randn(parameter.shape, generator=g) * 0.3)
    return network


@pytest.mark.parametrize("alpha", [2.0, None])
def test_kohyas_files_of_one_alpha(
    tmp_path: Path, adapter_files: Any, family: str, folder: Path, base: Pipeline, alpha: float | None
) -> None:
    spell = adapter_files.kohya if family == "sd15" else adapter_files.kohya_xl
    g = torch.Generator().manual_seed(1)
    tensors: dict[str, Tensor] = {}
    # Beside other layers of a text encoder, diffusers leaves out those of its attention.
    for part, layer in (target for target in adapter_files.TARGETS[family] if "self_attn" not in target[1]):
        made = adapter_files.lora(g, adapter_files.module(base, part, layer).weight.shape, 4)
        tensors |= {f"{spell(part, layer)}.{role}": tensor for role, tensor in made.tensors.items()}
        if alpha is not None:
            tensors[f"{spell(part, layer)}.alpha"] = torch.tensor(alpha).half()
    check_equals_diffusers(
        adapter_files, folder, base, adapter_files.write(tmp_path / "a.safetensors", tensors)
    )


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"target_modules": ALL_LAYERS},
    "rslora": {"use_rslora": True, "lora_alpha": 2, "target_modules": ATTENTION},
    "dora": {"use_dora": True, "lora_alpha": 2, "target_modules": ["conv1", *ATTENTION]},
    "biases": {"lora_bias": True, "target_modules": ["conv1", "to_out.0"]},
    "patterns": {
        "target_modules": ALL_LAYERS,
        "rank_pattern": {"attn1.to_q": 2, "mid_block.attentions.0.proj_in": 3},
        "alpha_pattern": {"to_k": 7, "mid_block.resnets.0.conv1": 0.5},
    },
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("with_metadata", [True, False])
def test_diffusers_own_files(
    tmp_path: Path, adapter_files: Any, folder: Path, base: Pipeline, settings: str, with_metadata: bool
) -> None:
    pipe = plain(folder)
    config = LoraConfig(**({"r": 4, "lora_alpha": 4} | SETTINGS[settings]))
    pipe.unet.add_adapter(config)
    saved: dict[str, Any] = {"unet_lora_layers": get_peft_model_state_dict(randomised(pipe.unet))}
    text_config = LoraConfig(r=4, lora_alpha=4, target_modules=["q_proj", "fc1"])
    pipe.text_encoder.add_adapter(text_config)
    saved["text_encoder_lora_layers"] = get_peft_model_state_dict(randomised(pipe.text_encoder))
    if with_metadata:
        saved["unet_lora_adapter_metadata"] = serialisable(config)
        saved["text_encoder_lora_adapter_metadata"] = serialisable(text_config)
    type(pipe).save_lora_weights(tmp_path, **saved)
    check_equals_diffusers(adapter_files, folder, base, tmp_path / "pytorch_lora_weights.safetensors")


def serialisable(config: LoraConfig) -> dict[str, Any]:
    return {
        key: sorted(value) if isinstance(value, set) else value for key, value in config.to_dict().items()
    }


PEFT = {
    **{f"lora {name}": LoraConfig(**({"r": 4, "lora_alpha": 2} | more)) for name, more in SETTINGS.items()},
    "loha": LoHaConfig(r=4, alpha=2, target_modules=ALL_LAYERS, rank_pattern={"to_q": 2}),
    "loha convolutions": LoHaConfig(r=4, alpha=2, target_modules=["conv1"], use_effective_conv2d=True),
    "lokr": LoKrConfig(r=2, alpha=4, target_modules=ALL_LAYERS, alpha_pattern={"to_q": 1}),
    "lokr products": LoKrConfig(r=2, alpha=1, target_modules=ATTENTION, decompose_both=True),
    "lokr convolutions": LoKrConfig(r=2, alpha=1, target_modules=["conv1"], use_effective_conv2d=True),
}


@pytest.mark.parametrize(("kind", "pickled"), [*((kind, False) for kind in PEFT), ("lora patterns", True)])
def test_pefts_folders_open_as_peft_merges_them(
    tmp_path: Path, adapter_files: Any, folder: Path, base: Pipeline, kind: str, pickled: bool
) -> None:
    model = randomised(get_peft_model(plain(folder).unet, PEFT[kind]))
    model.save_pretrained(tmp_path / "mine", safe_serialization=not pickled)
    theirs = model.merge_and_unload().state_dict()
    place = tmp_path / "mine"
    weights = place / f"adapter_model.{'bin' if pickled else 'safetensors'}"
    for spec in (place, weights):
        opened = open_checkpoint(str(spec), base)[1]
        for name, weight in opened.unet.state_dict().items():
            torch.testing.assert_close(
                weight, theirs[name], rtol=0 if "lora" in kind else 1e-6, atol=1e-7 * ("lora" not in kind)
            )


def test_pefts_folders_by_part(tmp_path: Path, adapter_files: Any, folder: Path, base: Pipeline) -> None:
    pipe, theirs = plain(folder), {}
    for part, network in adapter_files.parts(pipe):
        model = randomised(
            get_peft_model(network, LoraConfig(r=2, lora_alpha=3, target_modules=["to_q", "q_proj"]))
        )
        model.save_pretrained(tmp_path / "run" / part)
        theirs[part] = model.merge_and_unload().state_dict()
    opened = open_checkpoint(str(tmp_path / "run"), base)[1]
    for part, network in adapter_files.parts(opened):
        for name, weight in network.state_dict().items():
            assert torch.equal(weight, theirs[part][name]), name
        # The same alone, wherever it lies: its config names the network.
        (tmp_path / part).mkdir()
        (tmp_path / "run" / part).rename(tmp_path / part / "alone")
        alone = open_checkpoint(str(tmp_path / part / "alone"), base)[1]
        changed = {name for name, net in adapter_files.parts(alone) if net is not getattr(base, name)}
        assert changed == {part}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"use_dora": True}, "use_dora True"),
        ({"r": 8}, "has rank 2, its settings say 8"),
        ({"lora_alpha": 0}, "lora_alpha 0"),
        ({"lora_alpha": "many"}, "lora_alpha many"),
        ({"peft_type": "IA3"}, "is a IA3 adapter"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights pissa"),
        ({"bias": "all"}, "states bias all"),
        ({"modules_to_save": ["conv_in"]}, "states modules_to_save"),
        ({"a_key_of_tomorrow": 3}, "states a_key_of_tomorrow 3"),
        ({"rank_pattern": [1]}, "no table"),
        ([1], "no table of keys"),
        (None, "scale in adapter_config.json"),
    ],
)
def test_what_a_config_states_and_is_not_applied_is_named(
    tmp_path: Path, folder: Path, base: Pipeline, edit: Any, message: str
) -> None:
    get_peft_model(
        plain(folder).unet, LoraConfig(r=2, lora_alpha=3, target_modules=["to_q"])
    ).save_pretrained(tmp_path)
    config = tmp_path / "adapter_config.json"
    if edit is None:
        config.unlink()
        with pytest.raises(UserError, match=message):
            open_checkpoint(str(tmp_path / "adapter_model.safetensors"), base)
        return
    config.write_text(json.dumps(json.loads(config.read_text()) | edit if isinstance(edit, dict) else edit))
    with pytest.raises(UserError, match=message):
        open_checkpoint(str(tmp_path), base)


def test_the_scale_is_part_of_the_identity(tmp_path: Path, folder: Path, base: Pipeline) -> None:
    get_peft_model(
        plain(folder).unet, LoraConfig(r=2, lora_alpha=3, target_modules=["to_q"])
    ).save_pretrained(tmp_path, safe_serialization=False)
    config, weights = tmp_path / "adapter_config.json", tmp_path / "adapter_model.bin"
    first = open_checkpoint(str(weights), base)[0].revision
    config.write_text(json.dumps(json.loads(config.read_text()) | {"lora_alpha": 4}))
    second = open_checkpoint(str(weights), base)[0].revision
    torch.save({name: t + 1 for name, t in torch.load(weights).items()}, weights)
    assert len({first, second, open_checkpoint(str(tmp_path), base)[0].revision}) == 3


def published_blocks(xl: bool) -> UNet2DConditionModel:
    """A UNet with the blocks of the published one and few channels."""
    attention, plain = "CrossAttn{}Block2D", "{}Block2D"
    kinds = [plain, attention, attention] if xl else [attention] * 3 + [plain]
    return UNet2DConditionModel(
        block_out_channels=[32] * len(kinds),
        down_block_types=[kind.format("Down") for kind in kinds],
        up_block_types=[kind.format("Up") for kind in kinds[::-1]],
        cross_attention_dim=8,
        attention_head_dim=4,
        **({"addition_embed_type": "text_time", "addition_time_embed_dim": 2} if xl else {}),
        **({"projection_class_embeddings_input_dim": 8, "use_linear_projection": True} if xl else {}),
    )


@pytest.mark.parametrize("xl", [False, True])
def test_the_original_unets_names_are_those_that_diffusers_converts(base: Pipeline, xl: bool) -> None:
    unet = published_blocks(xl)
    names = layer_names({"unet": unet, "text_encoder": base.text_encoder})
    layers = [name.removesuffix(".weight") for name in unet.state_dict() if name.endswith(".weight")]
    original = dict(zip(layers, (next(original_name(layer, unet)) for layer in layers), strict=True))
    given = {
        f"model.diffusion_model.{name}.{kind}": torch.tensor(i)
        for i, name in enumerate(original.values())
        for kind in ("weight", "bias")
    }
    config = dict(unet.config) | {"num_class_embeds": None}
    converted = convert_ldm_unet_checkpoint(given, config)
    theirs = {name: int(t) for name, t in converted.items() if name.endswith(".weight")}
    assert theirs == {f"{name}.weight": i for i, name in enumerate(layers)}
    for layer, name in original.items():
        found = names.find(f"lora_unet_{name.replace('.', '_')}.alpha")
        assert found is not None
        assert (found.part, found.layer) == ("unet", layer)

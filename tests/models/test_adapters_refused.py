"""Nothing that an adapter file states passes in silence: a tensor lost, renamed or added shows."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmark.core.errors import NotComparableError, UserError
from benchmark.models import load_pipeline as load_any
from benchmark.models import open_checkpoint
from benchmark.models.adapters.kinds import EXTRAS, KINDS
from benchmark.models.adapters.names import LayerNames
from benchmark.models.families.unet.adapter_names import layer_names
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline

load_pipeline = cast("Callable[..., Pipeline]", load_any)


KINDS_OF_FILES = ["lora", "tucker", "loha", "loha tucker", "lokr", "lokr products", "lokr tucker"]


@pytest.fixture(scope="module")
def base(published_folder: Callable[..., Path]) -> Pipeline:
    return load_pipeline(str(published_folder("sd15")), precision="fp32")


@pytest.fixture(scope="module")
def names(base: Pipeline) -> LayerNames:
    return layer_names({"unet": base.unet, "text_encoder": base.text_encoder})


def made(adapter_files: Any, base: Pipeline, kind: str, *, with_dora: bool = False) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}
    # Attention, convolutions with a kernel and without, and a text encoder.
    for part, layer in adapter_files.TARGETS["sd15"][::-2]:
        weight = adapter_files.module(base, part, layer).weight
        layer_tensors = adapter_files.KINDS[kind](g, weight.shape, 2).tensors
        tensors |= {f"{adapter_files.kohya(part, layer)}.{role}": t for role, t in layer_tensors.items()}
        tensors[f"{adapter_files.kohya(part, layer)}.alpha"] = torch.tensor(1.0)
        if with_dora:
            tensors[f"{adapter_files.kohya(part, layer)}.dora_scale"] = torch.ones(len(weight), 1)
    return tensors


def refused(base: Pipeline, path: Path, tensors: Mapping[str, Tensor]) -> str:
    """The line that refuses a file."""
    save_file({name: t.contiguous() for name, t in tensors.items()}, path)
    with pytest.raises(UserError) as caught:
        open_checkpoint(str(path), base)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


def layer_of(name: str) -> str:
    return name.split(".", 1)[0]


@pytest.mark.parametrize("kind", KINDS_OF_FILES)
def test_a_tensor_that_is_lost_shows(tmp_path: Path, adapter_files: Any, base: Pipeline, kind: str) -> None:
    tensors = made(adapter_files, base, kind, with_dora=True)
    for name in tensors:
        line = refused(base, tmp_path / "a.safetensors", {k: t for k, t in tensors.items() if k != name})
        # The line names the layer, with the part's own spelling of it.
        assert layer_of(name).removeprefix("lora_unet_").removeprefix("lora_te_") in line


@pytest.mark.parametrize("kind", KINDS_OF_FILES)
def test_a_tensor_that_is_renamed_shows(
    tmp_path: Path, adapter_files: Any, base: Pipeline, kind: str
) -> None:
    tensors = made(adapter_files, base, kind)
    names = list(tensors)
    first = layer_of(names[0])
    for name in names:
        end = name.split(".", 1)[1]
        others = {
            f"{name}x",
            f"x{name}",
            name.replace("blocks_0", "blocks_7").replace("layers_", "layers_9").replace("block_", "block_9"),
            name.replace("lora_unet_", "lora_te2_").replace("lora_te_", "lora_te2_"),
            f"lora_unet_mid_block_resnets_0_conv2.{end}",
            f"{layer_of(name)}.lora_up.weight" if "up" not in end else f"{layer_of(name)}.lora_mid.weight",
            f"{first}_.{end}",
        }
        for other in others - {name} - set(names):
            renamed = {other if key == name else key: tensor for key, tensor in tensors.items()}
            refused(base, tmp_path / "a.safetensors", renamed)


@pytest.mark.parametrize("kind", KINDS_OF_FILES)
def test_a_tensor_that_is_added_shows(tmp_path: Path, adapter_files: Any, base: Pipeline, kind: str) -> None:
    """Any role of any kind, on a layer that has others or has none; and what has no meaning at all."""
    tensors = made(adapter_files, base, kind)
    layer = layer_of(next(iter(tensors)))
    spelled = {"down": "lora_down.weight", "up": "lora_up.weight", "mid": "lora_mid.weight"}
    spelled |= {"magnitude": "lora_magnitude_vector", "up_bias": "lora_B.bias"}
    roles = EXTRAS.union(*(complete for one in KINDS for complete in one.complete)) - {"diff", "diff_b"}
    added = [f"{place}.{spelled.get(role, role)}" for role in roles for place in (layer, "lora_unet_conv_in")]
    added += [
        f"{layer}.scalar",
        f"{layer}.on_input",
        "lora_unet_no_such_layer.alpha",
        "anything",
        "logit_scale",
    ]
    for name in set(added) - set(tensors):
        refused(base, tmp_path / "a.safetensors", tensors | {name: torch.ones(2, 2)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t.fill_(float("nan")), "is not finite"),
        (
            lambda t: t.flatten().index_fill_(0, torch.tensor([0]), float("inf")).reshape(t.shape),
            "is not finite",
        ),
        (lambda t: t.int(), "holds int32, not floats"),
        (lambda t: torch.complex(t.float(), t.float()), "holds complex64, not floats"),
        (lambda t: t[:0], "is empty"),
        (lambda t: t[..., :-1], "does not fit"),
        (lambda t: t.flatten(), "is no matrix"),
        (lambda t: t.reshape(1, *t.shape), "does not fit"),
    ],
)
def test_a_damaged_tensor_is_named(
    tmp_path: Path, adapter_files: Any, base: Pipeline, damage: Callable[[Tensor], Tensor], message: str
) -> None:
    for kind in KINDS_OF_FILES:
        tensors = made(adapter_files, base, kind)
        name = next(iter(tensors))
        line = refused(base, tmp_path / "a.safetensors", tensors | {name: damage(tensors[name].clone())})
        assert re.search(f"{re.escape(name)}.* {message}", line), line


@pytest.mark.parametrize(
    ("alpha", "message"), [(torch.tensor(0.0), "is 0"), (torch.ones(2), "is not one number")]
)
def test_an_alpha_that_is_no_scale_is_named(
    tmp_path: Path, adapter_files: Any, base: Pipeline, alpha: Tensor, message: str
) -> None:
    tensors = made(adapter_files, base, "lora")
    name = next(name for name in tensors if name.endswith("alpha"))
    assert f"{name} {message}" in refused(base, tmp_path / "a.safetensors", tensors | {name: alpha})


def test_a_layer_in_two_spellings_is_named(tmp_path: Path, adapter_files: Any, base: Pipeline) -> None:
    tensors = made(adapter_files, base, "lora")
    kohya = "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight"
    for other in (
        "unet.mid_block.attentions.0.proj_in.lora_A.weight",
        "lora_unet_middle_block_1_proj_in.lora_down.weight",
    ):
        line = refused(base, tmp_path / "a.safetensors", tensors | {other: tensors[kohya].clone()})
        assert f"{kohya} and {other} are both" in line


def test_a_file_of_two_adapters_is_named(tmp_path: Path, base: Pipeline) -> None:
    weight = base.unet.mid_block.attentions[0].transformer_blocks[0].attn1.to_q.weight
    down, up = torch.ones(2, weight.shape[1]), torch.ones(weight.shape[0], 2)
    layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_{}.lora_{}.{}.weight"
    tensors = {
        layer.format(m, ab, f"a_{m}"): t for m in "qk" for ab, t in (("A", down.clone()), ("B", up.clone()))
    }
    assert "several adapters: a_k, a_q" in refused(base, tmp_path / "a.safetensors", tensors)


FOREIGN = {
    "bundle_emb.style.string_to_param.*": "textual inversion",
    "emb_params": "textual inversion",
    "clip_l": "textual inversion",
    "lora_te3_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight": "transformer",
    "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": "transformer",
    "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": "transformer",
    "lora_unet_joint_blocks_0_context_block_attn_qkv.lora_up.weight": "transformer",
    "lora_unet_mid_block_attentions_0_proj_in.oft_blocks": "OFT",
    "unet.mid_block.attentions.0.proj_in.oft_R.weight": "OFT",
    "lora_unet_mid_block_attentions_0_proj_in.on_input": "IA3",
    "unet.mid_block.attentions.0.proj_in.ia3_l": "IA3",
    "lora_unet_mid_block_attentions_0_proj_in.a1.weight": "GLoRA",
    "unet.mid_block.attentions.0.proj_in.lora_E": "variant of LoRA",
    "mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_k_custom_diffusion.weight": "Custom Diff",
    "ip_adapter.1.to_k_ip.weight": "IP-Adapter",
    "lora_controlnet": "ControlNet",
    "input_hint_block.0.weight": "ControlNet",
    "blocks.4.transformer_blocks.0.attn1.to_q.lora_A.default.weight": "DiffSynth",
    "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": "second text encoder",
    "lora_unet_input_blocks_8_1_transformer_blocks_9_attn1_to_q.alpha": "--base",
    "some.weight": "an adapter's tensors end in",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_adapter_of_these_models_is_called_what_it_is(
    tmp_path: Path, adapter_files: Any, base: Pipeline, name: str
) -> None:
    """Alone, or among tensors that have their place."""
    for others in ({}, made(adapter_files, base, "lora")):
        line = refused(base, tmp_path / "a.safetensors", {**others, name: torch.ones(2, 2)})
        assert FOREIGN[name] in line
        # Some files that hold nothing of an adapter are told apart before they are read as one.
        if "which --checkpoint cannot use" in line and not others:
            continue
        assert name in line
        assert f"1 of its {len(others) + 1} tensors" in line


class Harmful:
    """What a pickle must not be able to make."""


@pytest.mark.parametrize("content", [Harmful(), [torch.ones(1)], {}, {"step": 3}, {1: torch.ones(1)}])
def test_a_pickle_of_anything_but_tensors_is_refused(tmp_path: Path, base: Pipeline, content: object) -> None:
    torch.save(content, tmp_path / "a.bin")
    with pytest.raises(UserError, match=r"cannot read .*a\.bin"):
        open_checkpoint(str(tmp_path / "a.bin"), base)


def test_what_a_pickle_states_beside_its_tensors_is_not_passed_over(
    tmp_path: Path, adapter_files: Any, base: Pipeline
) -> None:
    tensors = {name: t.float() for name, t in made(adapter_files, base, "lora").items()}
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "a.pt")
    open_checkpoint(str(tmp_path / "a.pt"), base)
    torch.save({"state_dict": tensors, "alpha": 8}, tmp_path / "a.pt")
    with pytest.raises(UserError, match="beside its state_dict it states alpha"):
        open_checkpoint(str(tmp_path / "a.pt"), base)


@pytest.mark.parametrize("change", [Tensor.to_sparse, lambda t: t.to("meta")])
def test_a_tensor_without_plain_numbers_is_named(
    tmp_path: Path, adapter_files: Any, base: Pipeline, change: Callable[[Tensor], Tensor]
) -> None:
    tensors = {name: t.float() for name, t in made(adapter_files, base, "lora").items()}
    name = next(iter(tensors))
    torch.save(tensors | {name: change(tensors[name])}, tmp_path / "a.bin")
    with pytest.raises(UserError, match=f"{name} is no plain tensor"):
        open_checkpoint(str(tmp_path / "a.bin"), base)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("no json", "is no JSON"),
        ("[]", "no table"),
        ('{"transformer.r": 4}', "settings of transformer"),
        ('{"unet.r": 2, "unet.lora_alpha": 8}', "gives a scale of 0.5, its settings 4"),
        ('{"unet.r": 3, "unet.lora_alpha": 8}', "has rank 2, its settings say 3"),
        ('{"unet.lora_alpha": 8}', "say r None"),
        ('{"unet.r": 2, "unet.lora_alpha": 1, "unet.lora_bias": true}', "say lora_bias True"),
        ('{"unet.r": 2, "unet.lora_alpha": 1, "unet.rank_pattern": {"(": 2}}', "no regular expression"),
    ],
)
def test_metadata_that_do_not_agree_with_the_tensors_are_named(
    tmp_path: Path, adapter_files: Any, base: Pipeline, metadata: str, message: str
) -> None:
    file = adapter_files.write(
        tmp_path / "a.safetensors", made(adapter_files, base, "lora"), {"lora_adapter_metadata": metadata}
    )
    with pytest.raises(UserError, match=message):
        open_checkpoint(str(file), base)


@pytest.mark.parametrize("name", ["a.safetensors", "pytorch_lora_weights.safetensors"])
def test_an_adapter_of_another_prediction_is_refused(
    tmp_path: Path, adapter_files: Any, base: Pipeline, name: str
) -> None:
    """As a file or as a folder."""
    tensors = made(adapter_files, base, "lora")
    place = tmp_path if name.startswith("pytorch") else tmp_path / name
    for stated, fits in (("epsilon", True), ("v", False), ("score", False)):
        adapter_files.write(tmp_path / name, tensors, {"modelspec.prediction_type": stated})
        if fits:
            open_checkpoint(str(place), base)
            continue
        with pytest.raises(NotComparableError, match=f"says that it predicts {stated}.* epsilon"):
            open_checkpoint(str(place), base)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"), (b"<html>", "web page"), (b"", "empty")],
)
@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_a_damaged_file_in_an_adapters_folder_is_called_what_it_is(
    tmp_path: Path, base: Pipeline, content: bytes, message: str, ending: str
) -> None:
    (tmp_path / f"pytorch_lora_weights.{ending}").write_bytes(content)
    with pytest.raises(UserError, match=message):
        open_checkpoint(str(tmp_path), base)


def test_a_refusal_leaves_the_base_as_it_was(tmp_path: Path, adapter_files: Any, base: Pipeline) -> None:
    before = {name: weight.clone() for name, weight in adapter_files.weights(base).items()}
    tensors = made(adapter_files, base, "lora")
    *_, last = (name for name in tensors if name.endswith("lora_up.weight"))
    refused(base, tmp_path / "a.safetensors", tensors | {last: tensors[last][:-1]})
    for name, weight in adapter_files.weights(base).items():
        assert torch.equal(weight, before[name])


def test_nothing_of_a_library_is_printed(
    tmp_path: Path, adapter_files: Any, base: Pipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    file = adapter_files.write(tmp_path / "a.safetensors", made(adapter_files, base, "lora", with_dora=True))
    open_checkpoint(str(file), base)
    refused(base, tmp_path / "b.safetensors", {"unet.x.lora_A.weight": torch.ones(2, 2)})
    assert capfd.readouterr() == ("", "")

"""Every layout that weights are published in opens with plain diffusers' values, or is refused by name."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from benchmark.core.errors import NotComparableError, UserError
from benchmark.models import base_hash, model_facts, open_checkpoint
from benchmark.models import load_pipeline as load_any
from benchmark.models.families.unet import FAMILY
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from benchmark.models.files import VARIANTS, choose_weights, find_weights, used_files
from benchmark.models.hub import wanted_files

load_pipeline = cast("Callable[..., Pipeline]", load_any)


Folder = Callable[..., Path]
State = dict[str, torch.Tensor]
FAMILIES = ["sd15", "sdxl"]
NETWORKS = {
    "unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model",
    "text_encoder_2": "model",
}  # fmt: skip


def save(file: Path, state: State) -> None:
    if file.suffix == ".safetensors":
        save_file(state, file, metadata={"format": "pt"})
    else:
        torch.save(state, file)


def single(folder: Path, state: State, stem: str, *, variant: str = "", ending: str = "safetensors") -> None:
    save(folder / ".".join(part for part in (stem, variant, ending) if part), state)


def in_parts(
    folder: Path,
    state: State,
    stem: str,
    *,
    variant: str = "",
    ending: str = "safetensors",
    style: str = "new",
) -> None:
    """In two files and an index, the variant before or behind the numbers of the parts."""
    names = sorted(state)
    where: dict[str, str] = {}
    for i, part in enumerate((names[::2], names[1::2]), start=1):
        number = f"0000{i}-of-00002"
        file = f"{stem}.{variant}-{number}.{ending}" if variant else f"{stem}-{number}.{ending}"
        if variant and style != "new":
            file = f"{stem}-{number}.{variant}.{ending}"
        save(folder / file, {name: state[name] for name in part})
        where |= dict.fromkeys(part, file)
    index = f"{stem}.{ending}.index.{variant}.json" if variant else f"{stem}.{ending}.index.json"
    if style == "index-behind":
        index = f"{stem}.{variant}.{ending}.index.json"
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": where}))


Write = Callable[..., None]
# How a network's weights lie in its folder: the function and its arguments, and the precision they are in.
LAYOUTS: dict[str, tuple[Write, dict[str, str], torch.dtype]] = {
    "plain": (single, {}, torch.float32),
    "half under a plain name": (single, {}, torch.float16),
    "bin": (single, {"ending": "bin"}, torch.float32),
    "bin-fp16": (single, {"ending": "bin", "variant": "fp16"}, torch.float16),
    "fp16": (single, {"variant": "fp16"}, torch.float16),
    "bf16": (single, {"variant": "bf16"}, torch.bfloat16),
    "non_ema": (single, {"variant": "non_ema"}, torch.float32),
    "parts": (in_parts, {}, torch.float32),
    "parts-bin": (in_parts, {"ending": "bin"}, torch.float32),
    "parts-fp16": (in_parts, {"variant": "fp16"}, torch.float16),
    "parts-fp16-older": (in_parts, {"variant": "fp16", "style": "older"}, torch.float16),
    "parts-fp16-index-behind": (in_parts, {"variant": "fp16", "style": "index-behind"}, torch.float16),
}


def clear(folder: Path) -> None:
    for file in (p for p in folder.iterdir() if p.name != "config.json"):
        file.unlink()


def lay(folder: Path, layout: str) -> None:
    """Writes every network of a pipeline's folder in a layout."""
    write, settings, dtype = LAYOUTS[layout]
    for part, stem in NETWORKS.items():
        if (folder / part).is_dir():
            state = {k: v.to(dtype) for k, v in load_file(folder / part / f"{stem}.safetensors").items()}
            clear(folder / part)
            named = "pytorch_model" if (stem, settings.get("ending")) == ("model", "bin") else stem
            write(folder / part, {_today(name): value for name, value in state.items()}, named, **settings)


def _today(name: str) -> str:
    """The libraries rename the attention layers of older autoencoders, but not in parts, which came later."""
    older = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
    for old, new in older.items():
        name = name.replace(old, new)
    return name


def values(pipeline: Pipeline, part: str) -> list[torch.Tensor]:
    """A network's weights in the order of their names."""
    state = getattr(pipeline, part).state_dict()
    return [state[name] for name in sorted(state)]


def equal(pipeline: Pipeline, other: Pipeline, change: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    return all(
        torch.equal(ours, change(theirs))
        for part in NETWORKS
        if getattr(pipeline, part) is not None
        for ours, theirs in zip(values(pipeline, part), values(other, part), strict=True)
    )


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def base(published_folder: Folder, family: str) -> Pipeline:
    return load_pipeline(str(published_folder(family)), precision="fp32")


@pytest.fixture
def copied(published_folder: Folder, family: str, tmp_path: Path) -> Path:
    return shutil.copytree(published_folder(family), tmp_path / "model-1.0")


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_every_layout_opens_with_its_own_values(base: Pipeline, copied: Path, layout: str) -> None:
    lay(copied, layout)
    dtype = LAYOUTS[layout][2]
    opened = load_pipeline(str(copied), precision="fp32")
    assert equal(opened, base, lambda value: value.to(dtype).float())
    # As a checkpoint as well.
    checkpoint, policy = open_checkpoint(str(copied / "unet"), base)
    assert torch.equal(policy.unet.conv_in.weight, opened.unet.conv_in.weight)
    assert checkpoint.id.startswith("unet-")
    # And it is what a repository of that layout is fetched in.
    names = [p.relative_to(copied).as_posix() for p in copied.rglob("*") if p.is_file()]
    assert {p.relative_to(copied).as_posix() for p in used_files(copied, FAMILY.folders)} <= set(
        wanted_files(names)
    )


@pytest.mark.parametrize("layout", ["parts", "parts-bin", "parts-fp16", "bf16", "non_ema", "bin-fp16"])
def test_plain_diffusers_gives_the_same_values(copied: Path, base: Pipeline, layout: str) -> None:
    lay(copied, layout)
    variant = LAYOUTS[layout][1].get("variant")
    theirs = UNet2DConditionModel.from_pretrained(
        copied / "unet", variant=variant, use_safetensors="bin" not in layout, torch_dtype=torch.float32
    ).state_dict()
    ours = open_checkpoint(str(copied / "unet"), base)[1].unet.state_dict()
    assert set(ours) == set(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_of_several_sets_side_by_side_the_first_by_the_stated_rule_is_read(
    copied: Path, base: Pipeline
) -> None:
    """safetensors before .bin, then as VARIANTS says; the values are of that file and of no other."""
    folder = copied / "unet"
    state = load_file(folder / "diffusion_pytorch_model.safetensors")
    clear(folder)
    order = [(ending, variant) for ending in ("safetensors", "bin") for variant in (*VARIANTS, "zzz")]
    for i, (ending, variant) in reversed(list(enumerate(order))):
        single(
            folder,
            {k: v + i for k, v in state.items()},
            "diffusion_pytorch_model",
            variant=variant,
            ending=ending,
        )
        _, policy = open_checkpoint(str(folder), base)
        assert torch.equal(policy.unet.conv_in.weight, state["conv_in.weight"] + i), (ending, variant)


def test_the_choice_does_not_depend_on_the_order_of_the_names() -> None:
    names = [
        "model.safetensors.index.json", "model.safetensors", "pytorch_model.bin", "model.fp16.safetensors",
        "config.json", "model-00001-of-00002.safetensors", "openvino_model.bin", "flax_model.msgpack",
    ]  # fmt: skip
    assert choose_weights(names) == choose_weights(reversed(names)) == "model.safetensors"
    of_diffusers = [
        n.replace("pytorch_model", "model").replace("model", "diffusion_pytorch_model") for n in names
    ]
    assert choose_weights(of_diffusers) == "diffusion_pytorch_model.safetensors.index.json"
    assert not choose_weights(["config.json", "optimizer.bin", "scheduler.bin", "random_states_0.pkl"])


def test_a_folder_with_a_unet_alone_is_a_checkpoint_and_no_base(base: Pipeline, copied: Path) -> None:
    for part in [p for p in copied.iterdir() if p.name != "unet"]:
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    checkpoint, policy = open_checkpoint(str(copied), base)
    assert checkpoint.id.startswith("model-1.0-")
    assert torch.equal(policy.unet.conv_in.weight, base.unet.conv_in.weight)
    with pytest.raises(UserError, match=r"no model_index\.json.*--checkpoint .*model-1\.0"):
        model_facts(str(copied))


@pytest.fixture
def training(base: Pipeline, tmp_path: Path) -> Path:
    """What diffusers' training scripts leave: states of accelerate, with averages of the weights."""
    for step in (500, 1000):
        folder = tmp_path / "training" / f"checkpoint-{step}"
        for name, change in (("unet", step), ("unet_ema", -step)):
            unet = UNet2DConditionModel.from_config(base.unet.config)
            unet.load_state_dict({k: v + change for k, v in base.unet.state_dict().items()})
            unet.save_pretrained(folder / name)
        config = folder / "unet_ema" / "config.json"
        averages = {
            "decay": 0.9999,
            "optimization_step": step,
            "update_after_step": 0,
            "use_ema_warmup": False,
        }
        config.write_text(json.dumps(json.loads(config.read_text()) | averages))
        torch.save({"state": {}, "param_groups": []}, folder / "optimizer.bin")
        (folder / "random_states_0.pkl").write_bytes(b"never read")
    return tmp_path / "training"


def test_folders_of_training_scripts_open(base: Pipeline, training: Path) -> None:
    def weight(place: Path) -> torch.Tensor:
        found: torch.Tensor = open_checkpoint(str(place), base)[1].unet.conv_in.weight
        return found

    plain = base.unet.conv_in.weight
    step = training / "checkpoint-500"
    assert torch.equal(weight(step), plain + 500)
    assert torch.equal(weight(step / "unet_ema"), plain - 500)
    with pytest.raises(UserError, match=r"give what is in it: --checkpoint .*checkpoint-1000$"):
        open_checkpoint(str(training), base)
    shutil.rmtree(step / "unet")
    assert torch.equal(weight(step), plain - 500)


def test_what_was_trained_beside_the_unet_opens_with_it(base: Pipeline, training: Path) -> None:
    """As the scripts of DreamBooth save a text encoder; its weights are part of the checkpoint's identity."""
    step = training / "checkpoint-500"
    revisions = {open_checkpoint(str(step), base)[0].revision}
    for part in (name for name in NETWORKS if name != "unet" and getattr(base, name) is not None):
        network = copy.deepcopy(getattr(base, part))
        for weight in network.parameters():
            weight.data += 1
        network.save_pretrained(step / part)
        checkpoint, policy = open_checkpoint(str(step), base)
        revisions.add(checkpoint.revision)
        assert all(map(torch.equal, getattr(policy, part).parameters(), network.parameters()))
        assert torch.equal(policy.unet.conv_in.weight, base.unet.conv_in.weight + 500)
    assert len(revisions) == (4 if base.is_xl else 3)


def test_a_network_of_other_sizes_beside_the_unet_is_refused(base: Pipeline, training: Path) -> None:
    config = CLIPTextConfig(**base.text_encoder.config.to_dict() | {"intermediate_size": 8})
    CLIPTextModel(config).save_pretrained(training / "checkpoint-500" / "text_encoder")
    with pytest.raises(NotComparableError, match="text_encoder is not the text_encoder of a checkpoint of"):
        open_checkpoint(str(training / "checkpoint-500"), base)


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_an_adapter_beside_whole_networks_is_refused(base: Pipeline, tmp_path: Path, part: str) -> None:
    getattr(base, part).save_pretrained(tmp_path / part)
    adapter = tmp_path / "pytorch_lora_weights.safetensors"
    weight = base.unet.time_embedding.linear_1.weight
    layer = "unet.time_embedding.linear_1.lora_{}.weight"
    save_file({layer.format("A"): weight[:2].clone(), layer.format("B"): weight[:, :2].clone()}, adapter)
    with pytest.raises(UserError, match=rf"whole networks, such as {part}/; give .*{adapter.name}"):
        open_checkpoint(str(tmp_path), base)
    open_checkpoint(str(adapter), base)


def test_weights_without_a_config_open_on_the_bases(base: Pipeline, training: Path) -> None:
    unet = training / "checkpoint-500" / "unet"
    (unet / "config.json").unlink()
    shutil.rmtree(unet.parent / "unet_ema")
    for place in (unet, unet.parent, unet / "diffusion_pytorch_model.safetensors"):
        _, policy = open_checkpoint(str(place), base)
        assert torch.equal(policy.unet.conv_in.weight, base.unet.conv_in.weight + 500)


def test_weights_of_several_networks_without_configs_are_refused(base: Pipeline, tmp_path: Path) -> None:
    """As accelerate leaves them where a script registers no hook."""
    save(tmp_path / "model.safetensors", base.unet.state_dict())
    open_checkpoint(str(tmp_path), base)
    save(tmp_path / "model_1.safetensors", {"w": torch.ones(1)})
    with pytest.raises(UserError, match=r"several networks.*give one: .*model\.safetensors"):
        open_checkpoint(str(tmp_path), base)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(base: Pipeline, tmp_path: Path, number: float) -> None:
    state = {name: weight.clone() for name, weight in base.unet.state_dict().items()}
    state["conv_out.bias"][-1] = number
    save(tmp_path / "diffusion_pytorch_model.safetensors", state)
    # Without a config it is opened as a loose file, with one as a network's folder.
    for _ in range(2):
        with pytest.raises(UserError, match=r"conv_out\.bias is not finite"):
            open_checkpoint(str(tmp_path), base)
        base.unet.save_config(tmp_path)


def test_weights_that_are_no_floats_are_named(base: Pipeline, tmp_path: Path) -> None:
    """Quantised ones mean nothing without their scales."""
    file = tmp_path / "unet.safetensors"
    save(file, {name: (100 * weight).to(torch.int8) for name, weight in base.unet.state_dict().items()})
    with pytest.raises(UserError, match=r"unet.*holds int8, not floats"):
        open_checkpoint(str(file), base)


@pytest.mark.parametrize("config", [True, False])
@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_other_weights_are_another_checkpoint_in_every_format(
    base: Pipeline, tmp_path: Path, ending: str, config: bool
) -> None:
    """Its id and revision are the key of its images."""
    seen = set()
    for change in (0, 1):
        state = {k: v + change for k, v in base.unet.state_dict().items()}
        single(tmp_path, state, "diffusion_pytorch_model", ending=ending)
        if config:
            base.unet.save_config(tmp_path)
        checkpoint, policy = open_checkpoint(str(tmp_path), base)
        assert torch.equal(policy.unet.conv_in.weight, base.unet.conv_in.weight + change)
        seen |= {checkpoint.id, checkpoint.revision}
    assert len(seen) == 4


def test_a_network_of_another_class_is_refused_by_name(base: Pipeline, copied: Path, tmp_path: Path) -> None:
    for part, name in (("vae", "AutoencoderKL"), ("text_encoder", "CLIPTextModel")):
        with pytest.raises(UserError, match=rf"holds a {name}, not a UNet2DConditionModel; allowed: "):
            open_checkpoint(str(copied / part), base)
    config = {**base.unet.config, "in_channels": 9}
    UNet2DConditionModel.from_config(config).save_pretrained(tmp_path / "inpainting")
    with pytest.raises(NotComparableError, match="in_channels 9, not 4"):
        open_checkpoint(str(tmp_path / "inpainting"), base)


def test_parts_that_are_not_all_there_are_named(copied: Path) -> None:
    lay(copied, "parts-fp16")
    part = copied / "unet" / "diffusion_pytorch_model.fp16-00002-of-00002.safetensors"
    part.unlink()
    with pytest.raises(
        UserError, match=r"no part of the weights that .*index\.fp16\.json names at .*00002-of"
    ):
        load_pipeline(str(copied))
    for index in (copied / "unet").glob("*.index.*"):
        index.write_text("{}")
        with pytest.raises(UserError, match="as an index of weights .it has no weight_map"):
            load_pipeline(str(copied))
        index.unlink()
    with pytest.raises(UserError, match=r"no index of the parts of .*00001-of-00002"):
        load_pipeline(str(copied))


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda content: b"", "it is empty"),
    "pointer": (
        lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
        "it is a Git LFS pointer, not the weights.*`git lfs pull`",
    ),
    "page": (lambda content: b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "it is a web page"),
    "cut": (lambda content: content[:-10], "it is cut off"),
    "half": (lambda content: content[: len(content) // 2], "it is cut off"),
    "in the header": (lambda content: content[:50], "it is cut off"),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_file_is_named_with_what_is_wrong(
    copied: Path, base: Pipeline, whole_files: Any, tmp_path: Path, damage: str
) -> None:
    change, said = DAMAGES[damage]
    whole = whole_files.whole_model(whole_files.plain(copied))
    layouts = {
        "safetensors": [
            whole_files.write(tmp_path / "whole.safetensors", whole),
            *find_weights(copied / "unet").files,
        ],
        "zip": [whole_files.write(tmp_path / "whole.ckpt", whole)],
    }
    for file in (file for files in layouts.values() for file in files):
        file.write_bytes(change(file.read_bytes()))
        place = file if file.parent == tmp_path else copied
        for attempt in (lambda p=place: load_pipeline(str(p)), lambda p=place: open_checkpoint(str(p), base)):
            with pytest.raises(UserError, match=said) as refused:
                attempt()
            assert "\n" not in str(refused.value)


class Ran:
    """Would run code when it is read as a pickle."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("it-ran"),)


def test_a_pickle_never_runs_code(base: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for content in ({"state_dict": {"a": Ran()}}, {"state_dict": {"a": torch.ones(1)}, "callbacks": Ran()}):
        torch.save(content, "model.ckpt")
        with pytest.raises(UserError, match=r"holds Python objects.*save its weights as \.safetensors"):
            open_checkpoint("model.ckpt", base)
        with pytest.raises(UserError, match="holds Python objects"):
            model_facts("model.ckpt")
    assert not (tmp_path / "it-ran").exists()


U = "model.diffusion_model."
# Names and shapes by which a file is known, and what it then is.
FOREIGN: dict[str, dict[str, tuple[int, ...]]] = {
    "a whole Stable Diffusion 2.x": {
        f"{U}input_blocks.0.0.weight": (320, 4, 3, 3),
        "cond_stage_model.model.positional_embedding": (77, 1024),
    },
    "a UNet of Stable Diffusion 2.x": {
        f"{U}input_blocks.0.0.weight": (320, 4, 3, 3),
        f"{U}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024),
    },
    "an inpainting model": {f"{U}input_blocks.0.0.weight": (320, 9, 3, 3)},
    "a model that edits images": {
        "conv_in.weight": (320, 8, 3, 3), "time_embedding.linear_1.weight": (1280, 320),
    },
    "the SDXL refiner": {"conditioner.embedders.0.model.ln_final.bias": (1280,)},
    "a ControlNet": {"control_model.time_embed.0.weight": (1280, 320)},
    "a VAE": {"decoder.conv_in.weight": (512, 4, 3, 3), "encoder.conv_in.weight": (128, 3, 3, 3)},
    "a text encoder": {"text_model.embeddings.token_embedding.weight": (49408, 768)},
    "a T5 text encoder": {"encoder.block.0.layer.0.SelfAttention.k.weight": (64, 64)},
    "a Flux transformer": {"double_blocks.0.img_attn.norm.key_norm.scale": (128,)},
    "a Stable Diffusion 3 transformer": {f"{U}joint_blocks.0.x_block.attn.qkv.bias": (64,)},
    "a diffusion transformer": {"transformer_blocks.0.attn1.to_q.weight": (64, 64)},
    "a motion module": {"down_blocks.0.motion_modules.0.temporal_transformer.norm.bias": (320,)},
    "an IP-Adapter": {"image_proj.proj.weight": (64, 64), "ip_adapter.1.to_k_ip.weight": (64, 64)},
    "a textual inversion embedding": {"<cat>": (1, 768)},
}  # fmt: skip


@pytest.mark.parametrize("what", list(FOREIGN))
def test_what_is_of_no_use_is_refused_by_its_name(base: Pipeline, tmp_path: Path, what: str) -> None:
    state = {name: torch.zeros(1).expand(shape).half().contiguous() for name, shape in FOREIGN[what].items()}
    for ending in (".safetensors", ".pt"):
        file = tmp_path / f"found{ending}"
        save(file, state)
        with pytest.raises(UserError, match=f"is {what}.*, which --checkpoint cannot use; allowed: "):
            open_checkpoint(str(file), base)
        with pytest.raises(UserError, match=f"is {what}.*, which --base cannot use; allowed: "):
            model_facts(str(file))


def test_files_of_other_formats_are_refused_by_their_ending(base: Pipeline, tmp_path: Path) -> None:
    for name, said in (
        ("a.onnx", "ONNX"),
        ("a.engine", "TensorRT"),
        ("a.gguf", "GGUF"),
        ("a.png", "allowed: "),
    ):
        (tmp_path / name).write_bytes(b"anything")
        with pytest.raises(UserError, match=said):
            open_checkpoint(str(tmp_path / name), base)
        with pytest.raises(UserError, match=said):
            model_facts(str(tmp_path / name))


def test_a_folder_of_one_file_says_to_give_the_file(copied: Path, whole_files: Any, tmp_path: Path) -> None:
    file = whole_files.write(tmp_path / "only" / "a model.safetensors", {"a": torch.zeros(1)})
    with pytest.raises(UserError, match=r"--base '.*a model\.safetensors'"):
        model_facts(str(file.parent))


def test_two_layouts_of_one_model_are_two_contents(copied: Path) -> None:
    before = base_hash(str(copied))
    lay(copied, "fp16")
    assert base_hash(str(copied)) != before


def test_parts_without_their_index_are_not_passed_over_for_another_set(
    published_folder: Folder, tmp_path: Path
) -> None:
    base = shutil.copytree(published_folder("sd15"), tmp_path / "base")
    plain = base / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(plain, plain.with_name("diffusion_pytorch_model.fp16.safetensors"))
    plain.rename(plain.with_name("diffusion_pytorch_model-00001-of-00002.safetensors"))
    with pytest.raises(UserError, match="index of the parts of diffusion_pytorch_model-00001-of-00002"):
        load_pipeline(str(base), "cpu")

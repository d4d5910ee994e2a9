"""Whole models in one file and loose UNets open with the values that plain diffusers gives."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from benchmark.core.errors import NotComparableError, UserError
from benchmark.models import base_hash, model_facts, open_checkpoint
from benchmark.models import load_pipeline as load_any
from benchmark.models.families.unet import published, single_file
from benchmark.models.families.unet.opening import clip_tokenizer
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline
from tools.random_folders import TINY_SD15, TINY_SDXL, write_random_folder

load_pipeline = cast("Callable[..., Pipeline]", load_any)


FAMILIES = {"sd15": "sd", "sdxl": "sdxl"}
Folder = Callable[..., Path]


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def base(published_folder: Folder, family: str) -> Pipeline:
    return load_pipeline(str(published_folder(family)), precision="fp32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, family: str) -> Path:
    """A folder of the same sizes as the base's and other weights."""
    sizes = {"sd15": TINY_SD15, "sdxl": TINY_SDXL}[family]
    return write_random_folder(tmp_path_factory.mktemp("trained") / family, sizes, seed=7)


@pytest.fixture(scope="module")
def state(trained: Path, whole_files: Any) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = whole_files.whole_model(whole_files.plain(trained))
    return found


def same(pipeline: Pipeline, expected: dict[str, dict[str, torch.Tensor]]) -> bool:
    """Whether every weight of every network is there, to the bit."""
    for name, theirs in expected.items():
        ours = getattr(pipeline, name).state_dict()
        if set(ours) != set(theirs) or not all(torch.equal(ours[key], theirs[key].float()) for key in ours):
            return False
    return True


@pytest.mark.parametrize(
    ("ending", "dtype"),
    [(".safetensors", torch.float16), (".safetensors", torch.bfloat16), (".ckpt", torch.float32)],
)
def test_a_whole_model_is_a_checkpoint(
    base: Pipeline, trained: Path, state: dict[str, torch.Tensor], whole_files: Any, tmp_path: Path,
    ending: str, dtype: torch.dtype,
) -> None:  # fmt: skip
    file = whole_files.write(tmp_path / f"dreamy_v7.1{ending}", {k: v.to(dtype) for k, v in state.items()})
    checkpoint, policy = open_checkpoint(str(file), base)
    assert checkpoint.id.startswith("dreamy_v7.1-")
    stored = whole_files.networks(whole_files.plain(trained))
    assert same(policy, {n: {k: v.to(dtype) for k, v in own.items()} for n, own in stored.items()})
    assert not any(p.requires_grad for p in policy.unet.parameters())
    assert not policy.unet.training


def test_the_values_are_those_of_plain_diffusers(
    base: Pipeline, trained: Path, state: dict[str, torch.Tensor], whole_files: Any, tmp_path: Path
) -> None:
    file = whole_files.write(tmp_path / "model.safetensors", state)
    kind = type(whole_files.plain(trained))
    theirs = kind.from_single_file(str(file), config=str(trained), local_files_only=True)
    assert same(open_checkpoint(str(file), base)[1], whole_files.networks(theirs))


def test_what_the_original_code_also_saves_is_passed_over(
    base: Pipeline, trained: Path, state: dict[str, torch.Tensor], whole_files: Any, tmp_path: Path
) -> None:
    # Averages beside the weights: plain diffusers takes the weights, too.
    more = {"model_ema." + k.removeprefix("model.").replace(".", ""): v + 1 for k, v in state.items()}
    more |= {
        "model_ema.decay": torch.tensor(0.999),
        "alphas_cumprod": torch.ones(1000),
        "logvar": torch.ones(1000),
    }
    text = next(k for k in state if k.endswith("token_embedding.weight")).rpartition("token_embedding")[0]
    more[f"{text}position_ids"] = torch.arange(32)[None]
    file = whole_files.write(tmp_path / "model.ckpt", {**state, **more})
    _, policy = open_checkpoint(str(file), base)
    assert same(policy, whole_files.networks(whole_files.plain(trained)))


def test_a_part_that_a_file_lacks_is_the_bases(
    base: Pipeline, trained: Path, state: dict[str, torch.Tensor], whole_files: Any, tmp_path: Path
) -> None:
    expected = whole_files.networks(whole_files.plain(trained))
    own = {n: getattr(base, n).state_dict() for n in expected}
    unet = {k: v for k, v in state.items() if k.startswith("model.diffusion_model.")}
    names = {
        "unet": unet,
        "prefix-less": {k.removeprefix("model.diffusion_model."): v for k, v in unet.items()},
        "model-less": {k.removeprefix("model."): v for k, v in unet.items()},
        "diffusers": expected["unet"],
    }
    for name, content in names.items():
        file = whole_files.write(tmp_path / f"{name}.safetensors", content)
        _, policy = open_checkpoint(str(file), base)
        assert same(policy, {**own, "unet": expected["unet"]}), name
    without_vae = {k: v for k, v in state.items() if not k.startswith("first_stage_model.")}
    file = whole_files.write(tmp_path / "no-vae.safetensors", without_vae)
    assert same(open_checkpoint(str(file), base)[1], {**expected, "vae": own["vae"]})


def test_names_of_diffusers_behind_the_original_prefix_open_too(
    base: Pipeline, trained: Path, state: dict[str, torch.Tensor], whole_files: Any, tmp_path: Path
) -> None:
    expected = whole_files.networks(whole_files.plain(trained))
    mixed = {k: v for k, v in state.items() if not k.startswith("first_stage_model.")}
    mixed |= {f"first_stage_model.{k}": v for k, v in expected["vae"].items()}
    file = whole_files.write(tmp_path / "mixed.safetensors", mixed)
    assert same(open_checkpoint(str(file), base)[1], expected)


def test_no_weight_is_left_over_or_lacking(
    base: Pipeline, state: dict[str, torch.Tensor], whole_files: Any, tmp_path: Path
) -> None:
    prefixes = sorted({k.partition(".")[0] for k in state})
    wrong = {
        f"{prefix}-more": {**state, f"{prefix}.something.new.weight": torch.ones(3)} for prefix in prefixes
    }
    for prefix in prefixes:
        lacking = [k for k in state if k.startswith(prefix)][5]
        wrong[f"{prefix}-less"] = {k: v for k, v in state.items() if k != lacking}
    wrong["unknown"] = {**state, "embedding_manager.vector": torch.ones(3)}
    for name, content in wrong.items():
        file = whole_files.write(tmp_path / f"{name}.safetensors", content)
        with pytest.raises(UserError) as refused:
            open_checkpoint(str(file), base)
        assert "\n" not in str(refused.value)


def test_a_model_of_the_other_family_or_of_other_sizes_is_refused(
    base: Pipeline, state: dict[str, torch.Tensor], published_folder: Folder, whole_files: Any, tmp_path: Path
) -> None:
    file = whole_files.write(tmp_path / "model.safetensors", state)
    other = load_pipeline(str(published_folder("sd15" if base.is_xl else "sdxl")), precision="fp32")
    with pytest.raises(NotComparableError, match=r"is a whole .*give its own family with --base"):
        open_checkpoint(str(file), other)
    wider = {**state, "model.diffusion_model.out.2.weight": torch.zeros(4, 16, 3, 3)}
    file = whole_files.write(tmp_path / "wider.safetensors", wider)
    with pytest.raises(
        NotComparableError, match=r"its unet does not fit \(mismatched weights: conv_out\.weight\)"
    ):
        open_checkpoint(str(file), base)


def test_a_stated_prediction_type_is_heeded(
    base: Pipeline, state: dict[str, torch.Tensor], whole_files: Any, tmp_path: Path
) -> None:
    marked = whole_files.write(tmp_path / "marked.safetensors", {**state, "v_pred": torch.zeros(0)})
    stated = whole_files.write(tmp_path / "said.safetensors", state, {"modelspec.prediction_type": "v"})
    for file in (marked, stated):
        with pytest.raises(NotComparableError, match="predicts v_prediction, and the base model .* epsilon"):
            open_checkpoint(str(file), base)
        config = {**base.scheduler.config, "prediction_type": "v_prediction"}
        fitting = replace(base, scheduler=type(base.scheduler).from_config(config))
        assert open_checkpoint(str(file), fitting)[1].prediction_type == "v_prediction"


def test_a_stated_end_in_noise_is_heeded(
    base: Pipeline, state: dict[str, torch.Tensor], whole_files: Any, tmp_path: Path
) -> None:
    file = whole_files.write(tmp_path / "marked.safetensors", {**state, "ztsnr": torch.zeros(0)})
    with pytest.raises(NotComparableError, match=r"its last step is noise alone \(ztsnr\)"):
        open_checkpoint(str(file), base)
    fitting = replace(base, scheduler=copy.deepcopy(base.scheduler))
    fitting.scheduler.register_to_config(rescale_betas_zero_snr=True)
    open_checkpoint(str(file), fitting)


@pytest.fixture
def as_published(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose sizes stand in for the published ones; it reads prompts by CLIP's own vocabulary."""
    sizes = {"sd15": TINY_SD15, "sdxl": TINY_SDXL}[family]
    words = {"vocab_size": 49408}
    second = None if sizes.text_2 is None else {**sizes.text_2, **words}
    sizes = replace(sizes, text={**sizes.text, **words}, text_2=second)
    monkeypatch.setitem(published.FAMILIES, FAMILIES[family], sizes)
    folder = write_random_folder(tmp_path / "folder", sizes)
    for part in ("tokenizer", "tokenizer_2")[: 1 if second is None else 2]:
        clip_tokenizer(32, pad="!" if part == "tokenizer_2" else "<|endoftext|>").save_pretrained(
            folder / part
        )
    return folder


@pytest.mark.parametrize("ending", [".safetensors", ".ckpt"])
def test_a_whole_model_is_a_base(as_published: Path, whole_files: Any, tmp_path: Path, ending: str) -> None:
    """Everything that decides its pixels is what the folder of the same model says."""
    pipe = whole_files.plain(as_published)
    file = whole_files.write(tmp_path / f"dreamy{ending}", whole_files.whole_model(pipe))
    ours, theirs = (
        load_pipeline(str(file), precision="fp32"),
        load_pipeline(str(as_published), precision="fp32"),
    )
    assert same(ours, whole_files.networks(pipe))
    assert ours.name == f"dreamy@{base_hash(str(file))[:8]}"
    assert ours.content_hash == base_hash(str(file)) != theirs.content_hash
    assert (ours.sampler, ours.latent_shape, ours.image_size, ours.prediction_type) == (
        theirs.sampler, theirs.latent_shape, theirs.image_size, theirs.prediction_type,
    )  # fmt: skip
    assert torch.equal(ours.scheduler.alphas_cumprod, theirs.scheduler.alphas_cumprod)
    for key in ("steps_offset", "timestep_spacing", "set_alpha_to_one", "clip_sample"):
        assert ours.scheduler.config[key] == theirs.scheduler.config[key]
    for prompts in (["a red star, naïve"], ["", "long " * 50]):
        said, expected = ours.encode_prompts(prompts), theirs.encode_prompts(prompts)
        assert torch.equal(said.parts["states"], expected.parts["states"])
    assert torch.equal(ours.encode_empty().parts["states"], theirs.encode_empty().parts["states"])
    facts = model_facts(str(file))
    assert (facts.name, facts.latent_shape, facts.image_size) == (
        "dreamy",
        ours.latent_shape,
        ours.image_size,
    )


def test_a_base_that_says_v_prediction_predicts_it(
    as_published: Path, whole_files: Any, tmp_path: Path
) -> None:
    whole = whole_files.whole_model(whole_files.plain(as_published))
    file = whole_files.write(
        tmp_path / "v.safetensors", {**whole, "v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    )
    opened = load_pipeline(str(file), precision="fp32")
    assert opened.prediction_type == "v_prediction"
    assert float(opened.scheduler.alphas_cumprod[-1]) == pytest.approx(0, abs=1e-7)


def test_a_base_of_other_sizes_or_in_part_is_refused(
    state: dict[str, torch.Tensor], whole_files: Any, tmp_path: Path
) -> None:
    file = whole_files.write(tmp_path / "model.safetensors", state)
    with pytest.raises(
        UserError, match=r"published sizes.*folder of its base model with --base, and this file"
    ):
        model_facts(str(file))
    unet = {k: v for k, v in state.items() if k.startswith("model.diffusion_model.")}
    file = whole_files.write(tmp_path / "unet.safetensors", unet)
    with pytest.raises(
        UserError, match=r"is a UNet of .*, which --base cannot use.*this file with --checkpoint"
    ):
        model_facts(str(file))


@pytest.mark.parametrize("pad", ["<|endoftext|>", "!"])
def test_the_vocabulary_is_clips(pad: str) -> None:
    import open_clip

    tokenizer = clip_tokenizer(pad=pad)
    assert (len(tokenizer), tokenizer.model_max_length, tokenizer.pad_token) == (49408, 77, pad)
    # Not of an exclamation mark: where that fills up, it is a special token, in the published folder as well.
    for text in (
        "a photo of a red star, 4k",
        "日本 café naïve",
        "it's THE  end…  \n ok 12345",
        "(best:1.2)",
    ):
        theirs = [i for i in open_clip.tokenize([text])[0].tolist() if i]
        assert tokenizer(text).input_ids == theirs


def test_the_published_configs_have_as_many_weights_as_the_published_files(whole_files: Any) -> None:
    """Without what is computed: the ids of positions, and a scale that only CLIP's training needs."""
    counts = {"sd": (686, 248, 196), "sdxl": (1680, 248, 196, 389)}
    for kind, expected in counts.items():
        networks = single_file.networks_of(published.FAMILIES[kind])
        names = [
            whole_files.unet_names(networks["unet"]), whole_files.vae_names(networks["vae"]),
            networks["text_encoder"].state_dict(),
        ]  # fmt: skip
        if "text_encoder_2" in networks:
            names.append(whole_files.open_clip_names(networks["text_encoder_2"].state_dict()))
        assert tuple(len(part) for part in names) == expected

"""Every official release, tiny and random under its real file and key names, is found and scored with."""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel

from benchmark.core import resources
from benchmark.core.errors import FbenchError, UnreadableFileError, UserError
from benchmark.core.records import ImageSet
from benchmark.networks import blip, folders
from benchmark.networks.aesthetic import AestheticHead
from benchmark.scorers import Scorer, make_scorers
from benchmark.weights.catalogue import RELEASES

MakeSet = Callable[..., ImageSet]
State = dict[str, torch.Tensor]

TINY_CLIP = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 28, "layers": 1, "width": 16, "head_width": 8, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
}
TINY_REWARD = replace(
    blip.PUBLISHED,
    vision={
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 16, "layer_norm_eps": 1e-6,
    },
    text={
        "vocab_size": 40, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "encoder_hidden_size": 16, "layer_norm_eps": 1e-12,
        "max_position_embeddings": 64,
    },
    head=(8, 4, 1),
)  # fmt: skip


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and architectures of the published names small enough to write."""
    folder = tmp_path / "weights"
    monkeypatch.setenv("FBENCH_WEIGHTS", str(folder))
    tiny = {
        "ViT-H-14": TINY_CLIP,
        "ViT-L-14": TINY_CLIP,
        "ViT-L-14-quickgelu": TINY_CLIP | {"quick_gelu": True},
    }
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", tiny)
    published = blip.load_published_reward_net
    monkeypatch.setattr(blip, "load_published_reward_net", lambda path: published(path, TINY_REWARD))
    torch.manual_seed(0)
    return folder


def clip_state(*, quick_gelu: bool = False) -> State:
    return dict(open_clip.CLIP(**TINY_CLIP, quick_gelu=quick_gelu).state_dict())


def write_clip(weights: Path, folder: str = "clip", *, quick_gelu: bool = False) -> Path:
    """As open_clip's push_to_hf_hub leaves it."""
    place = weights / folder
    place.mkdir(parents=True)
    save_file(clip_state(), place / "open_clip_model.safetensors")
    config = TINY_CLIP | ({"quick_gelu": True} if quick_gelu else {})
    preprocess = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
    (place / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocess})
    )
    return place / "open_clip_model.safetensors"


def write_hps(weights: Path, name: str = "HPS_v2.1_compressed.pt") -> Path:
    """A training script's pickle: open_clip's keys below `state_dict`."""
    path = weights / "hps" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": clip_state()}, path)
    return path


def write_pickscore(weights: Path) -> Path:
    """Model repository and processor repository, each with what its listing on the hub shows."""
    tokens = resources.shapes_weights("shapes-sd") / "tokenizer"
    processor = weights / "pickscore-processor"
    shutil.copytree(tokens, processor, ignore=shutil.ignore_patterns("bpe.txt.gz"))
    (processor / "preprocessor_config.json").write_text(
        json.dumps({"crop_size": 224, "size": 224, "resample": 3})
    )
    (processor / "special_tokens_map.json").write_text(json.dumps({"bos_token": "<|startoftext|>"}))
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
    text = tower | {"vocab_size": len(json.loads((tokens / "vocab.json").read_text())), "eos_token_id": 2}
    vision = tower | {"image_size": 28, "patch_size": 14}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    place = weights / "pickscore"
    place.mkdir()
    config = model.config.to_dict() | {"architectures": ["CLIPModel"], "torch_dtype": "float32"}
    (place / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "dtype"}))
    state = {k: v.contiguous().clone() for k, v in model.state_dict().items()}
    # transformers of 2023 saved them.
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    state["vision_model.embeddings.position_ids"] = torch.arange(5)[None]
    save_file(state, place / "model.safetensors")
    assert "text_model.encoder.layers.0.self_attn.q_proj.weight" in state
    assert {"visual_projection.weight", "text_projection.weight", "logit_scale"} <= state.keys()
    return place / "model.safetensors"


def write_imagereward(weights: Path) -> Path:
    """ImageReward.pt under the original package's names, med_config.json, and the vocabulary of BERT."""
    place = weights / "imagereward"
    place.mkdir(parents=True)
    state: State = {}
    for key, zeros in blip.RewardNet(TINY_REWARD).state_dict().items():
        # The library's own start is so near to zero that the network would see nothing.
        value = torch.randn_like(zeros) / 4
        part, _, rest = key.partition(".")
        if part == "head":
            number, _, tail = rest.partition(".")
            state[f"mlp.layers.{(0, 2, 4)[int(number)]}.{tail}"] = value
        elif part == "text":
            state[f"blip.text_encoder.{rest}"] = value
        else:
            state[f"blip.visual_encoder.{original_vision_name(rest)}"] = value
    state["blip.text_encoder.embeddings.position_ids"] = torch.arange(64)[None]
    torch.save(state, place / "ImageReward.pt")
    # encoder_width is the width of another vision network than the one that is used, as published.
    stated = {k: v for k, v in TINY_REWARD.text.items() if k != "encoder_hidden_size"}
    config = {"architectures": ["BertModel"], "model_type": "bert", "encoder_width": 768, **stated}
    (place / "med_config.json").write_text(json.dumps(config))
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *"abcdefghijklmnopqrstuvwxyz",
        ",",
        ".",
        "##a",
        "red",
    ]
    (weights / "bert-base-uncased").mkdir()
    (weights / "bert-base-uncased" / "vocab.txt").write_text("\n".join(words) + "\n")
    return place / "ImageReward.pt"


def original_vision_name(key: str) -> str:
    for ours, theirs in (
        ("embeddings.class_embedding", "cls_token"), ("embeddings.position_embedding", "pos_embed"),
        ("embeddings.patch_embedding", "patch_embed.proj"), ("encoder.layers", "blocks"),
        ("post_layernorm", "norm"), ("layer_norm", "norm"), ("self_attn.qkv", "attn.qkv"),
        ("self_attn.projection", "attn.proj"),
    ):  # fmt: skip
        key = key.replace(ours, theirs)
    return key


def write_aesthetic(weights: Path) -> Path:
    """The head's five layers among dropouts, and OpenAI's CLIP."""
    write_clip(weights, "clip-vit-l-14", quick_gelu=True)
    path = weights / "aesthetic" / "sac+logos+ava1-l14-linearMSE.pth"
    path.parent.mkdir()
    torch.save(AestheticHead((8, 4, 4, 4, 4, 1)).state_dict(), path)
    assert set(torch.load(path)) == {
        f"layers.{i}.{kind}" for i in (0, 2, 4, 6, 7) for kind in ("weight", "bias")
    }
    return path


def write_lpips(weights: Path) -> Path:
    """torchvision's own class and file; the smallest of the three."""
    path = weights / "lpips" / "squeezenet1_1-b8a52dc0.pth"
    path.parent.mkdir(parents=True)
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    return path


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "clip": write_clip,
    "clip(model='ViT-L-14')": lambda weights: write_clip(weights, "clip-vit-l-14", quick_gelu=True),
    "hps": write_hps,
    "hps(version='v2.0')": lambda weights: write_hps(weights, "HPS_v2_compressed.pt"),
    "pickscore": write_pickscore,
    "imagereward": write_imagereward,
    "aesthetic": write_aesthetic,
    "lpips(net='squeeze')": write_lpips,
}
PICKLES = [call for call in LAYOUTS if call.startswith(("hps", "imagereward", "aesthetic", "lpips"))]


def published(call: str) -> Scorer:
    return make_scorers([call], "published")[0]


@pytest.mark.parametrize("call", LAYOUTS)
def test_the_real_layout_is_found_and_scored_with(
    call: str, weights: Path, world: Path, make_set: MakeSet
) -> None:
    LAYOUTS[call](weights)
    scorer = published(call)
    scorer.load()
    rows = scorer.score(make_set(prompts=2, k=2))
    n = 2 if scorer.unit == "prompt" else 4
    assert [row.status for row in rows] == ["ok"] * n
    assert len({row.value for row in rows}) == n
    assert scorer.weights_hash
    assert {row.scorer_version for row in rows} == {scorer.scorer_version}


@pytest.mark.parametrize("call", LAYOUTS)
@pytest.mark.parametrize("fault", ["missing", "unexpected", "another shape", "not finite"])
def test_a_wrong_key_is_named(call: str, fault: str, weights: Path, world: Path) -> None:
    path = LAYOUTS[call](weights)
    state, wrap = opened(path)
    key = next(k for k in state if "weight" in k and "embed" not in k and state[k].ndim in (2, 4))
    if fault == "missing":
        del state[key]
    elif fault == "unexpected":
        key = key.replace("weight", "wait")
        state[key] = torch.zeros(1)
    elif fault == "another shape":
        state[key] = state[key][:-1].clone()
    else:
        state[key].view(-1)[0] = float("nan")
    wrap(state)
    with pytest.raises(UnreadableFileError, match=named(key)) as caught:
        published(call).load()
    assert "\n" not in str(caught.value)


def named(key: str) -> str:
    """What an error says of a key: its last parts, which renaming leaves as they are."""
    return r"\.".join(key.split(".")[-2:]) if "layers" in key else key.rpartition(".")[2]


def opened(path: Path) -> tuple[State, Callable[[State], None]]:
    if path.suffix == ".safetensors":
        return load_file(path), lambda state: save_file(state, path)
    content = torch.load(path, weights_only=True)
    if "state_dict" in content:
        return content["state_dict"], lambda state: torch.save({"state_dict": state}, path)
    return content, lambda state: torch.save(state, path)


class Evil:
    """Opened as most scripts open a pickle, it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("call", PICKLES)
def test_a_pickles_code_is_never_run(call: str, weights: Path, world: Path, tmp_path: Path) -> None:
    path, mark = LAYOUTS[call](weights), tmp_path / "ran"
    state, _ = opened(path)
    torch.save({"state_dict": state, "epoch": Evil(mark)}, path)
    with pytest.raises(UnreadableFileError, match="nothing else is ever read from a pickle"):
        published(call).load()
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "the file was harmless, so nothing was tested"


@pytest.mark.parametrize(
    "file", sorted({f.name for r in RELEASES for f in r.files if f.name.endswith(("pt", "pth"))})
)
@pytest.mark.parametrize("kind", ["code", "plain pickle", "text", "empty", "a number", "a list of numbers"])
def test_what_is_no_state_of_tensors_is_one_line(file: str, kind: str, tmp_path: Path) -> None:
    path, mark = tmp_path / file, tmp_path / "ran"
    if kind == "code":
        torch.save({"weight": Evil(mark)}, path)
    elif kind == "plain pickle":
        path.write_bytes(pickle.dumps({"weight": Evil(mark)}))
    elif kind == "a number":
        torch.save(3.0, path)
    elif kind == "a list of numbers":
        torch.save({"weight": [1.0]}, path)
    else:
        path.write_text("no weights" if kind == "text" else "")
    with pytest.raises(UnreadableFileError) as caught:
        folders.read_weights(path)
    assert "weights_only" not in str(caught.value)
    assert not mark.exists()


def test_versions_of_hps_are_told_apart(weights: Path) -> None:
    write_hps(weights)
    shutil.copy(weights / "hps" / "HPS_v2.1_compressed.pt", weights / "hps" / "HPS_v2_compressed.pt")
    new, old = published("hps"), published("hps(version='v2.0')")
    assert (new.version, old.version) == ("v2.1", "v2.0")
    assert new.scorer_version != old.scorer_version
    assert published("hps").version == "v2.1"
    with pytest.raises(UserError, match="v2.1 and v2.0"):
        published("hps(version='v2')")
    with pytest.raises(UserError, match="embedded weights stand for v2.1"):
        make_scorers(["hps(version='v2.0')"], "embedded")


def test_openais_weights_keep_their_gelu(weights: Path, world: Path) -> None:
    write_clip(weights, "clip-vit-l-14", quick_gelu=True)
    config = weights / "clip-vit-l-14" / "open_clip_config.json"
    right = config.read_text()
    config.write_text(right.replace('"quick_gelu": true', '"quick_gelu": false'))
    with pytest.raises(UnreadableFileError, match="quick_gelu is False and should be True"):
        published("clip(model='ViT-L-14')").load()
    config.write_text(right)
    scorer = published("clip(model='ViT-L-14')")
    scorer.load()
    mlp = scorer._clip._model.visual.transformer.resblocks[0].mlp  # type: ignore[attr-defined]
    assert "QuickGELU" in str(mlp)
    with pytest.raises(UserError, match="no published weights of ViT-B-32"):
        published("clip(model='ViT-B-32')")


def test_a_configuration_of_other_sizes_is_refused(weights: Path, world: Path) -> None:
    write_imagereward(weights)
    config = weights / "imagereward" / "med_config.json"
    config.write_text(config.read_text().replace('"num_hidden_layers": 1', '"num_hidden_layers": 12'))
    with pytest.raises(UnreadableFileError, match="num_hidden_layers is 12 and should be 1"):
        published("imagereward").load()


def test_the_vocabulary_of_bert_gets_imagerewards_two_words(weights: Path) -> None:
    write_imagereward(weights)
    before = (weights / "bert-base-uncased" / "vocab.txt").read_text().split()
    tokenizer = blip.load_reward_tokenizer(weights / "bert-base-uncased")
    assert tokenizer.convert_tokens_to_ids(["[DEC]", "[ENC]"]) == [len(before), len(before) + 1]
    assert tokenizer.tokenize("RED") == ["red"]


def test_the_published_sizes_are_those_of_the_original(weights: Path) -> None:
    # What the ImageReward package builds from med_config.json and its vision network, by its own names.
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in blip.RewardNet(blip.PUBLISHED).state_dict().items()}
    assert shapes["text.embeddings.word_embeddings.weight"] == (30524, 768)
    assert shapes["text.encoder.layer.11.crossattention.self.key.weight"] == (768, 1024)
    assert shapes["vision.embeddings.position_embedding"] == (1, 197, 1024)
    assert shapes["vision.encoder.layers.23.mlp.fc1.weight"] == (4096, 1024)
    assert shapes["head.0.weight"] == (1024, 768)
    assert shapes["head.4.weight"] == (1, 16)


@pytest.mark.parametrize("call", LAYOUTS)
def test_half_a_release_is_missing(call: str, weights: Path, world: Path) -> None:
    LAYOUTS[call](weights).unlink()
    with pytest.raises(FbenchError, match="fbench weights fetch"):
        _ = published(call).weights_hash

"""Random weights in the published layouts, at the published sizes, that answer to what they are shown."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor

Layout: TypeAlias = Mapping[str, tuple[Sequence[int], str]]
"""Shape and type of each tensor, by name."""

SMALL: Final[Mapping[str, Any]] = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 224, "layers": 3, "width": 96, "head_width": 32, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 3},
}
"""ViT-H-14 in all but its widths and depths."""


def lively(layout: Layout, seed: int = 0) -> dict[str, Tensor]:
    r"""Normal weights of deviation $1/\sqrt{\text{fan in}}$, norms around 1, small biases.

    A library's own initial weights give every image nearly the same embedding, and so every error too.

    Args:
        layout: What to fill; whole numbers are positions, and counted.
        seed: Of the draws.
    """
    g = torch.Generator().manual_seed(seed)
    out = {}
    for name, (shape, dtype) in layout.items():
        if "int" in dtype:
            out[name] = torch.arange(shape[-1]).expand(tuple(shape)).clone()
            continue
        if name.endswith("running_var"):
            out[name] = torch.ones(tuple(shape))
            continue
        value = torch.empty(tuple(shape)).normal_(generator=g)
        if name.endswith("logit_scale"):
            value = torch.full(tuple(shape), 100.0).log()
        elif len(shape) > 1 and "embedding" not in name:
            value *= value[0].numel() ** -0.5
        elif len(shape) <= 1 and name.endswith("weight"):
            value = 1 + 0.1 * value
        elif name.endswith(("bias", "running_mean")):
            value *= 0.1
        out[name] = value
    return out


def layout_of(module: torch.nn.Module) -> dict[str, tuple[list[int], str]]:
    """Of a module's state, which may be on the meta device."""
    return {name: (list(v.shape), str(v.dtype)) for name, v in module.state_dict().items()}


def open_clip_config(*, small: bool) -> dict[str, Any]:
    """Of ViT-H-14, or of the small one."""
    import open_clip

    config: dict[str, Any] = json.loads(json.dumps(SMALL))
    if not small:
        config = open_clip.get_model_config("ViT-H-14")
        config["text_cfg"].setdefault("vocab_size", 49408)
    return config


def open_clip_weights(*, small: bool, seed: int = 0) -> dict[str, Tensor]:
    """A state of open_clip's model."""
    from open_clip.model import CLIP

    with torch.device("meta"):
        model = CLIP(**open_clip_config(small=small))
    return lively(layout_of(model), seed)


def write_hps(path: Path, *, small: bool) -> None:
    """As HPS_v2.1_compressed.pt is: a pickle of ``{"state_dict": ...}``."""
    torch.save({"state_dict": open_clip_weights(small=small, seed=1)}, path)


def write_open_clip_folder(folder: Path, *, small: bool) -> None:
    """A ``local-dir:`` folder: open_clip_config.json and open_clip_model.safetensors."""
    from safetensors.torch import save_file

    from benchmark.networks.pixels import CLIP_MEAN, CLIP_STD

    folder.mkdir(parents=True, exist_ok=True)
    save_file(open_clip_weights(small=small), folder / "open_clip_model.safetensors")
    preprocess = {"mean": CLIP_MEAN, "std": CLIP_STD, "interpolation": "bicubic", "resize_mode": "shortest"}
    config = {"model_cfg": open_clip_config(small=small), "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")


def write_clip_model(folder: Path, *, small: bool) -> None:
    """As PickScore_v1 and its processor are, in one folder: a CLIPModel, and CLIP's published tokenizer.

    The same weights as `write_open_clip_folder`.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    config = open_clip_config(small=small)
    state = dict(_to_transformers(open_clip_weights(small=small)))
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    vision, text = config["vision_cfg"], config["text_cfg"]
    written = {
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": config["embed_dim"],
        "dtype": "float32", "torch_dtype": "float32", "logit_scale_init_value": 2.6592,
        "text_config": {
            **_tower(text, text["heads"], config), "model_type": "clip_text_model",
            "max_position_embeddings": text["context_length"], "vocab_size": text["vocab_size"],
            "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1,
        },
        "vision_config": {
            **_tower(vision, vision["width"] // vision["head_width"], config),
            "model_type": "clip_vision_model",
            "image_size": vision["image_size"], "patch_size": vision["patch_size"],
        },
    }  # fmt: skip
    _write(folder / "config.json", written)
    write_clip_tokenizer(folder)


def _tower(config: Mapping[str, Any], heads: int, whole: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "hidden_size": config["width"], "intermediate_size": 4 * config["width"], "hidden_act": "gelu",
        "num_attention_heads": heads, "num_hidden_layers": config["layers"],
        "projection_dim": whole["embed_dim"],
    }  # fmt: skip


def write_clip_tokenizer(folder: Path) -> None:
    """CLIP's published vocabulary and the settings of laion/CLIP-ViT-H-14-laion2B-s32B-b79K."""
    import open_clip

    from benchmark.networks.pixels import CLIP_MEAN, CLIP_STD

    start, end = "<|startoftext|>", "<|endoftext|>"
    own = open_clip.SimpleTokenizer()
    merges = sorted(own.bpe_ranks, key=lambda pair: own.bpe_ranks[pair])
    words = sorted(own.encoder, key=lambda word: own.encoder[word])[:-2]
    _write(folder / "vocab.json", {word: i for i, word in enumerate([*words, start, end])})
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": start, "eos_token": end, "pad_token": end, "unk_token": end}
    _write(folder / "special_tokens_map.json", special)
    settings = {"tokenizer_class": "CLIPTokenizer", "do_lower_case": True, "model_max_length": 77}
    _write(folder / "tokenizer_config.json", {**special, **settings})
    pixels = {
        "crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": CLIP_MEAN, "image_std": CLIP_STD,
        "resample": 3, "size": 224,
    }  # fmt: skip
    _write(folder / "preprocessor_config.json", pixels)


def write_inception(path: Path) -> None:
    """As weights-inception-2015-12-05-6726825d.pth is, which holds no counts of training steps."""
    from benchmark.networks.inception import Inception

    layout = {k: v for k, v in layout_of(Inception()).items() if not k.endswith("num_batches_tracked")}
    torch.save(lively(layout, seed=3), path)


def write_aesthetic(folder: Path) -> None:
    """OpenAI's ViT-L/14 in both libraries' files, and the predictor's head.

    OpenAI's package reads every model into half precision first, so the weights are numbers of that.
    """
    import open_clip
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    from benchmark.networks.aesthetic import AestheticHead

    (folder / "ViT-L").mkdir(parents=True)
    with torch.device("meta"):
        model = CLIP(**open_clip.get_model_config("ViT-L-14-quickgelu"))
    state = {k: v.half() for k, v in lively(layout_of(model), seed=4).items()}
    torch.save(state, folder / "ViT-L" / "14")
    save_file(state, folder / "open_clip_model.safetensors")
    torch.save(lively(layout_of(AestheticHead()), seed=5), folder / "sac+logos+ava1-l14-linearMSE.pth")


def write_small_open_clip(folder: Path) -> None:
    """A small ``local-dir:`` folder with CLIP's published merges inside."""
    import shutil

    import open_clip

    write_open_clip_folder(folder, small=True)
    merges = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    shutil.copyfile(merges, folder / "bpe.txt.gz")


_PARTS: Final = (
    ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
    ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    ("visual.conv1", "vision_model.embeddings.patch_embedding"),
    ("visual.ln_pre", "vision_model.pre_layrnorm"),
    ("visual.ln_post", "vision_model.post_layernorm"),
    ("visual.transformer.resblocks", "vision_model.encoder.layers"),
    ("visual.proj", "visual_projection.weight"),
    ("token_embedding", "text_model.embeddings.token_embedding"),
    ("positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("transformer.resblocks", "text_model.encoder.layers"),
    ("ln_final", "text_model.final_layer_norm"),
    ("text_projection", "text_projection.weight"),
    ("logit_scale", "logit_scale"),
)
_LAYER: Final = (
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".attn.out_proj.", ".self_attn.out_proj."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
)


def _to_transformers(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """open_clip's names to those of transformers' CLIPModel."""
    for key, value in state.items():
        old, new = next((old, new) for old, new in _PARTS if key.startswith(old))
        name = new + key.removeprefix(old)
        for before, after in _LAYER:
            name = name.replace(before, after)
        if key in ("visual.proj", "text_projection"):
            yield name, value.T.contiguous()
        elif ".attn.in_proj_" in key:
            kind = key.rpartition("_")[2]
            stem = name.partition(".attn.")[0]
            for part, piece in zip("qkv", value.chunk(3), strict=True):
                yield f"{stem}.self_attn.{part}_proj.{kind}", piece.clone()
        else:
            yield name, value


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")

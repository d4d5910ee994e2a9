"""A Qwen-Image folder as the hub's is, with few weights: 64 x 64 pixels, 16 x 16 x 4 latents."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
from torch import Tensor
from torch.nn import functional
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

from benchmark.core.records import Sampler
from benchmark.models.families.qwen_image.pipeline import NO_PROMPT, template
from benchmark.models.flow.facts import SIDE_KEY
from benchmark.models.flow.texts import TOKENS_KEY
from tools.random_flow.parts import by_diffusers, write_index, write_network
from tools.random_flow.published import Published, parts_of
from tools.random_folders import write_json

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

WIDTH = 16
"""Of the language model's states."""
TOKENS = 48
"""Of a prompt; 512 in published models."""
PUBLISHED = Published(
    sampling=("euler", 50, 4.0),
    # 64 tokens: mu = 0.5 + 0.4 (64 - 256) / (8192 - 256).
    density="logit_normal(mean=0, std=1, shift=1.63284)",
    models={"qwen_image": (1024, (16, 128, 128))},
    language=("text_encoder", "states"),
    other="transformer_blocks.0.attn1.to_q",
    needed=(
        "model_index.json", "scheduler/scheduler_config.json", *parts_of("text_encoder", 4),
        *parts_of("transformer", 9), *parts_of("vae"),
        *(f"tokenizer/{file}.json" for file in
          ("added_tokens", "special_tokens_map", "tokenizer_config", "vocab")), "tokenizer/merges.txt",
    ),
    more=("README.md", "LICENSE", ".gitattributes", "text_encoder/generation_config.json",
          "tokenizer/chat_template.jinja"),
)  # fmt: skip
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def write_random_folder(
    folder: Path, *, seed: int = 0, scheduler: dict[str, Any] | None = None, **transformer: Any
) -> Path:
    """Writes a folder.

    Args:
        folder: Where.
        seed: Of the weights.
        scheduler: Settings beside the published ones.
        transformer: Changes to its config.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _write_language(folder)
        vae = AutoencoderKLQwenImage(
            base_dim=8, z_dim=4, dim_mult=[1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True],
            latents_mean=[-0.76, 0.11, 1.55, 0.25], latents_std=[2.8, 1.4, 2.3, 1.9],
        )  # fmt: skip
        vae.save_pretrained(folder / "vae")
        config: dict[str, Any] = {
            "in_channels": 16, "out_channels": 4, "num_layers": 2, "attention_head_dim": 16,
            "num_attention_heads": 2, "joint_attention_dim": WIDTH, "axes_dims_rope": (8, 4, 4),
        }  # fmt: skip
        write_network(folder, QwenImageTransformer2DModel(**{**config, **transformer}))
    noise = {
        "_class_name": "FlowMatchEulerDiscreteScheduler", "base_image_seq_len": 256, "base_shift": 0.5,
        "max_image_seq_len": 8192, "max_shift": 0.9, "num_train_timesteps": 1000, "shift": 1.0,
        "shift_terminal": 0.02, "time_shift_type": "exponential", "use_dynamic_shifting": True,
        **(scheduler or {}),
    }  # fmt: skip
    parts = {
        SIDE_KEY: 16,
        TOKENS_KEY: TOKENS,
        "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"],
        "tokenizer": ["transformers", "Qwen2Tokenizer"],
        "transformer": ["diffusers", "QwenImageTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLQwenImage"],
    }
    write_index(folder, "QwenImagePipeline", noise, parts)
    return folder


def _write_language(folder: Path) -> None:
    """Qwen2.5-VL, and its tokenizer as vocabulary and merges; a word of the template is one token."""
    place = folder / "tokenizer"
    trained: Any = Qwen2Tokenizer().train_new_from_iterator(
        [template()[0]] * 2, 2000, new_special_tokens=list(SPECIAL), show_progress=False
    )
    model = json.loads(trained.backend_tokenizer.to_str())["model"]
    vocabulary = {token: i for i, token in enumerate(t for t in model["vocab"] if t not in SPECIAL)}
    write_json(place / "vocab.json", vocabulary)
    merges = [" ".join(pair) for pair in model["merges"]]
    (place / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    added = {str(len(vocabulary) + i): {"content": token, **flags} for i, token in enumerate(SPECIAL)}
    write_json(
        place / "tokenizer_config.json",
        {
            "added_tokens_decoder": added, "additional_special_tokens": list(SPECIAL[1:]), "bos_token": None,
            "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None,
            "model_max_length": 131072, "tokenizer_class": "Qwen2Tokenizer",
        },
    )  # fmt: skip
    size = len(vocabulary) + len(SPECIAL)
    text = {
        "vocab_size": size, "hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 1024,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]},
        "bos_token_id": None, "eos_token_id": size - 1,
    }  # fmt: skip
    vision = {
        "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": WIDTH,
        "fullatt_block_indexes": [0],
    }  # fmt: skip
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder / "text_encoder")


def diffusers_images(
    folder: Path,
    prompts: list[str],
    seeds: list[int],
    sampler: Sampler,
    adapter: Path | None = None,
    **settings: Any,
) -> "RGB":
    """See :func:`tools.random_flow.diffusers_images`."""
    own: dict[str, Any] = {"height": 64, "width": 64, "max_sequence_length": TOKENS}
    own["true_cfg_scale"] = sampler.guidance
    if sampler.guidance > 1:
        own["negative_prompt"] = [NO_PROMPT] * len(prompts)
    pipe = QwenImagePipeline.from_pretrained(folder)
    return by_diffusers(pipe, prompts, seeds, sampler, adapter, **own, **settings)


def diffusers_told(folder: Path, prompts: list[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """See :func:`tools.random_flow.diffusers_told`; each prompt alone, and zeros to the length."""
    pipe: Any = QwenImagePipeline.from_pretrained(folder)

    def told(text: str) -> tuple[Tensor, Tensor]:
        states, _ = pipe.encode_prompt([text], device="cpu", max_sequence_length=TOKENS)
        missing = TOKENS - states.shape[1]
        mask = functional.pad(torch.ones(states.shape[:2]), (0, missing))
        return functional.pad(states, (0, 0, 0, missing)), mask

    with torch.no_grad():
        each = [told(text) for text in (*prompts, NO_PROMPT)]
    states, masks = (torch.cat(part) for part in zip(*each, strict=True))
    return {"states": states[:-1], "mask": masks[:-1]}, {"states": states[-1:], "mask": masks[-1:]}

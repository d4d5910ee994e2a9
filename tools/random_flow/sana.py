"""A SANA folder as the hub's is, with few weights: 64 x 64 pixels, 16 x 16 x 4 latents."""

import inspect
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderDC, SanaPipeline, SanaTransformer2DModel
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import Gemma2Config, Gemma2Model, GemmaTokenizer

from benchmark.core.records import Sampler
from tools.random_flow.parts import by_diffusers, write_index, write_network
from tools.random_flow.published import Published, parts_of

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

WIDTH = 16
"""Of Gemma's states."""
VOCABULARY = 400
"""With which the instruction before a prompt is about as many tokens as with the published one."""
PUBLISHED = Published(
    sampling=("dpmsolver++", 20, 4.5),
    density="logit_normal(mean=0, std=1, shift=3)",
    models={"sana": (1024, (32, 32, 32)), "sana_512": (512, (32, 16, 16)), "sana15": (1024, (32, 32, 32))},
    language=("text_encoder", "states"),
    other="transformer_blocks.0.attn.to_q",
    needed=(
        "model_index.json", "scheduler/scheduler_config.json", *parts_of("text_encoder", 2),
        *parts_of("transformer", 2), *parts_of("vae"),
        *(f"tokenizer/{file}.json" for file in ("special_tokens_map", "tokenizer", "tokenizer_config")),
    ),
    more=(
        ".gitattributes", "README.md", "LICENSE.txt", "tokenizer/tokenizer.model",
        "text_encoder/model.fp16.safetensors.index.json",
        *(f"{part}/diffusion_pytorch_model.fp16.safetensors" for part in ("transformer", "vae")),
    ),
)  # fmt: skip
SOLVER = {
    "_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver++", "flow_shift": 3.0,
    "num_train_timesteps": 1000, "prediction_type": "flow_prediction", "solver_order": 2,
    "use_flow_sigmas": True,
}  # fmt: skip
EULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}


def write_random_folder(
    folder: Path, *, seed: int = 0, euler: bool = False, scheduler: dict[str, Any] | None = None
) -> Path:
    """Writes a folder.

    Args:
        folder: Where.
        seed: Of the weights.
        euler: Whether its scheduler is Euler's, which diffusers' conversion can write instead.
        scheduler: Settings beside the published ones.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _write_gemma(folder)
        half = {
            "block_types": ("ResBlock", "ResBlock", "EfficientViTBlock"), "block_out_channels": (8, 8, 8),
            "layers_per_block": (1, 1, 1), "qkv_multiscales": ((), (), (5,)),
        }  # fmt: skip
        halves: dict[str, Any] = {
            f"{side}_{k}": v for side in ("encoder", "decoder") for k, v in half.items()
        }
        vae = AutoencoderDC(
            latent_channels=4, attention_head_dim=4, upsample_block_type="interpolate",
            downsample_block_type="Conv", scaling_factor=0.41407, **halves,
        )  # fmt: skip
        vae.save_pretrained(folder / "vae")
        network = SanaTransformer2DModel(
            in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8, num_layers=2,
            num_cross_attention_heads=2, cross_attention_head_dim=8, cross_attention_dim=16,
            caption_channels=WIDTH, sample_size=16,
        )  # fmt: skip
        write_network(folder, network)
    noise = {**(EULER if euler else SOLVER), **(scheduler or {})}
    parts = {
        "text_encoder": ["transformers", "Gemma2Model"],
        "tokenizer": ["transformers", "GemmaTokenizerFast"],
        "transformer": ["diffusers", "SanaTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderDC"],
    }
    write_index(folder, "SanaPipeline", noise, parts)
    return folder


def _write_gemma(folder: Path) -> None:
    """Gemma 2 without its head, and a tokenizer that begins every text with <bos>, as the published one."""
    said = inspect.signature(SanaPipeline.__call__).parameters["complex_human_instruction"].default
    texts = ["\n".join(said), string.printable]
    tokenizer: Any = GemmaTokenizer().train_new_from_iterator(texts, VOCABULARY, show_progress=False)
    begin = (tokenizer.bos_token, tokenizer.bos_token_id)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{begin[0]} $A", special_tokens=[begin]
    )
    tokenizer.save_pretrained(folder / "tokenizer")
    config = Gemma2Config(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, query_pre_attn_scalar=8, sliding_window=32,
    )  # fmt: skip
    Gemma2Model(config).save_pretrained(folder / "text_encoder")


def diffusers_images(
    folder: Path,
    prompts: list[str],
    seeds: list[int],
    sampler: Sampler,
    adapter: Path | None = None,
    **settings: Any,
) -> "RGB":
    """See :func:`tools.random_flow.diffusers_images`; the sampler is the folder's scheduler."""
    # The pipeline knows four sizes of images, none of them this one.
    own = {"height": 64, "width": 64, "use_resolution_binning": False, "guidance_scale": sampler.guidance}
    pipe = SanaPipeline.from_pretrained(folder)
    return by_diffusers(pipe, prompts, seeds, sampler, adapter, **own, **settings)


def diffusers_told(folder: Path, prompts: list[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """See :func:`tools.random_flow.diffusers_told`."""
    pipe: Any = SanaPipeline.from_pretrained(folder)
    said = inspect.signature(SanaPipeline.__call__).parameters["complex_human_instruction"].default
    with torch.no_grad():
        states, mask, nothing, empty_mask = pipe.encode_prompt(
            prompts, device="cpu", complex_human_instruction=said
        )
    empty = {"states": nothing[:1], "mask": empty_mask[:1].float()}
    return {"states": states, "mask": mask.float()}, empty

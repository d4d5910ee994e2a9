"""Opens a diffusers folder of Stable Diffusion 1.x or SDXL strictly, all in float32.

A model in a single file comes without vocabularies. All that were published read prompts with CLIP's own,
whose merges open_clip comes with, so no folder and no network are needed.
"""

import gzip
import json
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.store import read_json
from benchmark.models.facts import pipeline_index
from benchmark.models.families.unet import XL_CLASS, no_base_model
from benchmark.models.files import INDEX
from benchmark.models.loading import load_part

_START, _END = "<|startoftext|>", "<|endoftext|>"
_MERGES = 49152 - 256 - 2
"""Of those that were learnt, as many as CLIP uses."""


def folder_parts(folder: Path, device: torch.device) -> dict[str, Any]:
    """The parts of the pipeline in a local diffusers folder, by the names of a pipeline's fields.

    Args:
        folder: As `save_pretrained` of one of the two kinds of pipeline writes it.
        device: Where its parts go.

    Raises:
        UserError: if it is another kind of pipeline, or a part is missing, unreadable or incomplete.
    """
    if not (folder / INDEX).is_file():
        raise no_base_model(folder)
    index = pipeline_index(folder)
    xl = index["_class_name"] == XL_CLASS
    unet = load_part(UNet2DConditionModel, folder / "unet", device)
    second: dict[str, Any] = {"text_encoder_2": None, "tokenizer_2": None, "zeros_for_empty": False}
    if xl:
        second = {
            "text_encoder_2": load_part(CLIPTextModelWithProjection, folder / "text_encoder_2", device),
            "tokenizer_2": _load_tokenizer(folder / "tokenizer_2"),
            "zeros_for_empty": bool(index.get("force_zeros_for_empty_prompt", True)),
        }
    return {
        "unet": unet.to(memory_format=quick_unet_layout(device)),
        "text_encoder": load_part(CLIPTextModel, folder / "text_encoder", device),
        "tokenizer": _load_tokenizer(folder / "tokenizer"),
        "vae": load_vae(folder / "vae", device),
        "scheduler": load_scheduler(folder / "scheduler", xl=xl),
        **second,
    }


def quick_unet_layout(device: torch.device) -> torch.memory_format:
    """Channels last on a GPU, where convolutions want it; contiguous on a CPU.

    There, group normalisation of bfloat16 on 16 x 16 latents is ten times slower with channels last, and a
    forward pass of the embedded UNet a third. (Its autoencoder, on larger pictures, is twice as quick with
    channels last on both.)
    """
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


def load_scheduler(folder: Path, *, xl: bool = False) -> DDIMScheduler:
    """The folder's noise schedule as DDIM, whatever sampler the folder names.

    Args:
        folder: With its scheduler_config.json.
        xl: Whether it is SDXL's.

    Raises:
        UserError: if there is none.
    """
    config = read_json(folder / "scheduler_config.json", "a scheduler's config")
    if not isinstance(config, dict):
        raise UnreadableFileError(folder, "a scheduler's config", "it is no table of keys")
    return as_ddim(config, xl=xl)


def as_ddim(config: Mapping[str, Any], *, xl: bool) -> DDIMScheduler:
    """A noise schedule as DDIM, whatever sampler its config names.

    Args:
        config: Of a scheduler.
        xl: Whether it is SDXL's.
    """
    # Latents must not be cut off at 1, which DDIM does where another sampler's config does not say; and
    # StableDiffusionPipeline, not SDXL's, corrects the offset of every config it opens.
    config = {**config, "clip_sample": False} | ({} if xl else {"steps_offset": 1})
    scheduler: DDIMScheduler = DDIMScheduler.from_config(config)
    return scheduler


def load_vae(folder: Path, device: torch.device) -> AutoencoderKL:
    """An autoencoder as :func:`load_part` opens it, whose latents are scaled by one number.

    Args:
        folder: With its config.json and weights.
        device: Where it goes.

    Raises:
        UserError: as of `load_part`, or if each channel has its own scale.
    """
    vae = load_part(AutoencoderKL, folder, device)
    if vae.config.latents_mean is not None or vae.config.latents_std is not None:
        raise UserError(
            f"{folder} scales latents by latents_mean and latents_std", allowed="one scaling_factor"
        )
    return vae


def _load_tokenizer(folder: Path) -> CLIPTokenizer:
    if not folder.is_dir():
        raise MissingFileError(folder, "tokenizer folder", do="copy the whole folder again")
    try:
        tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        raise UnreadableFileError(folder, "a CLIP tokenizer", error) from error
    # Without a stated length the libraries take a number that no text encoder could read.
    if tokenizer.model_max_length > 10_000:
        raise UserError(f"{folder} states no model_max_length", do="add it to tokenizer_config.json")
    return tokenizer


def clip_tokenizer(length: int = 77, pad: str = _END) -> CLIPTokenizer:
    """The tokenizer as the published folders have it.

    Args:
        length: Tokens of a prompt, start and end included.
        pad: What fills up the rest; `!` for SDXL's second encoder.
    """
    spec = find_spec("open_clip")
    assert spec is not None  # a dependency
    assert spec.origin is not None
    with gzip.open(Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz", "rt", encoding="utf-8") as file:
        merges = file.read().split("\n")[1 : _MERGES + 1]
    symbols = _byte_symbols()
    words = [*symbols, *(s + "</w>" for s in symbols), *(m.replace(" ", "") for m in merges), _START, _END]
    said = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": pad}
    with tempfile.TemporaryDirectory(prefix="fbench-") as folder:
        place = Path(folder)
        (place / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
        (place / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
        (place / "tokenizer_config.json").write_text(
            json.dumps({**said, "model_max_length": length, "tokenizer_class": "CLIPTokenizer"})
        )
        tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer


def _byte_symbols() -> list[str]:
    """The 256 stand-ins for bytes in the order of CLIP's vocabulary: printable Latin-1, then the others."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]

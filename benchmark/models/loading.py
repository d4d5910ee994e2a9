"""Opens a diffusers folder strictly: every weight is found, none is left over, all in float32."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors import safe_open
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from benchmark.core.devices import choose_device
from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.store import read_json
from benchmark.models.base import Pipeline, quick_unet_layout, resolve_precision
from benchmark.models.damage import refuse_damaged
from benchmark.models.facts import XL_CLASS, ModelFacts, model_facts, models, pipeline_index
from benchmark.models.files import content_hash, find_weights, under_plain_names
from benchmark.models.hub import download
from benchmark.models.quiet import quiet

M_co = TypeVar("M_co", bound=nn.Module, covariant=True)

# A buffer that transformers wrote into older checkpoints and computes itself today.
_HARMLESS = ("position_ids",)


class _Loadable(Protocol[M_co]):
    def from_pretrained(self, folder: str, **settings: Any) -> tuple[M_co, Mapping[str, Any]]: ...


def load_pipeline(
    spec: str, device: str = "cpu", *, offline: bool = False, precision: str = "auto"
) -> Pipeline:
    """See :func:`benchmark.models.load_pipeline`."""
    facts = model_facts(spec)
    place = torch.device(choose_device(device))
    if facts.local is not None:
        folder, revision = facts.local(), ""
    else:
        folder, revision = download(facts.hub_id, offline=offline)
    if folder.is_file():
        from benchmark.models.single_file import open_base

        pipeline = open_base(folder, facts, place, precision=precision)
    else:
        pipeline = open_folder(folder, facts, place, precision=precision, revision=revision)
    if facts.hub_id or spec in models:
        return pipeline
    # A folder's name is nobody's for ever; with the hash it means these weights only.
    return replace(pipeline, name=f"{facts.name}@{pipeline.revision[:8]}")


def open_folder(
    folder: Path, facts: ModelFacts, device: torch.device, *, precision: str = "auto", revision: str = ""
) -> Pipeline:
    """The pipeline in a local diffusers folder.

    Args:
        folder: As `save_pretrained` of one of the two kinds of pipeline writes it.
        facts: Its name and default sampling.
        device: Where its parts go.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
        revision: Of the weights, where it is known; else the files are hashed.

    Raises:
        UserError: if it is another kind of pipeline, or a part is missing, unreadable or incomplete.
    """
    index = pipeline_index(folder)
    xl = index["_class_name"] == XL_CLASS
    chosen = resolve_precision(precision, device)
    unet = load_part(UNet2DConditionModel, folder / "unet", device)
    second: dict[str, Any] = {}
    if xl:
        second = {
            "text_encoder_2": load_part(CLIPTextModelWithProjection, folder / "text_encoder_2", device),
            "tokenizer_2": _load_tokenizer(folder / "tokenizer_2"),
            "zeros_for_empty": bool(index.get("force_zeros_for_empty_prompt", True)),
        }
    return Pipeline(
        name=facts.name,
        unet=unet.to(memory_format=quick_unet_layout(device)),
        text_encoder=load_part(CLIPTextModel, folder / "text_encoder", device),
        tokenizer=_load_tokenizer(folder / "tokenizer"),
        vae=load_vae(folder / "vae", device),
        scheduler=load_scheduler(folder / "scheduler", xl=xl),
        device=device,
        precision=chosen,
        sampler=replace(facts.sampler, precision=chosen),
        revision=revision or content_hash(folder),
        place=folder,
        **second,
    )


def load_part(kind: _Loadable[M_co], folder: Path, device: torch.device) -> M_co:
    """One network of a pipeline, in float32, in eval mode, without gradients, channels last.

    Args:
        kind: The library's class.
        folder: With its config.json and safetensors.
        device: Where it goes.

    Raises:
        UserError: if a file is missing or unreadable, or a weight is missing or left over.
    """
    if not (folder / "config.json").is_file():
        raise MissingFileError(folder / "config.json", "config of a network")
    read_json(folder / "config.json", "a network's config")
    weights = find_weights(folder)
    for file in weights.files:
        refuse_damaged(file, f"weights of a {_name(kind)}")
    settings: dict[str, Any] = {
        "use_safetensors": weights.ending == "safetensors",
        "output_loading_info": True,
        "local_files_only": True,
    }
    settings |= {"dtype" if hasattr(kind, "get_input_embeddings") else "torch_dtype": torch.float32}
    try:
        with quiet(), under_plain_names(folder, weights) as place:
            model, report = kind.from_pretrained(str(place), **settings)
            # Off the file while it is there: the place may be a temporary one.
            if device.type == "cpu":
                _leave_file(model, weights.files)
    # What a damaged or foreign file raises differs between the libraries and their versions.
    except Exception as error:
        raise UnreadableFileError(folder, f"a {_name(kind)}", error) from error
    if wrong := wrong_weights(report) or not_finite(model):
        raise UnreadableFileError(folder, f"a {_name(kind)}", wrong)
    model.requires_grad_(False).eval()
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


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
        raise MissingFileError(folder, "tokenizer folder")
    try:
        tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:
        raise UnreadableFileError(folder, "a CLIP tokenizer", error) from error
    # Without a stated length the libraries take a number that no text encoder could read.
    if tokenizer.model_max_length > 10_000:
        raise UserError(f"{folder} states no model_max_length", do="add it to tokenizer_config.json")
    return tokenizer


def _leave_file(model: nn.Module, files: Iterable[Path]) -> None:
    """Reads weights again, one by one, which the libraries had left in a mapping of their file.

    As long as one of them lies there, so does in memory all of the file that was ever looked at: beside
    the weights in another layout or precision, a second time.
    """
    weights = dict(model.named_parameters())
    for file in files:
        if file.suffix != ".safetensors":
            continue
        with safe_open(file, framework="pt") as opened:
            names = [name for name in opened.keys() if name in weights]  # noqa: SIM118  # no dictionary
        for name in names:
            # A mapping of its own for each, which ends with it.
            with safe_open(file, framework="pt") as opened:
                stored = opened.get_tensor(name)
                if stored.dtype == weights[name].dtype:
                    weights[name].data = stored.clone()


def wrong_weights(report: Mapping[str, Any]) -> str:
    """In words what a strict load found; empty when nothing is wrong."""
    parts = []
    for kind in ("missing", "unexpected", "mismatched"):
        found = [k if isinstance(k, str) else k[0] for k in report.get(f"{kind}_keys") or ()]
        found = sorted(key for key in found if not key.endswith(_HARMLESS))
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            parts.append(f"{kind} weights: {found[0]}{more}")
    parts += [str(message) for message in report.get("error_msgs") or ()]
    return ", ".join(parts)


def not_finite(network: nn.Module) -> str:
    """In words the first weight that holds NaN or infinity; empty where none does.

    A sum over finite weights is finite, and quicker than to look at each.
    """
    names = (name for name, weight in network.named_parameters() if not torch.isfinite(weight.sum()))
    return next(
        (f"{name} is not finite: the file is damaged, or its training diverged" for name in names), ""
    )


def _name(kind: object) -> str:
    return str(getattr(kind, "__name__", kind))

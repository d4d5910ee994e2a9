"""Loads base models and their networks strictly: every weight is found, none is left over, all in float32."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args

import torch
from safetensors import safe_open
from torch import nn

from benchmark.core.devices import choose_device
from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_bytes, sha256_json
from benchmark.core.store import read_json
from benchmark.models.facts import Family, family_of, model_facts, models
from benchmark.models.families.base import Pipeline, Precision
from benchmark.models.files import find_weights, under_plain_names
from benchmark.models.hub import download
from benchmark.models.quiet import quiet
from benchmark.models.tensors import refuse_damaged

M_co = TypeVar("M_co", bound=nn.Module, covariant=True)

# A buffer that transformers wrote into older checkpoints and computes itself today.
_HARMLESS = ("position_ids",)
_AXES_OF_IMAGES = 4


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
    kind = _class_of(family_of(facts, folder))
    pipeline = kind.open(folder, facts, place, precision, revision)
    if facts.hub_id or spec in models:
        return pipeline
    # A folder's name is nobody's for ever; with the hash it means these weights only.
    return replace(pipeline, name=f"{facts.name}@{pipeline.revision[:8]}")


def _class_of(family: Family) -> type[Pipeline]:
    """A family's class; one from elsewhere may be unfinished."""
    try:
        kind = family.load()
    except Exception as error:
        where = f"{type(error).__name__}: {error}"
        raise UserError(f"the family {family.name} cannot be loaded: {where}") from error
    if lacking := sorted(kind.__abstractmethods__):
        raise UserError(
            f"{kind.__name__} of the family {family.name} lacks {', '.join(lacking)}",
            do="see docs/adding-a-family.md",
        )
    return kind


def load_part(
    kind: _Loadable[M_co], folder: Path, device: torch.device, dtype: torch.dtype = torch.float32
) -> M_co:
    """One network of a pipeline, in float32, in eval mode, without gradients; of images, channels last.

    Args:
        kind: The library's class.
        folder: With its config.json and safetensors.
        device: Where it goes.
        dtype: Instead of float32, for a network too large for it.

    Raises:
        UserError: if a file is missing or unreadable, or a weight is missing or left over.
    """
    if not (folder / "config.json").is_file():
        do = "copy the whole folder again"
        raise MissingFileError(folder / "config.json", "config of a network", do=do)
    read_json(folder / "config.json", "a network's config")
    weights = find_weights(folder)
    for file in weights.files:
        refuse_damaged(file, f"weights of a {_name(kind)}")
    settings: dict[str, Any] = {
        "use_safetensors": weights.ending == "safetensors",
        "output_loading_info": True,
        "local_files_only": True,
    }
    settings |= {"dtype" if hasattr(kind, "get_input_embeddings") else "torch_dtype": dtype}
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
    # The layout is one of four axes; an autoencoder of films has weights of five.
    if any(weight.dim() > _AXES_OF_IMAGES for weight in model.parameters()):
        return model.to(device)
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


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


def weights_sha256(module: nn.Module) -> str:
    """Hash of a module's weights: names, types, shapes and values."""
    parts = {
        name: [
            str(v.dtype),
            list(v.shape),
            sha256_bytes(v.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()),
        ]
        for name, v in module.state_dict().items()
    }
    return sha256_json(parts)


def resolve_precision(asked: str, device: torch.device) -> Precision:
    """The precision that `auto` means: bfloat16 where the hardware multiplies it, else fp16 on a GPU.

    On other devices half precision would lose digits and gain no time, so there it is float32. fp16
    has a short range: training in it scales the loss, so it is chosen only where there is no bfloat16.

    Args:
        asked: `auto`, `fp32`, `bf16` or `fp16`.
        device: Where the networks will run.

    Raises:
        UserError: for another word, or fp16 on a device that is no CUDA GPU.
    """
    if asked == "auto":
        if _bf16_pays(device):
            return "bf16"
        return "fp16" if device.type == "cuda" else "fp32"
    if asked == "fp16" and device.type != "cuda":
        raise UserError(
            f"precision is fp16 on {device.type}", allowed="auto, fp32, bf16", do="fp16 needs a CUDA GPU"
        )
    if asked not in get_args(Precision):
        raise UserError(f"precision is {asked!r}", allowed=f"auto, {', '.join(get_args(Precision))}")
    chosen: Precision = asked  # type: ignore[assignment]  # one of its words
    return chosen


def _bf16_pays(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001  # torch has no public question for it
    return False

"""Opens a whole Stable Diffusion 1.x or SDXL in one file, and loose UNets, as strictly as folders.

The names are those of the original code; diffusers' own converters turn them into its own. What a file does
not state, such as the number of heads or the vocabularies, is the base model's for `--checkpoint` and the
published model's for `--base`.
"""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from benchmark.core.errors import NotComparableError, UnreadableFileError, UserError
from benchmark.models.families.unet.ddim import PredictionType
from benchmark.models.families.unet.kinds import (
    TEXT,
    TEXT_XL,
    UNET,
    VAE,
    Contents,
    contents,
    original_name,
    refusal,
)
from benchmark.models.families.unet.opening import as_ddim, clip_tokenizer, quick_unet_layout
from benchmark.models.families.unet.published import SCHEDULER, Sizes, fitting_sizes
from benchmark.models.loading import not_finite, wrong_weights
from benchmark.models.quiet import quiet
from benchmark.models.tensors import read_pickle

if TYPE_CHECKING:
    from benchmark.models.families.unet.pipeline import UNetPipeline

State = dict[str, Tensor]

# Of the original code: tables it computes from the noise schedule, averages of the weights beside them (which
# diffusers passes over, too), losses of its training, and marks of v prediction.
_PASSED_OVER = (
    "model_ema.", "alphas_cumprod", "betas", "sqrt_", "log_one_minus_alphas", "posterior_", "lvlb_weights",
    "logvar", "scale_factor", "denoiser.", "first_stage_model.loss.", "v_pred", "ztsnr",
)  # fmt: skip
# Of CLIP: what the libraries compute or what no state that the UNet is told of depends on.
_PASSED_OVER_ENDINGS = ("position_ids", "logit_scale", "embedders.0.transformer.text_projection.weight",
                        "cond_stage_model.transformer.text_projection.weight")  # fmt: skip


def file_parts(file: Path, device: torch.device) -> dict[str, Any]:
    """The parts of the base model in a single file, with the published configs and CLIP's vocabulary.

    Args:
        file: A whole model.
        device: Where its parts go.

    Raises:
        UserError: if it is something else, of other sizes than the published, damaged or incomplete.
    """
    found = contents(file)
    sizes = fitting_sizes(file, found)
    parts = _parts(file, found, networks_of(sizes), device)
    tokenizers = {"tokenizer": clip_tokenizer(sizes.length)}
    if sizes.text_2 is not None:
        tokenizers["tokenizer_2"] = clip_tokenizer(sizes.length, pad="!")
    predicts = found.prediction_type or "epsilon"
    if predicts not in get_args(PredictionType):
        raise UserError(
            f"{file} says that it predicts {predicts}", allowed=", ".join(get_args(PredictionType))
        )
    noise = dict(SCHEDULER) | {"prediction_type": predicts}
    if found.has_zero_snr:
        noise |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    xl = sizes.text_2 is not None
    return {**parts, **tokenizers, "scheduler": as_ddim(noise, xl=xl), "zeros_for_empty": xl}


def trained_parts(file: Path, found: Contents, base: "UNetPipeline") -> dict[str, nn.Module]:
    """Every part that a file holds, for its own part's place in the base model.

    Args:
        file: A whole model or a UNet, under either code's names.
        found: What it holds.
        base: The base model, whose configs the parts must fit.

    Raises:
        UserError: if it is of another family or of other sizes.
    """
    if found.kind == "foreign":
        raise refusal(file, found, "--checkpoint")
    if found.kind != "unet" and (found.kind == "sdxl") != base.is_xl:
        ours = "SDXL" if base.is_xl else "Stable Diffusion 1.x"
        raise NotComparableError(
            f"{file} is {found.words}, and the base model {base.name} is {ours}",
            do="give its own family with --base",
        )
    networks = {name: part for name in _KINDS if (part := getattr(base, name)) is not None}
    return _parts(file, found, networks, base.device, base=base)


def check_noise(file: Path, found: Contents, base: "UNetPipeline") -> None:
    """Refuses weights or an adapter that were trained, as they say, for another use of noise.

    Args:
        file: For the message.
        found: What it holds.
        base: Whose noise schedule is sampled.

    Raises:
        NotComparableError: if the base predicts something else, or ends in other noise.
    """
    stated = found.prediction_type
    if stated is not None and stated != base.prediction_type:
        raise NotComparableError(
            f"{file} says that it predicts {stated}, and the base model {base.name} {base.prediction_type}",
            do="give a base model of that prediction type with --base",
        )
    if found.has_zero_snr and not base.scheduler.config.rescale_betas_zero_snr:
        raise NotComparableError(
            f"{file} says that its last step is noise alone (ztsnr), and that of {base.name} is not",
            do="give a base model whose scheduler_config.json has rescale_betas_zero_snr with --base",
        )


_KINDS: Mapping[str, Any] = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "text_encoder_2": CLIPTextModelWithProjection,
}


def networks_of(sizes: Sizes) -> dict[str, nn.Module]:
    """The networks of a published model, without weights."""
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "max_position_embeddings": sizes.length}
    with torch.device("meta"):
        found: dict[str, nn.Module] = {
            "unet": UNet2DConditionModel(**sizes.unet),
            "vae": AutoencoderKL(**sizes.vae),
            "text_encoder": CLIPTextModel(CLIPTextConfig(**ids, **sizes.text)),
        }
        if sizes.text_2 is not None:
            found["text_encoder_2"] = CLIPTextModelWithProjection(CLIPTextConfig(**ids, **sizes.text_2))
    return found


def _parts(
    file: Path,
    found: Contents,
    networks: Mapping[str, nn.Module],
    device: torch.device,
    base: "UNetPipeline | None" = None,
) -> dict[str, nn.Module]:
    """The networks that a file holds, each built like the one given."""
    state = _read(file)
    if found.kind == "unet":
        states = {"unet": state}
    else:
        states = _by_part({original_name(name): value for name, value in state.items()}, file, networks)
    lacking = set(networks) - set(states) if base is None else {"unet"} - set(states)
    if lacking:
        raise refusal(file, found, "--base")
    parts = {}
    for name, part_state in states.items():
        parts[name] = _filled(networks[name], part_state, file, name, base)
        parts[name].requires_grad_(False).eval()
        parts[name].to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts["unet"].to(memory_format=quick_unet_layout(device))
    return parts


def _read(file: Path) -> State:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    return {name: value for name, value in read_pickle(file).items() if isinstance(value, Tensor)}


def _by_part(state: State, file: Path, networks: Mapping[str, nn.Module]) -> dict[str, State]:
    """Each part's weights under diffusers' names; every weight has one, or is known to need none."""
    used = {
        name: value
        for name, value in state.items()
        if not name.startswith(_PASSED_OVER) and not name.endswith(_PASSED_OVER_ENDINGS)
    }
    prefixes = {
        "unet": (UNET,),
        "vae": VAE,
        "text_encoder": (TEXT, TEXT_XL[0]),
        "text_encoder_2": (TEXT_XL[1],),
    }
    found = {}
    for part, prefix in prefixes.items():
        own = {name: used.pop(name) for name in list(used) if name.startswith(prefix)}
        if own and part in networks:
            found[part] = _converted(part, own, networks[part])
            # open_clip keeps queries, keys and values in one tensor.
            lost = len(own) + 2 * sum(".in_proj_" in name for name in own) - len(found[part])
            if lost:
                raise UnreadableFileError(
                    file, f"a {part}", f"{lost} of its weights have names of no known layer"
                )
        elif own:
            used |= own
    if used:
        more = f" and {len(used) - 1} more" if len(used) > 1 else ""
        raise UnreadableFileError(file, "a whole model", f"weights of no known part: {min(used)}{more}")
    return found


def _converted(part: str, own: State, network: nn.Module) -> State:
    from diffusers.loaders import single_file_utils as names

    if part in ("unet", "vae"):
        prefix = next(p for p in (UNET, *VAE) if next(iter(own)).startswith(p))
        bare = {name.removeprefix(prefix): value for name, value in own.items()}
        # Some tools write diffusers' names behind the original prefix.
        if set(bare) == set(network.state_dict()):
            return bare
        convert = names.convert_ldm_unet_checkpoint if part == "unet" else names.convert_ldm_vae_checkpoint
        with quiet():
            return dict(convert(own, config=dict(_config(network))))
    if part == "text_encoder":
        return dict(names.convert_ldm_clip_checkpoint(own))
    about = SimpleNamespace(config=network.config)
    return dict(names.convert_open_clip_checkpoint(about, own, prefix=TEXT_XL[1] + "model."))


def _config(network: nn.Module) -> Mapping[str, Any]:
    config: Mapping[str, Any] = network.config  # type: ignore[assignment]  # nn.Module knows no config
    return config


def _filled(
    network: nn.Module, state: State, file: Path, name: str, base: "UNetPipeline | None"
) -> nn.Module:
    """A network like the one given, with a file's weights in float32; all are found and none is left over."""
    from accelerate import init_empty_weights

    kind = _KINDS[name]
    with quiet(), init_empty_weights(include_buffers=False):
        made = kind.from_config(network.config) if name in ("unet", "vae") else kind(network.config)
    own: nn.Module = made
    if name.startswith("text"):
        # transformers puts the encoder below `text_model.` in one class and not in the other.
        prefix = "text_model." if hasattr(own, "text_model") else ""
        state = {
            key if key.startswith("text_projection") else prefix + key.removeprefix("text_model."): value
            for key, value in state.items()
        }
    wanted = own.state_dict()
    wrong = wrong_weights(
        {
            "missing_keys": [key for key in wanted if key not in state],
            "unexpected_keys": [key for key in state if key not in wanted],
            "mismatched_keys": [k for k in wanted if k in state and state[k].shape != wanted[k].shape],
        }
    )
    if wrong and base is not None:
        raise NotComparableError(
            f"{file} is no checkpoint of {base.name}: its {name} does not fit ({wrong})",
            do="give the base model it was trained from with --base",
        )
    if wrong:
        raise UnreadableFileError(file, f"a whole model, its {name}", wrong)
    for key in wanted:
        if not state[key].is_floating_point():
            kept = str(state[key].dtype).removeprefix("torch.")
            raise UnreadableFileError(file, f"a {name}", f"{key} holds {kept}, not floats")
    own.load_state_dict(
        {key: value.to(torch.float32, copy=True) for key, value in state.items()}, assign=True
    )
    if wrong := not_finite(own):
        raise UnreadableFileError(file, f"a {name}", wrong)
    return own

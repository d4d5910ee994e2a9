"""What a file of weights holds, told by the names and shapes of its tensors; nothing is loaded."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.core.errors import UserError
from benchmark.models.tensors import Shapes, named_shapes

Kind = Literal["sd", "sdxl", "unet", "foreign", "other"]

UNET = "model.diffusion_model."
VAE = ("first_stage_model.", "vae.")
TEXT = "cond_stage_model."
TEXT_XL = ("conditioner.embedders.0.", "conditioner.embedders.1.")

_ADAPTER = re.compile(r"lora|hada_|lokr_|dora_scale|oft_|\.diff\b|on_input|\.alpha$")


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        kind: `sd` and `sdxl` are whole models, or their UNet, under the names of the original code; `unet` is
            one under diffusers' names; `foreign` is known and of no use here; `other` may be an adapter.
        words: The same for a message: "a whole Stable Diffusion 2.x".
        shapes: Of each tensor.
        metadata: What a safetensors file states of itself.
    """

    kind: Kind
    words: str
    shapes: Shapes
    metadata: Mapping[str, str]

    @property
    def is_whole(self) -> bool:
        """Whether there is an autoencoder and a text encoder beside the UNet."""
        return any(n.startswith(VAE) for n in self.shapes) and any(
            n.startswith((TEXT, *TEXT_XL)) for n in self.shapes
        )

    @property
    def prediction_type(self) -> str | None:
        """What the file says that its UNet predicts, in diffusers' words; None where it says nothing."""
        if "v_pred" in self.shapes:
            return "v_prediction"
        stated = self.metadata.get("modelspec.prediction_type", "").lower()
        return {"v": "v_prediction"}.get(stated, stated) or None

    @property
    def has_zero_snr(self) -> bool:
        """Whether the file says that its last step is noise alone."""
        return "ztsnr" in self.shapes


def contents(file: Path) -> Contents:
    """What a file of weights holds.

    Args:
        file: `.safetensors`, of which only the header is read, or a pickle of torch (`.ckpt`, `.pt`, `.pth`,
            `.bin`), which is opened for weights only.

    Raises:
        UserError: if it is damaged, no file of weights, or a pickle of more than weights.
    """
    shapes, metadata = named_shapes(file)
    kind, words = _classify(shapes)
    return Contents(kind, words, shapes, metadata)


def original_name(name: str) -> str:
    """A name of the original code as whole files have it: a UNet alone may lack the prefix."""
    if name.startswith(
        ("input_blocks.", "middle_block.", "output_blocks.", "time_embed.", "label_emb.", "out.")
    ):
        return UNET + name
    return f"model.{name}" if name.startswith("diffusion_model.") else name


def _classify(shapes: Shapes) -> tuple[Kind, str]:
    names = {original_name(name): shape for name, shape in shapes.items()}
    if f"{UNET}input_blocks.0.0.weight" not in names and any(map(_ADAPTER.search, names)):
        return "other", "an adapter"
    for words, matches in _FOREIGN:
        if matches(names):
            return "foreign", words
    if f"{UNET}input_blocks.0.0.weight" in names:
        xl = f"{UNET}label_emb.0.0.weight" in names
        family = "SDXL" if xl else "Stable Diffusion 1.x"
        whole = _has(r"(first_stage_model|vae)\.")(names) and _has(r"(cond_stage_model|conditioner)\.")(names)
        return "sdxl" if xl else "sd", f"a whole {family}" if whole else f"a UNet of {family}"
    if (
        "conv_in.weight" in names
        and _has(r"down_blocks\.")(names)
        and "time_embedding.linear_1.weight" in names
    ):
        return "unet", "a UNet"
    return "other", "weights of no known model"


def _has(pattern: str) -> Callable[[Shapes], bool]:
    compiled = re.compile(pattern)
    return lambda names: any(compiled.match(name) for name in names)


def _channels(count: int) -> Callable[[Shapes], bool]:
    """Whether the UNet reads so many channels, under either code's names."""
    return lambda names: any(
        len(shape) == 4 and shape[1] == count
        for shape in (names.get(f"{UNET}input_blocks.0.0.weight", ()), _own_unet(names))
    )


def _own_unet(names: Shapes) -> tuple[int, ...]:
    return names.get("conv_in.weight", ()) if "time_embedding.linear_1.weight" in names else ()


def _reads(width: int) -> Callable[[Shapes], bool]:
    """Whether the UNet's text states have a width."""
    of_text = re.compile(r".*attn2\.to_k\.weight$")
    return lambda names: any(shape[-1:] == (width,) for name, shape in names.items() if of_text.match(name))


def _no_unet(pattern: str) -> Callable[[Shapes], bool]:
    found = _has(pattern)
    return lambda names: (
        found(names) and not _has(r"model\.diffusion_model\.|down_blocks\.\d+\.(resnets|attentions)")(names)
    )


def _all(*conditions: Callable[[Shapes], bool]) -> Callable[[Shapes], bool]:
    return lambda names: all(condition(names) for condition in conditions)


def _embedding(names: Shapes) -> bool:
    """A few vectors and nothing else, as a textual inversion has."""
    if {"string_to_param", "string_to_token"} & set(names) or "emb_params" in names:
        return True
    vectors = all(len(shape) in (1, 2) and shape[-1] in (768, 1024, 1280) for shape in names.values())
    return 0 < len(names) <= 2 and vectors and not any("." in name for name in names)


_REMEDIES = {
    "a whole Stable Diffusion 2.x": "save it as a folder with diffusers: StableDiffusionPipeline."
    "from_single_file(FILE).save_pretrained(FOLDER), and give that with --base",
    "a UNet of Stable Diffusion 1.x": "give a whole model with --base, and this file with --checkpoint",
    "a UNet of SDXL": "give a whole model with --base, and this file with --checkpoint",
    "a UNet": "give a whole model with --base, and this file with --checkpoint",
    "a VAE": "put it into the vae/ folder of a base model",
    "weights of no known model": "give the base model with --base, and an adapter with --checkpoint",
}

# The first that fits. What is listed is known well enough to be named; the rest may be an adapter.
_FOREIGN: tuple[tuple[str, Callable[[Shapes], bool]], ...] = (
    ("a ControlNet", _has(r"control_model\.|control(net_cond|_add)_embedding\.|input_hint_block\.")),
    ("a motion module of AnimateDiff", _has(r".*motion_modules\.|.*temporal_transformer\.")),
    ("an IP-Adapter", _has(r"ip_adapter\.|image_proj(_model)?\.")),
    ("a T2I-Adapter", _has(r"adapter\.body\.|body\.\d+\.block1\.")),
    ("an inpainting model", _channels(9)),
    ("a model that edits images (InstructPix2Pix)", _channels(8)),
    ("an upscaler", _channels(7)),
    ("the SDXL refiner", _has(r"conditioner\.embedders\.0\.model\.")),
    ("a whole Stable Diffusion 2.x", _has(r"cond_stage_model\.model\.")),
    ("a UNet of Stable Diffusion 2.x", _all(_has(r"model\.diffusion_model\."), _reads(1024))),
    ("a Playground v2.5 model", _has(r"edm_mean$")),
    ("a Flux transformer", _has(r"(model\.diffusion_model\.)?double_blocks\.|single_transformer_b")),
    ("a Stable Diffusion 3 transformer", _has(r"(model\.diffusion_model\.)?joint_blocks\.")),
    ("a diffusion transformer", _has(r"(model\.diffusion_model\.)?(transformer_)?(blocks|layers)\.\d+\.")),
    ("a VAE", _no_unet(r"(first_stage_model\.|vae\.)?(encoder|decoder)\.(conv_in|down|up|mid)[._]")),
    ("a T5 text encoder", _no_unet(r"(encoder\.block|shared\.weight)")),
    ("a text encoder", _no_unet(
        r"(text_model\.|transformer\.resblocks\.|cond_stage_model\.|conditioner\.)")),
    ("a textual inversion embedding", _embedding),
    ("the state of an optimiser", lambda names: {"state", "param_groups"} <= set(names)),
)  # fmt: skip


def refusal(file: Path, found: Contents, option: str) -> UserError:
    """The error for a file that is of no use there.

    Args:
        file: As given.
        found: What it holds.
        option: `--base` or `--checkpoint`.
    """
    forms = {"--base": "a diffusers folder, a name, a hub id", "--checkpoint": "a UNet, an adapter, a folder"}
    return UserError(
        f"{file} is {found.words}, which {option} cannot use",
        allowed=f"a whole Stable Diffusion 1.x or SDXL in a .safetensors or .ckpt file, {forms[option]}",
        do=_REMEDIES.get(found.words, ""),
    )

"""The program that measures a step of a published size, here on a tiny folder in the same layout."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmark.models.families.unet.published import SD15, SDXL, Sizes
from tools.bench import full_size


def test_a_fresh_process_trains_one_step_and_says_what_it_took(
    published_folder: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(published_folder("sdxl"), tmp_path / "sdxl")
    full_size.main(["--family", "sdxl", "--work", str(tmp_path), "--precision", "fp32"])
    found = re.search(
        r"peak ([\d.]+) GiB above the ([\d.]+) GiB after imports; .* fp32, loss 0\.6931",
        capsys.readouterr().out,
    )
    assert found is not None
    # A tiny model takes nothing beside the libraries.
    assert float(found[1]) < float(found[2]) / 2
    assert (tmp_path / "run" / "checkpoints" / "step-000001" / "pytorch_lora_weights.safetensors").is_file()


@pytest.mark.parametrize(("sizes", "millions"), [(SD15, (860, 84, 123)), (SDXL, (2567, 84, 123, 695))])
def test_the_sizes_are_the_published_ones(sizes: Sizes, millions: tuple[int, ...]) -> None:
    """Weights of UNet, autoencoder and text encoders, counted without making them."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    with torch.device("meta"):
        networks = [UNet2DConditionModel(**sizes.unet), AutoencoderKL(**sizes.vae)]
        networks.append(CLIPTextModel(CLIPTextConfig(**sizes.text)))
        if sizes.text_2 is not None:
            networks.append(CLIPTextModelWithProjection(CLIPTextConfig(**sizes.text_2)))
    assert tuple(round(sum(p.numel() for p in n.parameters()) / 1e6) for n in networks) == millions

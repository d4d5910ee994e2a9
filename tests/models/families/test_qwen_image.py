"""What Qwen-Image alone has: a template, guidance that keeps lengths, latents with moments of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import QwenImagePipeline as Published

from benchmark.core.errors import UserError
from benchmark.models import load_pipeline
from benchmark.models.conditioning import Conditioning
from benchmark.models.families.qwen_image.pipeline import NO_PROMPT, QwenImagePipeline, template
from tools.random_flow.qwen_image import TOKENS, write_random_folder

PROMPTS = ["a star", "two hearts, " * 20, ""]


@pytest.fixture(scope="module")
def base(published_pipeline: Callable[..., QwenImagePipeline]) -> QwenImagePipeline:
    return published_pipeline("qwen_image")


def test_the_tiny_tokenizer_reads_the_template_as_the_published_one(base: QwenImagePipeline) -> None:
    around, before, tokens = template()
    assert (before, tokens, base.tokens) == (34, 512, TOKENS)
    assert len(base.tokenizer(around.split("{}")[0]).input_ids) == before
    assert base.text_settings() == [TOKENS, around, before, NO_PROMPT]


def test_a_prompt_is_encoded_alike_whatever_stands_beside_it(base: QwenImagePipeline) -> None:
    together = base.encode_prompts(PROMPTS)
    for i, prompt in enumerate(PROMPTS):
        alone = base.encode_prompts([prompt])
        assert all(torch.equal(part[0], together.parts[name][i]) for name, part in alone.parts.items())


def test_what_fills_up_is_not_told_however_much_of_it_there_is(base: QwenImagePipeline) -> None:
    told, noisy, sigma = base.encode_prompts(PROMPTS), torch.randn(3, 4, 16, 16), torch.rand(3)
    states, mask = told.parts["states"], told.parts["mask"]
    with torch.no_grad():
        found = base.predict(base.transformer, noisy, sigma, told)
        shorter = Conditioning({"states": states[::2, : TOKENS - 8], "mask": mask[::2, : TOKENS - 8]})
        alike = base.predict(base.transformer, noisy[::2], sigma[::2], shorter)
        torch.testing.assert_close(alike, found[::2], rtol=1e-5, atol=1e-5)


def test_guidance_keeps_the_length_of_every_token(base: QwenImagePipeline) -> None:
    published: Any = Published
    empty, conditional = torch.randn(2, 2, 4, 16, 16)
    found = base.guided(empty, conditional, 4.0)
    lengths = [published._pack_latents(x, 2, 4, 16, 16).norm(dim=-1) for x in (found, conditional)]
    torch.testing.assert_close(*lengths)
    plain = empty + 4 * (conditional - empty)
    torch.testing.assert_close(
        torch.nn.functional.cosine_similarity(found, plain, dim=1), torch.ones(2, 16, 16)
    )


def test_latents_have_their_own_mean_and_deviation_in_each_channel(
    published_folder: Callable[..., Path], base: QwenImagePipeline
) -> None:
    """As diffusers' pipelines for images as input take them."""
    from diffusers import QwenImageImg2ImgPipeline

    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    pipe: Any = QwenImageImg2ImgPipeline.from_pretrained(published_folder("qwen_image"))
    vae: Any = base.vae
    with torch.no_grad():
        wanted = pipe._encode_vae_image(
            pixels[:, :, None], [torch.Generator().manual_seed(i) for i in (0, 1)]
        )
        spread = vae.encode(pixels[:, :, None]).latent_dist.std / torch.tensor(vae.config.latents_std).view(
            1, -1, 1, 1, 1
        )
    # Theirs is a draw, ours the mean.
    found = base.encode_images(images)
    assert bool(((found - wanted[:, :, 0]).abs() <= 5 * spread[:, :, 0] + 1e-5).all())
    assert base.decode(found).shape == images.shape


@pytest.mark.parametrize("setting", ["zero_cond_t", "use_additional_t_cond", "use_layer3d_rope"])
def test_transformers_of_other_pipelines_are_refused(setting: str, tmp_path: Path) -> None:
    changes: dict[str, Any] = {setting: True}
    folder = write_random_folder(tmp_path / "other", **changes)
    with pytest.raises(UserError, match=f"says {setting}"):
        load_pipeline(str(folder))

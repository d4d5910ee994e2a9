"""Pixels to latents and back by `AutoencoderKL` as flow models use it, and latents as tokens."""

from typing import Any

from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def kl_latents(vae: AutoencoderKL, pixels: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n c h w"]:
    r"""$(\mu - \mathrm{shift\_factor}) \cdot \mathrm{scaling\_factor}$, with $\mu$ the posterior's mean.

    Args:
        vae: The autoencoder.
        pixels: In [-1, 1].
    """
    mean: Tensor = vae.encode(pixels).latent_dist.mean.float()
    return (mean - shift_factor(vae)) * float(vae.config.scaling_factor)


def kl_pixels(vae: AutoencoderKL, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 height width"]:
    """The inverse of :func:`kl_latents`, in about [-1, 1]."""
    plain = latents / float(vae.config.scaling_factor) + shift_factor(vae)
    pixels: Tensor = vae.decode(plain).sample
    return pixels


def shift_factor(vae: AutoencoderKL) -> float:
    """What is subtracted from latents; configs without one mean 0."""
    config: Any = vae.config
    return float(config.shift_factor or 0.0)


def packed(latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n tokens channels"]:
    """Latents as tokens of four neighbours in all channels, row by row; channels before places.

    Args:
        latents: Of even height and width.
    """
    return functional.pixel_unshuffle(latents, 2).flatten(2).transpose(1, 2)


def unpacked(tokens: Float[Tensor, "n tokens channels"], height: int) -> Float[Tensor, "n c h w"]:
    """The inverse of :func:`packed`.

    Args:
        tokens: Row by row.
        height: Of the latents.
    """
    return functional.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, (height // 2, -1)), 2)

"""Pixels to latents and back by `AutoencoderKL` as flow models use it: shifted, then scaled."""

from typing import Any

from diffusers import AutoencoderKL
from jaxtyping import Float
from torch import Tensor


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

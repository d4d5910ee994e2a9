"""The committed UNet as a teacher of the flow model: the velocity that it expects, in place of one draw's.

A network that regresses on `noise - image` of single draws spends most of its steps on averaging noise away.
The UNet has done that: asked at the same signal-to-noise ratio, it says the mean image and noise, hence the
mean velocity, which has the same minimiser as far as the UNet is right.
"""

from dataclasses import dataclass
from typing import Self

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from tools.build_shapes.fitting import Build, autocast, compiled


@dataclass(frozen=True)
class Teacher:
    """The UNet with its text encoder, frozen.

    Attributes:
        unet: Predicts v.
        encoder: Of its captions.
        signal: Share of the image in the variance at each timestep, falling.
    """

    unet: nn.Module
    encoder: CLIPTextModel
    signal: Tensor

    @classmethod
    def load(cls, build: Build) -> Self:
        """The committed one."""
        folder = build.weights / "shapes-sd"
        unet = UNet2DConditionModel.from_pretrained(folder / "unet").float().requires_grad_(False).eval()
        encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").float().requires_grad_(False).eval()
        signal = DDIMScheduler.from_pretrained(folder / "scheduler").alphas_cumprod.double()
        return cls(compiled(build, unet.to(memory_format=torch.channels_last)), encoder, signal)

    def timestep(self, signal: Tensor) -> Tensor:
        """The timestep, between two whole ones, at which the image has this share of the variance, (n,).

        Args:
            signal: (n,).
        """
        rising = self.signal.flip(0)
        above = torch.searchsorted(rising, signal).clamp(1, len(rising) - 1)
        below = above - 1
        part = ((signal - rising[below]) / (rising[above] - rising[below])).clamp(0, 1)
        return (len(rising) - 1) - (below + part)

    @torch.no_grad()
    def velocity(self, x: Tensor, sigma: Tensor, ids: Tensor) -> Tensor:
        r"""The expected velocity $E[\epsilon - x_0 | x]$, (n, 4, 16, 16).

        With $r^2 = (1 - \sigma)^2 + \sigma^2$ the point $x / r$ is of the variance-preserving process with
        $\alpha = (1 - \sigma) / r$; there the UNet's v gives $x_0 = \alpha x / r - \sqrt{1 - \alpha^2} v$ and
        $\epsilon = \sqrt{1 - \alpha^2} x / r + \alpha v$.

        Args:
            x: (1 - sigma) image + sigma noise.
            sigma: (n,).
            ids: Of the captions.
        """
        image, noise = (1 - sigma.double()), sigma.double()
        length = (image**2 + noise**2).sqrt()
        t = self.timestep((image / length) ** 2).float()
        alpha, beta, length = (
            one.float()[:, None, None, None] for one in (image / length, noise / length, length)
        )
        point = x / length
        with autocast():
            states = self.encoder(ids).last_hidden_state
            v = self.unet(point.contiguous(memory_format=torch.channels_last), t, states).sample.float()
        found: Tensor = (beta * point + alpha * v) - (alpha * point - beta * v)
        return found

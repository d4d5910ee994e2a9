"""Stage `vae`: the autoencoder of the pipeline, an AutoencoderKL from 64 x 64 x 3 to 16 x 16 x 4."""

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from benchmark.shapes.renderer import render
from benchmark.shapes.scenes import SIDE, Wanted, sample_scenes
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, Fit, autocast, fit, generator
from tools.build_shapes.workers import is_first

CONFIG = {
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "block_out_channels": (32, 64, 96),
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 8,
    "sample_size": SIDE,
    "mid_block_add_attention": False,
}
CROP_SHARE = 0.85
"""The share of steps on crops of 32 pixels: the model is convolutional, and a crop costs a quarter."""


def renders(n: int, g: torch.Generator) -> Tensor:
    """N fresh renders of random scenes, in [-1, 1]."""
    return render(sample_scenes(Wanted.anything(n), g)).clamp(0, 1) * 2 - 1


def crops(images: Tensor, side: int, each: int, g: torch.Generator) -> Tensor:
    """`each` random squares from every image."""
    n = len(images)
    corner = torch.randint(0, images.shape[-1] - side + 1, (each, n, 2), generator=g)
    return torch.stack(
        [
            images[i, :, y : y + side, x : x + side]
            for k in range(each)
            for i, (y, x) in enumerate(corner[k].tolist())
        ]
    )


def train(build: Build) -> tuple[AutoencoderKL, Fit]:
    """Trains on fresh renders; the loss is squared plus absolute error and a trace of the KL term."""
    torch.manual_seed(build.seed)
    vae = AutoencoderKL(**CONFIG)
    models = nn.ModuleDict({"vae": vae})
    steps = build.amount(2800)

    def loss(step: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        images = crops(renders(8, g), 32, 2, g) if step < CROP_SHARE * steps else renders(6, g)
        images = images.contiguous(memory_format=torch.channels_last)
        with autocast():
            posterior = vae.encode(images).latent_dist
            z = posterior.mean + posterior.std * torch.randn(posterior.mean.shape, generator=g)
            out = vae.decode(z).sample.float()
        error = out - images
        kl = posterior.kl().float().mean() / posterior.mean[0].numel()
        value = error.square().mean() + 0.05 * error.abs().mean() + 1e-5 * kl
        return value, {"psnr": float(-10 * torch.log10(error.detach().square().mean() / 4))}

    vae.to(memory_format=torch.channels_last)
    done = fit(build, "vae", models, loss, steps=steps, lr=2e-3, average=0.998)
    whiten(vae, latents(vae, build.amount(2048, 16), generator(build.seed, "whiten")))
    return vae, done


@torch.no_grad()
def latents(vae: AutoencoderKL, n: int, g: torch.Generator) -> Tensor:
    """The posterior means of N fresh renders."""
    return torch.cat([vae.encode(part).latent_dist.mean for part in renders(n, g).split(64)])


@torch.no_grad()
def whiten(vae: AutoencoderKL, z: Tensor) -> None:
    r"""Gives the latents mean 0 and covariance 1 by a change of basis, folded into the 1 x 1 convolutions.

    $$ z' = \Lambda^{-1/2} U^\top (z - \mu), \qquad z = U \Lambda^{1/2} z' + \mu $$

    Pictures do not change. But nothing in an autoencoder's loss keeps its channels alike: left alone, two of
    the four directions had a standard deviation of 0.03 and 0.07 beside 0.7 and 1.7, and what they carry, the
    objects' colours, drowned in the diffusion's noise. The posterior's spread becomes a constant, and is not
    used.
    """
    flat = z.movedim(1, 0).flatten(1).double()
    mean = flat.mean(1)
    values, basis = torch.linalg.eigh(torch.cov(flat))
    to = (basis / values.sqrt()).T.float()
    back = (basis * values.sqrt()).float()
    channels = len(mean)
    into, out = vae.quant_conv, vae.post_quant_conv
    means, bias = into.weight[:channels, :, 0, 0], into.bias[:channels]
    into.bias[:channels] = to @ (bias - mean.float())
    into.weight[:channels, :, 0, 0] = to @ means
    into.weight[channels:], into.bias[channels:] = 0, -10
    out.bias += out.weight[:, :, 0, 0] @ mean.float()
    out.weight[:, :, 0, 0] = out.weight[:, :, 0, 0] @ back
    vae.register_to_config(scaling_factor=1.0)


@torch.no_grad()
def psnr(vae: AutoencoderKL, images: Tensor) -> float:
    """Peak signal-to-noise ratio in dB, the mean over images in [-1, 1]."""
    out = torch.cat(
        [vae.decode(vae.encode(part).latent_dist.mean).sample.clamp(-1, 1) for part in images.split(64)]
    )
    return float((-10 * torch.log10((out - images).square().mean((1, 2, 3)) / 4)).mean())


def run(build: Build) -> None:
    """Trains, measures and writes the autoencoder."""
    vae, done = train(build)
    if not is_first():
        return
    vae.half().save_pretrained(build.weights / "shapes-sd" / "vae")
    vae = AutoencoderKL.from_pretrained(build.weights / "shapes-sd" / "vae").eval()
    quality = psnr(vae, renders(build.amount(2000, 8), generator(build.seed, "vae-held-out")))
    write_card(build, "vae", done, {"psnr_db": quality})

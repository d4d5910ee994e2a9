"""Stage `unet`: the diffusion model and its text encoder; v prediction, a schedule that ends in pure noise.

Latents of renders are computed once for each process and used several times, with a fresh wording of their
caption every time.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from benchmark.shapes.facts import Facts, draw_facts, wanted
from benchmark.shapes.grammar import caption
from benchmark.shapes.renderer import render
from benchmark.shapes.scenes import Scenes, sample_scenes
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, Fit, autocast, compiled, fit, generator
from tools.build_shapes.text import WIDTH, load_tokenizer, new_encoder, token_ids
from tools.build_shapes.workers import is_first

CHANNELS = (64, 128)
LATENTS = 24_000
"""Renders encoded for each process."""
BATCH = 32
"""Of each process."""


@dataclass(frozen=True)
class Phase:
    """A part of the training.

    Attributes:
        name: Of its state.
        steps: Of each process.
        rate: Learning rate.
        foreground: How much more a latent pixel on an object counts.
    """

    name: str
    steps: int
    rate: float
    foreground: float


PHASES = (Phase("unet", 6000, 8e-4, 3.0), Phase("unet-even", 4000, 5e-4, 0.0))
"""Objects first, because unweighted they are learned last. Then evenly, because a weight that depends on the
picture moves the mean that is learned towards pictures with an object there: the first phase alone draws a
third object into a quarter of its pictures."""
FINE_SHARE = 0.1
"""Share of training on the fifth of the timesteps with the least noise, where only texture is decided."""
EMPTY_SHARE = 0.1
"""Share of captions replaced by the empty one, for classifier-free guidance."""


def new_unet() -> UNet2DConditionModel:
    """A UNet of 3.9 million parameters on 16 x 16 latents, attention at 8 x 8."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def new_scheduler() -> DDIMScheduler:
    """DDIM with zero terminal signal-to-noise ratio, so that black and white backgrounds can be drawn."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=1,
    )


@dataclass(frozen=True)
class Encoded:
    """Facts, the scaled latents of one render of each, and which latent pixels are on an object."""

    facts: list[Facts]
    latents: Tensor
    foreground: Tensor


@torch.no_grad()
def encode_renders(build: Build, vae: AutoencoderKL, n: int, split: str, *name: object) -> Encoded:
    """N facts of a split, rendered and encoded; an earlier run's latents come from the state folder."""
    g = generator(build.seed, "unet-scenes", split, *name)
    facts = [draw_facts(g, split) for _ in range(n)]
    scenes = [sample_scenes(wanted(facts[start : start + 64]), g) for start in range(0, n, 64)]
    objects = torch.cat([foreground(part) for part in scenes])
    path = build.state / f"latents-{'-'.join(map(str, (split, n, *name)))}.pt"
    if path.exists():
        return Encoded(facts, torch.load(path, weights_only=True), objects)
    latents = []
    for part in scenes:
        images = render(part).clamp(0, 1) * 2 - 1
        with autocast():
            latents.append(
                vae.encode(images.contiguous(memory_format=torch.channels_last)).latent_dist.mean.float()
            )
    scaled = torch.cat(latents) * vae.config.scaling_factor
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(scaled, path)
    return Encoded(facts, scaled, objects)


def foreground(scenes: Scenes) -> Tensor:
    """Which of the 16 x 16 latent pixels are on an object or next to it, (n, 1, 16, 16)."""
    axis = torch.arange(16) * 4 + 2.0
    dx = axis[None, None, None, :] - scenes.centre[:, :, 0, None, None]
    dy = axis[None, None, :, None] - scenes.centre[:, :, 1, None, None]
    near = torch.hypot(dx, dy) < scenes.radius[..., None, None] + 3
    there = torch.arange(2) < scenes.count[:, None]
    return (near & there[..., None, None]).any(1, keepdim=True)


def foreground_weight(objects: Tensor, more: float) -> Tensor:
    """Weights of latent pixels, 1 + `more` on objects, scaled to mean 1 in each scene."""
    weight = 1 + more * objects.float()
    return weight / weight.mean((1, 2, 3), keepdim=True)


def v_loss(
    unet: nn.Module,
    encoder: nn.Module,
    scheduler: DDIMScheduler,
    z: Tensor,
    weight: Tensor,
    ids: Tensor,
    g: torch.Generator,
    fine_share: float = 0.2,
) -> Tensor:
    """Weighted squared error of the velocity for each sample, (n,); timesteps are stratified."""
    n = len(z)
    u = (torch.arange(n) + torch.rand(n, generator=g)) / n
    fifth = 0.2 * u / fine_share
    rest = 0.2 + 0.8 * (u - fine_share) / (1 - fine_share)
    t = (torch.where(u < fine_share, fifth, rest) * scheduler.config.num_train_timesteps).long()
    noise = torch.randn(z.shape, generator=g)
    noisy, target = scheduler.add_noise(z, noise, t), scheduler.get_velocity(z, noise, t)
    with autocast():
        context = encoder(ids).last_hidden_state
        prediction = unet(noisy.contiguous(memory_format=torch.channels_last), t, context).sample.float()
    error: Tensor = (prediction - target).square() * weight
    return error.mean((1, 2, 3))


def train(build: Build) -> tuple[UNet2DConditionModel, CLIPTextModel, list[Fit]]:
    """Trains the UNet and, with it, the text encoder of stage `text`."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    torch.manual_seed(build.seed)
    tokenizer, scheduler = load_tokenizer(build), new_scheduler()
    vae = (
        AutoencoderKL.from_pretrained(build.weights / "shapes-sd" / "vae")
        .to(memory_format=torch.channels_last)
        .eval()
    )
    unet, encoder = new_unet(), new_encoder(tokenizer)
    encoder.load_state_dict(torch.load(build.state / "text-encoder.pt", weights_only=True))
    data = encode_renders(build, vae, build.amount(LATENTS, 64), "pretrain", rank)
    check = encode_renders(build, vae, build.amount(512, 16), "validation")
    words = generator(build.seed, "check-captions")
    check_ids = token_ids(tokenizer, [caption(f, words) for f in check.facts])
    models = nn.ModuleDict({"unet": unet.to(memory_format=torch.channels_last), "encoder": encoder})
    fast_unet = compiled(build, unet)

    def train_phase(phase: Phase) -> Fit:
        def loss(_step: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
            rows = torch.randint(len(data.latents), (BATCH,), generator=g)
            texts = [
                caption(data.facts[i], g) if torch.rand((), generator=g) > EMPTY_SHARE else ""
                for i in rows.tolist()
            ]
            ids = token_ids(tokenizer, texts)
            weight = foreground_weight(data.foreground[rows], phase.foreground)
            losses = v_loss(fast_unet, encoder, scheduler, data.latents[rows], weight, ids, g, FINE_SHARE)
            return losses.mean(), {}

        @torch.no_grad()
        def validate(now: nn.ModuleDict) -> dict[str, float]:
            g = generator("validate")
            weight = foreground_weight(check.foreground, phase.foreground)
            parts = zip(check.latents.split(64), weight.split(64), check_ids.split(64), strict=True)
            losses = [v_loss(now["unet"], now["encoder"], scheduler, z, w, ids, g) for z, w, ids in parts]
            return {"validation_loss": float(torch.cat(losses).mean())}

        steps = build.amount(phase.steps)
        return fit(
            build,
            phase.name,
            models,
            loss,
            steps=steps,
            lr=phase.rate,
            warmup=200,
            average=0.9985,
            validate=validate,
            validate_every=max(1, steps // 20),
        )

    return unet, encoder, [train_phase(phase) for phase in PHASES]


def write_pipeline(folder: Path, unet: UNet2DConditionModel, encoder: CLIPTextModel, build: Build) -> None:
    """The folder that plain `StableDiffusionPipeline.from_pretrained` opens: half on disk, float32 in use."""
    vae = AutoencoderKL.from_pretrained(folder / "vae")
    pipe = StableDiffusionPipeline(
        vae=vae.half(),
        text_encoder=encoder.half(),
        tokenizer=load_tokenizer(build),
        unet=unet.half(),
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder)
    for part, change in (("text_encoder", {"dtype": "float32"}), ("vae", {})):
        config = folder / part / "config.json"
        # Where the builder's machine had the autoencoder is nobody's business.
        settings = {k: v for k, v in json.loads(config.read_text()).items() if k != "_name_or_path"}
        config.write_text(json.dumps(settings | change, indent=2) + "\n")


def run(build: Build) -> None:
    """Trains the diffusion model and writes the pipeline."""
    unet, encoder, phases = train(build)
    if is_first():
        write_pipeline(build.weights / "shapes-sd", unet, encoder, build)
        curves = {
            phase.name: [
                [int(e["step"]), round(e["validation_loss"], 5)] for e in one.log if "validation_loss" in e
            ]
            for phase, one in zip(PHASES, phases, strict=True)
        }
        done = Fit(
            sum(one.steps for one in phases),
            sum(one.seconds for one in phases),
            [line for one in phases for line in one.log],
        )
        samples = done.steps * BATCH * build.processes
        write_card(build, "unet", done, {"validation_curves": curves, "training_samples": samples})

"""Stage `flow`: a flow-matching model of the same world, an SD3 transformer on the committed autoencoder.

It starts from the committed text encoder, which goes on learning with it, and a small second one; there is no
T5. Everything it needs lies beside the weights, so it runs alone:

    python -m tools.build_shapes flow flow_quality --processes 2
"""

import json
from pathlib import Path
from typing import Final

import torch
import torch.distributed as dist
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from benchmark.models.flow.densities import SigmaDensity
from benchmark.models.flow.process import noisy, velocity
from benchmark.models.flow.texts import TOKENS_KEY
from benchmark.shapes.grammar import caption
from tools.build_shapes.cards import write_card
from tools.build_shapes.fitting import Build, Fit, Together, compiled, fit, generator
from tools.build_shapes.teacher import Teacher
from tools.build_shapes.text import WIDTH, load_tokenizer, token_ids
from tools.build_shapes.unet import (
    BATCH,
    EMPTY_SHARE,
    LATENTS,
    Phase,
    encode_renders,
    foreground_weight,
)
from tools.build_shapes.workers import is_first

NAME: Final = "shapes-flow"
SECOND: Final = 32
"""Width of the second text encoder."""
STATES: Final = WIDTH + SECOND
"""Of what the transformer reads of a token, and of a prompt."""
LAYERS: Final = 6
SHIFT: Final = 2.0
"""Of sigma in training and in the sampler: scenes are decided near noise, texture is easy."""
PHASES: Final = (Phase("flow", 5000, 1e-2, 3.0), Phase("flow-even", 1800, 4e-3, 0.0))
"""Objects first, then evenly, as stage `unet` explains; the rate is that of the blocks' matrices."""


def new_transformer() -> SD3Transformer2DModel:
    """A transformer of 3.5 million parameters on 8 x 8 patches, which at first changes nothing."""
    transformer = SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=4, out_channels=4, num_layers=LAYERS,
        attention_head_dim=32, num_attention_heads=4, joint_attention_dim=STATES,
        caption_projection_dim=4 * 32, pooled_projection_dim=STATES, pos_embed_max_size=8,
        qk_norm="rms_norm",
    )  # fmt: skip
    # As DiT begins (arXiv 2212.09748): every block the identity, the output zero. The library's is random.
    for name, module in transformer.named_modules():
        if isinstance(module, nn.Linear) and name.endswith(
            ("norm1.linear", "norm1_context.linear", "norm_out.linear", "proj_out")
        ):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return transformer


def new_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Euler steps with a static shift."""
    return FlowMatchEulerDiscreteScheduler(shift=SHIFT)


def first_encoder(build: Build) -> CLIPTextModelWithProjection:
    """The committed text encoder, with a projection that changes nothing."""
    committed = CLIPTextModel.from_pretrained(build.weights / "shapes-sd" / "text_encoder")
    encoder = CLIPTextModelWithProjection(committed.config)
    weights = {name.removeprefix("text_model."): value for name, value in committed.state_dict().items()}
    with torch.no_grad():
        for name, value in encoder.state_dict().items():
            if name == "text_projection.weight":
                value.copy_(torch.eye(WIDTH))
            else:
                value.copy_(weights.pop(name.removeprefix("text_model.")))
    assert not weights
    return encoder


def second_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModelWithProjection:
    """The place that the pipeline has for a second text encoder, filled as cheaply as it can be."""
    return CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=SECOND,
            projection_dim=SECOND,
            intermediate_size=2 * SECOND,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def optimiser_of(models: nn.ModuleDict, rate: float) -> Together:
    """Muon for the matrices of attention and feed-forward layers, AdamW at a fifth of the rate for the rest.

    After 400 steps at batch 32 the error against the UNet was 0.28 so, and 0.45 by AdamW at 1e-3 without it.
    """
    layers = models["transformer"].named_parameters()
    matrices = [p for name, p in layers if p.ndim == 2 and (".attn." in name or ".ff" in name)]
    kept = set(map(id, matrices))
    rest = [p for p in models.parameters() if id(p) not in kept]
    return Together(
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate / 5, betas=(0.9, 0.99), weight_decay=0.01, fused=True),
    )


def flow_loss(
    models: nn.ModuleDict,
    transformer: nn.Module,
    z: Tensor,
    weight: Tensor,
    ids: Tensor,
    g: torch.Generator,
    teacher: Teacher | None = None,
) -> Tensor:
    """Weighted squared error of the velocity for each sample, (n,); sigmas are stratified.

    Args:
        models: The two text encoders, as `encoder` and `encoder_2`.
        transformer: As it is called.
        z: Latents.
        weight: Of latent pixels.
        ids: Of the captions.
        g: For sigma and noise.
        teacher: Says the velocity; without one it is that of the draw.
    """
    n = len(z)
    u = (torch.arange(n) + torch.rand(n, generator=g)) / n
    sigma = torch.from_numpy(SigmaDensity("uniform", shift=SHIFT)(u.double().numpy())).float()
    noise = torch.randn(z.shape, generator=g)
    # In float32: compiled in bfloat16 its gradients are not numbers (torch 2.14, CPU), and it is no faster.
    x = noisy(z, noise, sigma)
    target = velocity(z, noise) if teacher is None else teacher.velocity(x, sigma, ids)
    with sdpa_kernel(SDPBackend.MATH):
        said = [models[name](ids, output_hidden_states=True) for name in ("encoder", "encoder_2")]
        prediction = transformer(
            hidden_states=x,
            timestep=sigma * 1000,
            encoder_hidden_states=torch.cat([one.hidden_states[-2] for one in said], -1),
            pooled_projections=torch.cat([one.text_embeds for one in said], -1),
            return_dict=False,
        )[0].float()
    error: Tensor = (prediction - target).square() * weight
    return error.mean((1, 2, 3))


def train(build: Build) -> tuple[nn.ModuleDict, list[Fit]]:
    """Trains the transformer and the text encoders; its state is kept every few minutes."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    torch.manual_seed(build.seed)
    tokenizer = load_tokenizer(build)
    vae = AutoencoderKL.from_pretrained(build.weights / "shapes-sd" / "vae")
    vae = vae.to(memory_format=torch.channels_last).eval()
    data = encode_renders(build, vae, build.amount(LATENTS, 64), "pretrain", rank)
    check = encode_renders(build, vae, build.amount(512, 16), "validation")
    words = generator(build.seed, "check-captions")
    check_ids = token_ids(tokenizer, [caption(f, words) for f in check.facts])
    models = nn.ModuleDict(
        {
            "transformer": new_transformer(),
            "encoder": first_encoder(build),
            "encoder_2": second_encoder(tokenizer),
        }
    )
    fast, teacher = compiled(build, models["transformer"]), Teacher.load(build)

    def train_phase(phase: Phase) -> Fit:
        def loss(_step: int, g: torch.Generator) -> tuple[Tensor, dict[str, float]]:
            rows = torch.randint(len(data.latents), (BATCH,), generator=g)
            texts = [
                caption(data.facts[i], g) if torch.rand((), generator=g) > EMPTY_SHARE else ""
                for i in rows.tolist()
            ]
            weight = foreground_weight(data.foreground[rows], phase.foreground)
            ids = token_ids(tokenizer, texts)
            return flow_loss(models, fast, data.latents[rows], weight, ids, g, teacher).mean(), {}

        @torch.no_grad()
        def validate(now: nn.ModuleDict) -> dict[str, float]:
            g = generator("validate")
            weight = foreground_weight(check.foreground, phase.foreground)
            parts = zip(check.latents.split(64), weight.split(64), check_ids.split(64), strict=True)
            losses = [flow_loss(now, now["transformer"], z, w, ids, g) for z, w, ids in parts]
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
            optimiser_of=optimiser_of,
            validate=validate,
            validate_every=max(1, steps // 20),
        )

    return models, [train_phase(phase) for phase in PHASES]


def write_pipeline(folder: Path, models: nn.ModuleDict, build: Build) -> None:
    """The folder that plain `StableDiffusion3Pipeline.from_pretrained` opens, given that there is no T5."""
    vae = AutoencoderKL.from_pretrained(build.weights / "shapes-sd" / "vae")
    # The pipeline adds it to latents, whatever it is.
    vae.register_to_config(shift_factor=0.0)
    tokenizer = load_tokenizer(build)
    StableDiffusion3Pipeline(
        transformer=models["transformer"].half(),
        scheduler=new_scheduler(),
        vae=vae.half(),
        text_encoder=models["encoder"].half(),
        tokenizer=tokenizer,
        text_encoder_2=models["encoder_2"].half(),
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    ).save_pretrained(folder)
    _edit(folder / "model_index.json", {TOKENS_KEY: 0})
    for part in ("text_encoder", "text_encoder_2"):
        _edit(folder / part / "config.json", {"dtype": "float32"})
    _edit(folder / "vae" / "config.json", {})


def _edit(config: Path, changes: dict[str, object]) -> None:
    """Changes a config; where the builder's machine had a part is nobody's business."""
    settings = {k: v for k, v in json.loads(config.read_text()).items() if k != "_name_or_path"}
    config.write_text(json.dumps(settings | changes, indent=2) + "\n")


def run(build: Build) -> None:
    """Trains the flow model and writes the pipeline."""
    models, phases = train(build)
    if not is_first():
        return
    write_pipeline(build.weights / NAME, models, build)
    curves = {
        phase.name: [
            [int(line["step"]), round(line["validation_loss"], 5)]
            for line in one.log
            if "validation_loss" in line
        ]
        for phase, one in zip(PHASES, phases, strict=True)
    }
    done = Fit(
        sum(one.steps for one in phases),
        sum(one.seconds for one in phases),
        [line for one in phases for line in one.log],
    )
    samples = done.steps * BATCH * build.processes
    size = sum(path.stat().st_size for path in (build.weights / NAME).rglob("*") if path.is_file())
    figures = {"validation_curves": curves, "training_samples": samples, "bytes": size}
    write_card(build, "flow", done, figures)

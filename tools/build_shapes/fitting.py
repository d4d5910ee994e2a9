"""The one training loop of the builder: resumable, deterministic by step, with an average of the weights."""

import copy
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmark.models.loading import resolve_precision

SAVE_EVERY_SECONDS = 150
COMPILE_FROM_SCALE = 0.5


@dataclass(frozen=True)
class Build:
    """Where a build reads and writes, and how much of it is done.

    `scale` multiplies every number of steps and of samples: 1 makes the committed weights, 1/200 the
    miniature of the tests.
    """

    weights: Path
    data: Path
    state: Path
    scale: float = 1.0
    seed: int = 0
    processes: int = 1

    def amount(self, full: int, least: int = 2) -> int:
        """`full` at scale 1, in proportion below it, never under `least`."""
        return max(least, round(full * self.scale))


def seed_of(*parts: object) -> int:
    """A seed from anything: the first 8 bytes of the sha256 of its text, as a non-negative integer."""
    return int.from_bytes(sha256("|".join(map(str, parts)).encode()).digest()[:8]) % 2**63


def generator(*parts: object) -> torch.Generator:
    """A fresh CPU generator seeded by `parts`."""
    return torch.Generator().manual_seed(seed_of(*parts))


def bf16_pays() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; elsewhere autocast only loses precision."""
    return resolve_precision("auto", torch.device("cpu")) == "bf16"


@contextmanager
def autocast() -> Iterator[None]:
    """bfloat16 where it pays, else float32; attention written out, twice as fast backwards on a CPU."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16_pays()), sdpa_kernel(SDPBackend.MATH):
        yield


def compiled(build: Build, network: nn.Module) -> nn.Module:
    """The network as `torch.compile` makes it where that pays: long trainings, if there is a C++ compiler.

    The parameters are the network's own. Compilation takes one or two minutes; after it a step of the
    diffusion model takes three fifths of the time.
    """
    pays = build.scale >= COMPILE_FROM_SCALE and shutil.which("g++") is not None
    return cast(nn.Module, torch.compile(network, dynamic=False)) if pays else network


class Together:
    """Several optimisers, each of its own parameters, as one."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        """Takes them in the order in which their states are kept."""
        self._parts = parts
        self.param_groups = [group for part in parts for group in part.param_groups]

    def zero_grad(self) -> None:
        """Clears all gradients."""
        for part in self._parts:
            part.zero_grad()

    def step(self) -> None:
        """Moves all parameters."""
        for part in self._parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """What they remember."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there; groups are new objects afterwards."""
        for part, own in zip(self._parts, state["parts"], strict=True):
            part.load_state_dict(own)
        self.param_groups = [group for part in self._parts for group in part.param_groups]


@dataclass
class Fit:
    """What one run of `fit` leaves behind: the log by step, and the seconds it took over all resumptions."""

    steps: int
    seconds: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)


def fit(
    build: Build,
    name: str,
    models: nn.ModuleDict,
    loss: Callable[[int, torch.Generator], tuple[Tensor, dict[str, float]]],
    *,
    steps: int,
    lr: float,
    warmup: int = 100,
    decay: float = 0.01,
    average: float = 0.0,
    optimiser_of: Callable[[nn.ModuleDict, float], Together] | None = None,
    validate: Callable[[nn.ModuleDict], dict[str, float]] | None = None,
    validate_every: int = 0,
) -> Fit:
    """Minimises `loss(step, generator)` by AdamW, or another optimiser, with warm-up and a cosine to zero.

    The generator of a step depends on (seed, name, step, rank) alone, so an interrupted run goes on as if it
    had not been. With `average` > 0 an exponential moving average of the weights replaces them at the end;
    its half-life grows with the step. Several processes average their gradients when torch.distributed is
    initialised.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    optimiser = (
        optimiser_of(models, lr)
        if optimiser_of
        else torch.optim.AdamW(models.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=decay)
    )
    base_rates = [group["lr"] for group in optimiser.param_groups]
    smooth = copy.deepcopy(models) if average else None
    done = Fit(steps)
    path = build.state / f"{name}.pt"
    first = 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        models.load_state_dict(saved["models"])
        optimiser.load_state_dict(saved["optimiser"])
        if smooth:
            smooth.load_state_dict(saved["smooth"])
        first, done.seconds, done.log = saved["step"], saved["seconds"], saved["log"]
    started = last_save = time.monotonic()
    before = done.seconds
    models.train()
    for step in range(first, steps):
        rate = (
            min(1.0, (step + 1) / max(1, min(warmup, steps // 10)))
            * 0.5
            * (1 + math.cos(math.pi * step / steps))
        )
        for group, base in zip(optimiser.param_groups, base_rates, strict=True):
            group["lr"] = base * rate
        value, logs = loss(step, generator(build.seed, name, step, rank))
        optimiser.zero_grad()
        value.backward()
        if world > 1:
            _average_gradients(models, world)
        norm = nn.utils.clip_grad_norm_(models.parameters(), 1.0)
        optimiser.step()
        if smooth:
            _move_average(smooth, models, min(average, (step + 1) / (step + 10)))
        done.seconds = before + time.monotonic() - started
        if step % max(1, steps // 200) == 0 or step == steps - 1:
            line = {
                "step": step,
                "loss": float(value.detach()),
                "grad_norm": float(norm),
                "seconds": done.seconds,
                **logs,
            }
            if (
                validate
                and validate_every
                and (step % validate_every < max(1, steps // 200) or step == steps - 1)
            ):
                models.eval()
                line |= validate(smooth or models)
                models.train()
            done.log.append(line)
            if rank == 0:
                print(f"{name} " + json.dumps({k: round(v, 5) for k, v in line.items()}), flush=True)
        if rank == 0 and (time.monotonic() - last_save > SAVE_EVERY_SECONDS or step == steps - 1):
            _save(path, models, optimiser, smooth, step + 1, done)
            last_save = time.monotonic()
    if smooth:
        models.load_state_dict(smooth.state_dict())
    models.eval()
    return done


def _save(
    path: Path,
    models: nn.Module,
    optimiser: torch.optim.Optimizer | Together,
    smooth: nn.Module | None,
    step: int,
    done: Fit,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    state = {"models": models.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    state |= {"smooth": smooth.state_dict() if smooth else None, "seconds": done.seconds, "log": done.log}
    torch.save(state, part)
    part.replace(path)


def _average_gradients(models: nn.Module, world: int) -> None:
    grads = [p.grad for p in models.parameters() if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in grads])
    dist.all_reduce(flat)
    for grad, mean in zip(grads, (flat / world).split([g.numel() for g in grads]), strict=True):
        grad.copy_(mean.view_as(grad))


@torch.no_grad()
def _move_average(smooth: nn.Module, models: nn.Module, keep: float) -> None:
    pairs = zip(smooth.state_dict().values(), models.state_dict().values(), strict=True)
    for old, new in pairs:
        if old.is_floating_point():
            old.lerp_(new, 1 - keep)
        else:
            old.copy_(new)

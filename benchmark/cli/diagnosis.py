"""What ``fbench doctor`` finds out."""

import inspect
from dataclasses import dataclass

from benchmark.core import resources
from benchmark.core.devices import allowed_cores, available_devices, free_threads
from benchmark.core.environment import package_versions
from benchmark.core.errors import MissingFileError, UserError

EMBEDDED_MODELS = (
    "shapes-sd", "shapes-clip", "shapes-hps", "shapes-pickscore", "shapes-imagereward",
    "shapes-features", "shapes-perceptual", "oracle", "oracle_label", "truth",
)  # fmt: skip

# scorer: what to fetch from the hub, and the folder below $FBENCH_WEIGHTS in which it is looked for.
_FETCH = {
    "clip": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K open_clip_model.safetensors",
    "hps": "xswu/HPSv2 HPS_v2.1_compressed.pt",
    "pickscore": "yuvalkirstain/PickScore_v1",
    "imagereward": "THUDM/ImageReward ImageReward.pt med_config.json",
}


@dataclass(frozen=True)
class Weights:
    """Weights that a scorer or the embedded world needs.

    Attributes:
        name: Of the scorer or model.
        kind: ``embedded`` or ``published``.
        present: Whether they are on this machine.
        note: Their hash or place; or how to get them.
    """

    name: str
    kind: str
    present: bool
    note: str


@dataclass(frozen=True)
class Diagnosis:
    """This machine, as far as fbench is concerned.

    Attributes:
        packages: Versions of what numbers depend on.
        devices: What can be computed on, the best one last.
        precision: What ``auto`` means on each of them.
        threads: Threads that would be used now.
        cores: Cores this process may use.
        models: The embedded world's models.
        scorers: For each scorer and kind of weights, whether it can run.
        trouble: What does not work, in one line each.
    """

    packages: dict[str, str]
    devices: tuple[str, ...]
    precision: dict[str, str]
    threads: int
    cores: int
    models: tuple[Weights, ...]
    scorers: tuple[Weights, ...]
    trouble: tuple[str, ...] = ()


def diagnose() -> Diagnosis:
    """Looks at packages, devices and weights; computes nothing and asks no network."""
    trouble: list[str] = []
    devices: tuple[str, ...] = ()
    precision: dict[str, str] = {}
    try:
        devices = tuple(available_devices())
        precision = _precision(devices)
    except (ImportError, OSError, RuntimeError) as error:
        why = " ".join(str(error).split())
        trouble.append(f"torch or diffusers cannot be imported: {why}; reinstall with `make install`")
    models = tuple(_model(name) for name in EMBEDDED_MODELS)
    return Diagnosis(
        packages=package_versions(),
        devices=devices,
        precision=precision,
        threads=free_threads(),
        cores=allowed_cores(),
        models=models,
        scorers=tuple(_scorers()),
        trouble=tuple(trouble),
    )


def _precision(devices: tuple[str, ...]) -> dict[str, str]:
    import torch

    from benchmark.models.base import resolve_precision

    return {device: resolve_precision("auto", torch.device(device)) for device in devices}


def _model(name: str) -> Weights:
    try:
        return Weights(name, "embedded", present=True, note=str(resources.shapes_weights(name)))
    except MissingFileError as error:
        return Weights(name, "embedded", present=False, note=str(error))


def _scorers() -> list[Weights]:
    from benchmark.scorers import scorers

    found = []
    for entry in scorers:
        takes = inspect.signature(scorers.get(entry.name)).parameters
        for kind in ("embedded", "published") if "weights" in takes else ("embedded",):
            if kind == "published" and entry.name not in _FETCH:
                continue
            found.append(_scorer(entry.name, kind, {"weights": kind} if "weights" in takes else {}))
    return found


def _scorer(name: str, kind: str, options: dict[str, str]) -> Weights:
    from benchmark.scorers import scorers
    from benchmark.scorers._weights import VARIABLE, published_folder

    try:
        digest = scorers.create(name, **options).weights_hash
    except UserError as error:
        fetch = f"hf download {_FETCH.get(name)} --local-dir {published_folder() / name}"
        note = f"{fetch} ({VARIABLE} names another folder)" if kind == "published" else str(error)
        return Weights(name, kind, present=False, note=note)
    return Weights(name, kind, present=True, note=digest or "needs none")

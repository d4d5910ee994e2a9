"""What a run is refused for before anything expensive: settings, folders, room."""

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.core import store
from benchmark.core.errors import ConfigError
from benchmark.models import draws_embedded_world
from trainers.config import TRAIN_SETTINGS, TrainConfig
from trainers.pairs import is_embedded

if TYPE_CHECKING:
    from benchmark.models.families.base import Pipeline


def refuse_unlike(configs: Sequence[TrainConfig]) -> None:
    """Refuses runs that cannot share a process.

    Raises:
        ConfigError: if there are none, two have one folder, or they differ in what they must share.
    """
    if not configs:
        raise ConfigError("no run is given")
    if len({config.out.resolve() for config in configs}) < len(configs):
        raise ConfigError("two runs have the same folder", do="give each its own --out")
    for name in (name for name, setting in TRAIN_SETTINGS.items() if setting.together == "shared"):
        values = {str(getattr(config, name)) for config in configs}
        if len(values) > 1:
            raise ConfigError(
                f"runs trained together differ in {name}: {', '.join(sorted(values))}", do="train them apart"
            )


def refuse_odd_split(configs: Sequence[TrainConfig], processes: int) -> None:
    """Every process gets equally many pairs.

    Raises:
        ConfigError: if a batch cannot be split so.
    """
    n = processes
    for config in configs:
        if config.batch_size % n:
            raise ConfigError(
                f"batch_size is {config.batch_size}, for {n} processes", allowed=f"multiples of {n}"
            )


def refuse_savings(config: TrainConfig) -> None:
    """Ways to save memory that are not here, or do not go together.

    Raises:
        ConfigError: for the first.
    """
    if config.optimizer == "adamw8bit" and importlib.util.find_spec("torchao") is None:
        raise ConfigError(
            "optimizer is adamw8bit, and torchao is not installed", do="`pip install 'fbench[8bit]'`"
        )
    if config.early_updates and config.micro_batches > 1:
        raise ConfigError(
            f"early_updates needs each gradient whole, and micro_batches is {config.micro_batches}",
            do="leave one out; gradient_checkpointing saves memory with either",
        )
    if config.early_updates and config.compile:
        raise ConfigError(
            "early_updates needs gradients one by one, and a compiled network gives all at once",
            do="leave early_updates or compile out",
        )


def refuse_savings_here(configs: Sequence[TrainConfig], device: str, processes: int) -> None:
    """Ways to save memory that do not go with what a run computes on.

    Args:
        configs: The runs.
        device: Where they train; it decides what the precision `auto` is.
        processes: That train together.

    Raises:
        ConfigError: for the first.
    """
    import torch

    from benchmark.models.loading import resolve_precision

    if processes > 1 and any(config.optimizer == "adamw8bit" for config in configs):
        raise ConfigError(f"optimizer is adamw8bit, for {processes} processes", allowed="adamw, adafactor")
    if not any(config.early_updates for config in configs):
        return
    if processes > 1:
        raise ConfigError(
            f"early_updates is set, and gradients are sums over {processes} processes", do="leave it out"
        )
    if resolve_precision(configs[0].precision, torch.device(device)) == "fp16":
        raise ConfigError(
            "early_updates is set, and whether a gradient of fp16 is finite only all of it tells",
            do="train in bf16 or fp32, or leave it out",
        )


def refuse_small_disk(configs: Sequence[TrainConfig], pipeline: "Pipeline") -> None:
    """Checkpoints of float32 weights, and once more with AdamW's two moments.

    Raises:
        DiskFullError: if there is no room for them.
    """
    size = 4 * sum(p.numel() for p in pipeline.network.parameters())
    for config in configs:
        # An adapter is at most a tenth of the weights it sits on, at any useful rank.
        one = size if config.lora_rank == "full" else size // 10
        store.require_space(
            config.out, one * (-(-config.steps // config.saves) + 3), f"the run {config.out.name}"
        )


def toy_pairs(config: TrainConfig) -> list[str]:
    """A warning where another base model would learn from pairs of the embedded world; nothing elsewhere.

    They are the default.
    """
    if not is_embedded(config.data) or draws_embedded_world(config.base):
        return []
    return [f"warning: {config.data} are small pictures of shapes; name pairs for {config.base} by --data"]

"""What a run is refused for before anything expensive: settings, folders, room."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.core import store
from benchmark.core.errors import ConfigError
from trainers.config import TRAIN_SETTINGS, TrainConfig

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

"""What a user says of a cluster, and what a worker needs of it."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from benchmark.core.errors import ConfigError

LOCAL: Final = "local"
_CARRIED: Final = ("FBENCH_", "HF_", "TRANSFORMERS_", "TORCH_HOME")


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster and how its workers are used.

    Attributes:
        address: ``auto`` for the one this machine belongs to, ``local`` for one of this machine's cores and
            GPUs that ends with the command.
        workers: How many; None: as many as have room.
        cpus: Cores of each, and its threads.
        gpus: GPUs of each; None: 1 where the cluster has any, else 0.
        retries: How often a unit is done again whose worker died.
        patience: Seconds after which a unit that has not ended is taken from its worker, which is ended.
        scratch: A folder on each machine's own disk for caches and temporary files; None: where they are
            without Ray.
    """

    address: str = "auto"
    workers: int | None = None
    cpus: int = 1
    gpus: float | None = None
    retries: int = 3
    patience: float = 3600.0
    scratch: Path | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be.

        Raises:
            ConfigError: for such a number.
        """
        for name, value, least in (
            ("workers", self.workers, 1),
            ("cpus-per-worker", self.cpus, 1),
            ("gpus-per-worker", self.gpus, 0),
            ("retries", self.retries, 0),
            ("patience", self.patience, 1),
        ):
            if value is not None and value < least:
                raise ConfigError(f"--{name} is {value:g}", allowed=f"at least {least}")
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            raise ConfigError(
                f"--gpus-per-worker is {self.gpus:g}", allowed="a part of one GPU, or whole ones"
            )


@dataclass(frozen=True)
class Surroundings:
    """What a worker's process finds as the command's own process has it.

    Attributes:
        folder: The working folder, to which relative paths refer.
        variables: Of the environment.
        scratch: As of `Cluster`.
    """

    folder: str = field(default_factory=os.getcwd)
    variables: Mapping[str, str] = field(
        default_factory=lambda: {k: v for k, v in os.environ.items() if k.startswith(_CARRIED)}
    )
    scratch: str | None = None

    @classmethod
    def of(cls, cluster: Cluster, *, hide_gpus: bool = False) -> "Surroundings":
        """Those of this process, for a cluster's workers.

        Args:
            cluster: Says where scratch is.
            hide_gpus: For workers that asked for none: newer versions of Ray let them see all of a machine's.
        """
        scratch = str(cluster.scratch.absolute()) if cluster.scratch is not None else None
        own = cls(scratch=scratch)
        return replace(own, variables={**own.variables, "CUDA_VISIBLE_DEVICES": ""}) if hide_gpus else own

    def enter(self) -> None:
        """Makes this process's surroundings these.

        Raises:
            OSError: if the folder is not there, or scratch cannot be written to.
        """
        os.chdir(self.folder)
        os.environ.update(self.variables)
        if self.scratch is not None:
            place = Path(self.scratch)
            for name in ("cache", "tmp"):
                (place / name).mkdir(parents=True, exist_ok=True)
            os.environ |= {"FBENCH_CACHE": str(place / "cache"), "TMPDIR": str(place / "tmp")}
            tempfile.tempdir = None  # what Python found before, and would keep to

"""What a user says of a cluster, and what a worker needs of it."""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from benchmark.core.errors import ConfigError, RefusedBySystemError

AUTO: Final = "auto"
LOCAL: Final = "local"
ADDRESSES: Final = "auto, local, or host:port of a head, such as 10.0.0.1:6379"
"""What may be given."""
_CARRIED: Final = ("FBENCH_", "HF_", "TRANSFORMERS_", "TORCH_HOME")


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster and how its workers are used.

    Attributes:
        address: ``auto`` for the one this machine belongs to, ``local`` for one of this machine's cores and
            GPUs that ends with the command, ``host:port`` for the one of that head.
        workers: How many; None: as many as have room.
        cpus: Cores of each, and its threads.
        gpus: GPUs of each; None: 1 where the cluster has any, else 0.
        retries: How often a unit is done again whose worker died.
        patience: Seconds after which a unit that has not ended is taken from its worker, which is ended.
        scratch: A folder on each machine's own disk for caches and temporary files; None: where they are
            without Ray.
    """

    address: str = AUTO
    workers: int | None = None
    cpus: int = 1
    gpus: float | None = None
    retries: int = 3
    patience: float = 3600.0
    scratch: Path | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be.

        Raises:
            ConfigError: for such an address or number.
        """
        if self.address not in (AUTO, LOCAL) and not re.fullmatch(r"[^\s/]+:\d{1,5}", self.address):
            raise ConfigError(f"--ray is {self.address}", allowed=ADDRESSES)
        for name, value, least in (
            ("workers", self.workers, 1),
            ("cpus-per-worker", self.cpus, 1),
            ("gpus-per-worker", self.gpus, 0),
            ("retries", self.retries, 0),
            ("patience", self.patience, 1),
        ):
            if value is not None and not value >= least:  # also what is no number
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
            OSError: if the folder is not there.
            RefusedBySystemError: if there is no place for scratch.
        """
        os.chdir(self.folder)
        places = self.make_scratch()
        os.environ |= {**self.variables, **places}
        if places:
            tempfile.tempdir = None  # what Python found before, and would keep to

    def make_scratch(self) -> dict[str, str]:
        """Makes scratch's folders on this machine, unless they are there.

        Returns:
            The variables that name them; none without scratch.

        Raises:
            RefusedBySystemError: if they cannot be made.
        """
        if self.scratch is None:
            return {}
        names = {"FBENCH_CACHE": "cache", "TMPDIR": "tmp"}
        places = {variable: Path(self.scratch, name) for variable, name in names.items()}
        try:
            for place in places.values():
                place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RefusedBySystemError(
                f"--scratch is {self.scratch} (cannot make {error.filename}: {error.strerror})",
                allowed="a folder on each machine's own disk",
            ) from error
        return {variable: str(place) for variable, place in places.items()}

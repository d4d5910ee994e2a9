"""The connection to a Ray cluster: begun for a command, ended with it, whatever happens between."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any, Final

from benchmark.cluster.settings import LOCAL, Cluster
from benchmark.core.devices import allowed_cores
from benchmark.core.errors import UserError

_OBJECTS: Final = 1 << 28
"""Bytes of a local cluster's object store: units and their answers are small, images go through files."""
_QUIET: Final = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
_PATIENCE: Final = 10.0
"""Seconds in which a head answers that is there."""


def import_ray() -> ModuleType:
    """Ray, if it is installed.

    Raises:
        UserError: that says how to install it.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError("--ray needs Ray, which is not installed", do="pip install 'fbench[ray]'") from error
    found: ModuleType = ray
    return found


@contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """Connects to a cluster; one that this process is connected to already is used and stays.

    Raises:
        UserError: if Ray is not installed, or there is no such cluster.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield
        return
    own = {
        "num_cpus": allowed_cores(), "include_dashboard": False, "object_store_memory": _OBJECTS,
    } if cluster.address == LOCAL else {}  # fmt: skip
    if cluster.address == LOCAL:
        # Its workers are the command's own work; Ray would have them stand behind every other process.
        os.environ.setdefault("RAY_worker_niceness", "0")
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=cluster.address, **own, **_QUIET)
    except Exception as error:  # Ray raises bare ones where a process of its own does not come up
        raise UserError(
            f"there is no Ray cluster at {cluster.address} ({_first_line(error)})",
            allowed="auto, local or the address of a head, such as 10.0.0.1:6379",
            do="start one by `ray start --head`, or give --ray local",
        ) from error
    if threading.current_thread() is threading.main_thread():
        # Ray puts its own handler in the place of ours, which ends a command in order.
        signal.signal(signal.SIGTERM, before)
    try:
        yield
    finally:
        # A cluster whose head is gone cannot be left in order.
        with suppress(Exception):
            ray.shutdown()


def refuse_lost_head() -> None:
    """Looks whether the cluster's head answers.

    Raises:
        UserError: if it does not.
    """
    ray = import_ray()
    host, _, port = str(ray.get_runtime_context().gcs_address).rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except OSError as error:
        raise UserError(
            f"the head of the Ray cluster at {host}:{port} is gone ({_first_line(error)})",
            do="start the cluster again; the same command goes on from what is finished",
        ) from error


def alive_nodes() -> list[dict[str, Any]]:
    """The machines of the cluster, the head first."""
    nodes: list[dict[str, Any]] = [node for node in import_ray().nodes() if node["Alive"]]
    return sorted(nodes, key=lambda node: ("node:__internal_head__" not in node["Resources"], node["NodeID"]))


def gpus_of_workers(cluster: Cluster) -> float:
    """GPUs of a worker: as asked, else one where the cluster has any."""
    if cluster.gpus is not None:
        return cluster.gpus
    return float(any(node["Resources"].get("GPU", 0.0) >= 1 for node in alive_nodes()))


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]

"""The connection to a Ray cluster: begun for a command, ended with it, whatever happens between."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any, Final, TypeAlias, TypeVar

from benchmark.cluster.settings import ADDRESSES, AUTO, LOCAL, Cluster
from benchmark.core.console import doing, notice
from benchmark.core.devices import allowed_cores
from benchmark.core.errors import UserError

_OBJECTS: Final = 1 << 28
"""Bytes of a local cluster's object store: units and their answers are small, images go through files."""
_QUIET: Final = {"log_to_driver": False, "configure_logging": False}
_PATIENCE: Final = 10.0
"""Seconds in which a head answers that is there."""
_SAY: Final = 60.0
"""Seconds between two lines that say which machine is waited for."""
_GONE: Final = 40.0
"""Seconds in which Ray sees that a machine is gone."""

Node: TypeAlias = Mapping[str, Any]
"""A machine, as Ray describes it."""
Answer = TypeVar("Answer")


def import_ray() -> ModuleType:
    """Ray, if it is installed.

    Raises:
        UserError: that says how to install it.
    """
    # Ray would print what its processes report to stdout, where the command's own output stands.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
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
    # Ray sets no level where it must not configure logging, and warns of what it does by default.
    logging.getLogger("ray").setLevel(logging.ERROR)
    own = {
        "num_cpus": allowed_cores(), "include_dashboard": False, "object_store_memory": _OBJECTS,
    } if cluster.address == LOCAL else {}  # fmt: skip
    if cluster.address == LOCAL:
        # Its workers are the command's own work; Ray would have them stand behind every other process.
        os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        with doing("starting Ray" if cluster.address == LOCAL else f"connecting to Ray at {cluster.address}"):
            if cluster.address not in (AUTO, LOCAL):
                _reach(cluster.address)  # Ray itself tries for minutes
            with _own_sigterm():
                ray.init(address=cluster.address, **own, **_QUIET)
    except Exception as error:  # Ray raises bare ones where a process of its own does not come up
        if cluster.address == LOCAL:
            raise UserError(
                f"Ray does not start here ({first_line(error)})", do="look at /tmp/ray"
            ) from error
        raise UserError(
            f"there is no Ray cluster at {cluster.address} ({first_line(error)})",
            allowed=ADDRESSES,
            do="start one by `ray start --head`, or give --ray local",
        ) from error
    try:
        yield
    finally:
        # A cluster whose head is gone cannot be left in order.
        with suppress(Exception):
            ray.shutdown()


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keeps our handler of SIGTERM, which ends a command in order: Ray puts its own in its place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:
        # It came meanwhile, and Ray's handler took it.
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def _reach(address: str) -> None:
    """Looks whether anybody listens at an address.

    Raises:
        OSError: if nobody does.
    """
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()


def refuse_lost_head() -> None:
    """Looks whether the cluster's head answers.

    Raises:
        UserError: if it does not.
    """
    address = str(import_ray().get_runtime_context().gcs_address)
    try:
        _reach(address)
    except OSError as error:
        raise UserError(
            f"the head of the Ray cluster at {address} is gone ({first_line(error)})",
            do="start the cluster again; the same command goes on from what is finished",
        ) from error


def alive_nodes() -> list[Node]:
    """The machines of the cluster, the head first."""
    nodes: list[Node] = [node for node in import_ray().nodes() if node["Alive"]]
    return sorted(nodes, key=lambda node: ("node:__internal_head__" not in node["Resources"], node["NodeID"]))


def ask_machines(
    question: Callable[[], Answer], nodes: Sequence[Node], patience: float, doing: str
) -> list[tuple[Node, Answer]]:
    """Asks machines of the cluster, all at the same time.

    Args:
        question: Called in a process on each.
        nodes: As of `alive_nodes`.
        patience: Seconds until a machine that has not answered is refused.
        doing: What a machine does meanwhile, for the lines that say so.

    Returns:
        The machines with their answers, in the order of the nodes, without those that died meanwhile.

    Raises:
        UserError: that names a machine which is there and does not answer.
    """
    ray = import_ray()
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    # Without a core of its own: a machine whose cores are all taken answers as well.
    ask = ray.remote(num_cpus=0, max_retries=1)(_answer)
    asked = {
        ask.options(scheduling_strategy=On(node["NodeID"], soft=False)).remote(question): node
        for node in nodes
    }
    found, silent, begin = dict[Any, Answer](), list(asked), time.monotonic()
    while silent:
        ended, silent = ray.wait(silent, num_returns=len(silent), timeout=min(_SAY, patience))
        for ref in ended:
            name = asked[ref]["NodeManagerHostname"]
            try:
                found[ref] = ray.get(ref)
            except ray.exceptions.RayError as error:
                # What was raised there is an answer, and its machine is alive.
                if isinstance(error, ray.exceptions.RayTaskError) or not _goes(asked[ref]):
                    raise UserError(
                        f"machine {name} does not answer ({first_line(error)})", do="look at its logs"
                    ) from error
                notice(f"machine {name} is gone ({first_line(error)}); it is left out")
        passed, waited_for = time.monotonic() - begin, [asked[ref]["NodeManagerHostname"] for ref in silent]
        if silent and passed >= patience:
            raise UserError(
                f"machine {waited_for[0]} has not answered for {passed:.0f} s", do="look at its logs"
            )
        if silent:
            notice(f"machine {waited_for[0]} {doing} since {passed:.0f} s")
    return [(asked[ref], found[ref]) for ref in asked if ref in found]


def _goes(node: Node) -> bool:
    """Whether a machine dies, which Ray may take a while to see."""
    end = time.monotonic() + _GONE
    while any(one["NodeID"] == node["NodeID"] for one in alive_nodes()):
        if time.monotonic() > end:
            return False
        time.sleep(1)
    return True


def _answer(question: Callable[[], Answer]) -> Answer:
    return question()


def gpus_of_workers(cluster: Cluster) -> float:
    """GPUs of a worker: as asked, else one where the cluster has any."""
    if cluster.gpus is not None:
        return cluster.gpus
    return float(any(node["Resources"].get("GPU", 0.0) >= 1 for node in alive_nodes()))


def first_line(error: BaseException) -> str:
    """The first line of one of Ray's long messages."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).strip()[:200]

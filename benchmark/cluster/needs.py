"""What a worker asks of the machine it runs on, and how many of them a cluster takes."""

from dataclasses import dataclass

from benchmark.cluster.connection import Node, alive_nodes
from benchmark.cluster.settings import Cluster
from benchmark.core.errors import UserError


@dataclass(frozen=True)
class Needs:
    """What a worker asks of the machine it runs on.

    Attributes:
        cpus: Cores.
        gpus: GPUs, or a part of one.
        memory: Bytes; 0: not asked for.
        packages: Pip requirements of an environment of its own; empty: the cluster's.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory: int = 0
    packages: tuple[str, ...] = ()

    def words(self) -> str:
        """Such as ``1 CPU, 1 GPU``."""
        parts = [f"{self.cpus} CPU", f"{self.gpus:g} GPU" if self.gpus else ""]
        return ", ".join(filter(None, [*parts, f"{self.memory / 1e9:g} GB" if self.memory else ""]))

    def room(self, node: Node) -> int:
        """How many such workers a machine takes."""
        has = node["Resources"]
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        rooms = {name: int(has.get(name, 0.0) / amount) for name, amount in asked.items() if amount}
        if 0 < self.gpus < 1:
            # A part is of one GPU: what is left of one and of another makes no third.
            rooms["GPU"] = int(has.get("GPU", 0.0)) * int(1 / self.gpus)
        return min(rooms.values())


def workers_that_fit(cluster: Cluster, needs: Needs) -> int:
    """How many workers the machines of a cluster take, up to the number asked for.

    Raises:
        UserError: if no machine has room for one.
    """
    nodes = alive_nodes()
    room = sum(needs.room(node) for node in nodes)
    if not room:
        there = "; ".join(_resources(node) for node in nodes)
        raise UserError(
            f"no machine of the Ray cluster has room for a worker of {needs.words()}",
            allowed=there,
            do="ask for less by --gpus-per-worker and --cpus-per-worker, or add machines",
        )
    return min(cluster.workers or room, room)


def _resources(node: Node) -> str:
    has = node["Resources"]
    amounts = ", ".join(f"{has.get(name, 0.0):g} {name}" for name in ("CPU", "GPU"))
    return f"{node['NodeManagerHostname']} has {amounts}"

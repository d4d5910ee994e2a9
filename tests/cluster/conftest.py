"""A real Ray cluster of two machines of one core each, on this one."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmark.cluster.settings import Cluster
from tools.bench.local_cluster import local_cluster


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    """The cluster, to which a test may add a machine; shut down whatever happens."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'fbench[ray]'")
    with local_cluster(2) as cluster:
        yield cluster


@pytest.fixture
def two_machines(ray_cluster: Any) -> Iterator[Cluster]:
    """How a command would use it."""
    yield Cluster(address=ray_cluster.address, retries=3, patience=900.0)
    import ray

    ray.shutdown()


@pytest.fixture
def by_value(request: pytest.FixtureRequest) -> Iterator[None]:
    """Workers cannot import a test's module, so its functions travel as they are."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(request.module)
    yield
    cloudpickle.unregister_pickle_by_value(request.module)


@pytest.fixture(scope="session")
def workers() -> Callable[[], list[int]]:
    """Gives the process ids of the workers on this process's clusters."""
    return _workers


def _workers() -> list[int]:
    parents, names = {}, {}
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            with suppress(OSError):
                stat = (place / "stat").read_text()
                names[int(place.name)] = (place / "cmdline").read_bytes()
                parents[int(place.name)] = int(stat.rpartition(")")[2].split()[1])

    def is_own(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and is_own(parents[pid]))

    return sorted(pid for pid, name in names.items() if name.startswith(b"ray::Actor") and is_own(pid))

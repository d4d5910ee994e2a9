"""The machines of a cluster compared: one shared folder, the same code, packages, weights and data.

A machine that differs would make other images or scores under the same names, and nobody would see it. All
that are there are compared before work begins, one that joins later when a worker begins on it.
"""

import hashlib
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from benchmark.cluster.connection import Node, alive_nodes, ask_machines, import_ray
from benchmark.cluster.settings import LOCAL, Cluster, Surroundings
from benchmark.core.console import notice
from benchmark.core.environment import own_packages, package_versions
from benchmark.core.errors import FbenchError, UserError
from benchmark.core.store import write_text

_NONCE: Final = ".shared-"
_PATIENCE: Final = 30.0
"""Seconds in which others see a file that one machine wrote; NFS keeps what it knows for a while."""
_HASHING: Final = 1800.0
"""Seconds in which a machine hashes what it reads, while all the others read it from the same disks."""

Contents: TypeAlias = Callable[[], Mapping[str, str]]
"""Gives what a machine reads besides code, by name, and the hash or version that it has there."""


class UnlikeMachineError(UserError):
    """A machine that differs from the others: it is left out, or nothing begins."""


@dataclass(frozen=True)
class Account:
    """What a machine says of itself.

    Attributes:
        name: Its host name.
        trouble: Why it cannot work at all; empty if it can.
        sees: Whether it sees the file that the command wrote into the output's folder.
        code: Hash of the source files of `benchmark` and `trainers`.
        packages: Versions of what numbers depend on.
        contents: As of `Contents`; without what has yet to be fetched.
        processor: What instructions it has, as torch calls them.
        gpus: Of which kind, as Ray calls it; empty without.
    """

    name: str
    trouble: str = ""
    sees: bool = True
    code: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    processor: str = ""
    gpus: str = ""

    @property
    def kind(self) -> str:
        """What it computes with."""
        return self.gpus or self.processor


@dataclass(frozen=True)
class Question:
    """What every machine is asked.

    Attributes:
        nonce: The file that the command wrote.
        secret: Its content.
        surroundings: Of workers.
        contents: What is compared besides code and packages.
    """

    nonce: Path
    secret: str
    surroundings: Surroundings
    contents: Contents


@dataclass(frozen=True)
class Standard:
    """What every machine must be, those included that join later.

    Attributes:
        asked: What the machines were asked.
        own: The account of the command's machine, with the contents of all.
        machines: Those that were there, and what they compute with.
        nodes: Their ids in Ray.
    """

    asked: Question
    own: Account
    machines: tuple[Account, ...]
    nodes: frozenset[str]

    def hold(self) -> str:
        """Holds the machine of this process against it, unless it was there at the start.

        Returns:
            A line where it has hardware that none of the others has; else nothing.

        Raises:
            UnlikeMachineError: if it differs.
        """
        node = import_ray().get_runtime_context().get_node_id()
        if node in self.nodes:
            return ""
        late = _account(self.asked)
        if own_packages():
            late = replace(late, packages=self.own.packages)  # they differ on purpose
        refuse_unlike(self.own, late, self.asked.nonce.parent)
        late = replace(late, gpus=_gpus(next(one for one in alive_nodes() if one["NodeID"] == node)))
        known = {one.kind for one in self.machines}
        return "" if late.kind in known else other_hardware([*self.machines, late])


@contextmanager
def compared_machines(cluster: Cluster, out: Path, contents: Contents = dict) -> Iterator[Standard]:
    """Asks every machine of the cluster, refuses one that differs from this one, and tells of other hardware.

    Args:
        cluster: How workers are used.
        out: The output's folder, which all must share; a file marks it until the end.
        contents: What is compared besides code and packages.

    Yields:
        What those must be that join later.

    Raises:
        UnlikeMachineError: that names the machine and what is different there.
    """
    out = out.absolute()
    nonce = out / f"{_NONCE}{secrets.token_hex(8)}"
    asked = Question(nonce, secrets.token_hex(16), Surroundings.of(cluster), contents)
    write_text(nonce, asked.secret)
    try:
        nodes = alive_nodes()
        # A cluster that this process began is this machine, and there is nothing to compare it with.
        alone = cluster.address == LOCAL
        if alone:
            asked.surroundings.make_scratch()
        own = Account(platform.node()) if alone else _own_account(asked)
        others = [] if alone else _others(asked, nodes)
        for other in others:
            refuse_unlike(own, other, out)
            own = replace(own, contents={**other.contents, **own.contents})
        _refuse_unseen([one.name for one in others], nonce, out)
        notice(other_hardware(others))
        # Of the others the hardware alone travels with every worker that begins.
        machines = tuple(replace(one, packages={}, contents={}) for one in others or [own])
        yield Standard(asked, own, machines, frozenset(one["NodeID"] for one in nodes))
    finally:
        for file in out.glob(f"{_NONCE}*"):
            file.unlink(missing_ok=True)


def _others(asked: Question, nodes: Sequence[Node]) -> list[Account]:
    answers = ask_machines(partial(_account, asked), nodes, _HASHING, "looks at its code, weights and data")
    return [replace(account, gpus=_gpus(node)) for node, account in answers]


def refuse_unlike(own: Account, other: Account, out: Path) -> None:
    """Refuses a machine that cannot work as this one does.

    Raises:
        UnlikeMachineError: that says what is different.
    """
    if other.trouble:
        raise UnlikeMachineError(f"machine {other.name} cannot work: {other.trouble}")
    if not other.sees:
        raise UnlikeMachineError(
            f"machine {other.name} does not see what is written to {out}",
            allowed="an --out that all machines of the cluster share, such as a folder of NFS or Lustre",
        )
    if other.code != own.code:
        raise UnlikeMachineError(
            f"machine {other.name} has other code of fbench than {own.name}",
            do="install the same revision on all machines",
        )
    _refuse_others("packages", own.name, other, own.packages, other.packages)
    # What a machine has yet to fetch it will fetch as the others did.
    common = own.contents.keys() & other.contents.keys()
    here, there = ({name: one.contents[name] for name in common} for one in (own, other))
    _refuse_others("weights or data", "the others", other, here, there)


def _refuse_others(
    what: str, whose: str, other: Account, here: Mapping[str, str], there: Mapping[str, str]
) -> None:
    unlike = sorted(k for k in here.keys() | there.keys() if here.get(k) != there.get(k))
    if unlike:
        shown = ", ".join(f"{k} {there.get(k, 'none')} for {here.get(k, 'none')}" for k in unlike[:3])
        more = f" and {len(unlike) - 3} more" if len(unlike) > 3 else ""
        raise UnlikeMachineError(
            f"machine {other.name} has other {what} than {whose}: {shown}{more}",
            do="make them the same on all machines",
        )


def other_hardware(machines: Sequence[Account]) -> str:
    """A line that names machines of several kinds; empty where all are of one.

    Where some have GPUs, those without are none that compute.
    """
    kinds: dict[str, str] = {}
    for one in [m for m in machines if m.gpus] or machines:
        kinds.setdefault(one.kind, one.name)
    if len(kinds) < 2:
        return ""
    said = ", ".join(f"{name} has {kind}" for kind, name in kinds.items())
    return f"{said}: images may differ in their last bits"


def _gpus(node: Node) -> str:
    return ", ".join(
        sorted(name.partition(":")[2] for name in node["Resources"] if name.startswith("accelerator_type:"))
    )


def _account(asked: Question) -> Account:
    """On a machine of the cluster: its account, and the answer beside the nonce."""
    name = platform.node()
    try:
        asked.surroundings.enter()
        if not _appears(asked.nonce, asked.secret):
            return Account(name, sees=False)
        with suppress(OSError):
            asked.nonce.with_name(f"{asked.nonce.name}-{name}-{os.getpid()}").write_text(
                asked.secret, "utf-8"
            )
        return _own_account(asked)
    except OSError as error:
        return Account(name, trouble=f"{error.strerror}: {error.filename}")
    except FbenchError as error:
        return Account(name, trouble=str(error))


def _own_account(asked: Question) -> Account:
    return Account(
        platform.node(),
        code=_code(),
        packages=package_versions(),
        contents=asked.contents(),
        processor=device_words("cpu"),
    )


def _refuse_unseen(names: Sequence[str], nonce: Path, out: Path) -> None:
    """Refuses a machine whose answer is not seen here: what it writes goes elsewhere."""
    for name in dict.fromkeys(names):
        wanted = names.count(name)
        end = time.monotonic() + _PATIENCE
        while len(list(out.glob(f"{nonce.name}-{name}-*"))) < wanted:
            if time.monotonic() > end:
                raise UnlikeMachineError(
                    f"what machine {name} writes to {out} is not seen here",
                    allowed="an --out that all machines of the cluster share and may write to",
                )
            time.sleep(0.1)


def _appears(path: Path, content: str) -> bool:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with suppress(OSError):
            # A client of NFS that has looked in vain looks again when the folder is listed.
            list(path.parent.iterdir())
            if path.read_text("utf-8") == content:
                return True
        time.sleep(0.1)
    return False


def _code() -> str:
    """Hash of the source files that workers run."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for package in ("benchmark", "trainers"):
        for file in sorted((root / package).rglob("*.py")):
            digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def device_words(device: str) -> str:
    """What a device computes numbers with: the name of a GPU, or what instructions a processor has."""
    import torch

    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    found: Any = torch.backends.cpu.get_cpu_capability()
    return f"{device} {found}"

"""The machines of a cluster compared before work begins: one shared folder, the same code, packages, weights.

A machine that differs would make other images or scores under the same names, and nobody would see it.
"""

import hashlib
import os
import platform
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmark.cluster.connection import alive_nodes, ask_machines
from benchmark.cluster.settings import LOCAL, Cluster, Surroundings
from benchmark.core.console import notice
from benchmark.core.environment import package_versions
from benchmark.core.errors import FbenchError, UserError
from benchmark.core.store import write_text
from benchmark.scorers import make_scorers

_NONCE: Final = ".shared-"
_PATIENCE: Final = 30.0
"""Seconds in which others see a file that one machine wrote; NFS keeps what it knows for a while."""


@dataclass(frozen=True)
class Account:
    """What a machine says of itself.

    Attributes:
        name: Its host name.
        trouble: Why it cannot work at all; empty if it can.
        sees: Whether it sees the file that the command wrote into the output's folder.
        code: Hash of the source files of `benchmark` and `trainers`.
        packages: Versions of what numbers depend on.
        weights: Version of each scorer, with the hash of its weights and references.
        processor: What instructions it has, as torch calls them.
        gpus: Of which kind, as Ray calls it; empty without.
    """

    name: str
    trouble: str = ""
    sees: bool = True
    code: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    processor: str = ""
    gpus: str = ""


@dataclass(frozen=True)
class Question:
    """What every machine is asked.

    Attributes:
        nonce: The file that the command wrote.
        secret: Its content.
        surroundings: Of workers.
        scorers: As `make_scorers` takes them: texts, weights and precision.
    """

    nonce: Path
    secret: str
    surroundings: Surroundings
    scorers: tuple[tuple[str, ...], str, str]


def compare_machines(
    cluster: Cluster, out: Path, scorers: tuple[tuple[str, ...], str, str] = ((), "", "")
) -> None:
    """Asks every machine of the cluster, refuses one that differs from this one, and tells of other hardware.

    Args:
        cluster: How workers are used.
        out: The output's folder, which all must share.
        scorers: Whose weights are compared: texts, weights and precision, as `make_scorers` takes them.

    Raises:
        UserError: that names the machine and what is different there.
    """
    out = out.absolute()
    nonce = out / f"{_NONCE}{secrets.token_hex(8)}"
    asked = Question(nonce, secrets.token_hex(16), Surroundings.of(cluster), scorers)
    write_text(nonce, asked.secret)
    try:
        own = _own_account(asked)
        # A cluster that this process began is this machine.
        nodes = [] if cluster.address == LOCAL else alive_nodes()
        others = ask_machines(
            partial(_account, asked), nodes, 10 * _PATIENCE, "looks at its code and weights"
        )
        refuse_unlike(own, others, out)
        _refuse_unseen([one.name for one in others], nonce, out)
        notice(other_hardware([replace(a, gpus=_gpus(n)) for a, n in zip(others, nodes, strict=True)]))
    finally:
        for file in out.glob(f"{_NONCE}*"):
            file.unlink(missing_ok=True)


def refuse_unlike(own: Account, others: Iterable[Account], out: Path) -> None:
    """Refuses the first machine that cannot work as this one does.

    Raises:
        UserError: that says what is different.
    """
    for other in others:
        if other.trouble:
            raise UserError(f"machine {other.name} cannot work: {other.trouble}")
        if not other.sees:
            raise UserError(
                f"machine {other.name} does not see what is written to {out}",
                allowed="an --out that all machines of the cluster share, such as a folder of NFS or Lustre",
            )
        if other.code != own.code:
            raise UserError(
                f"machine {other.name} has other code of fbench than {own.name}",
                do="install the same revision on all machines",
            )
        for what, here, there in (
            ("packages", own.packages, other.packages),
            ("weights", own.weights, other.weights),
        ):
            unlike = sorted(k for k in here.keys() | there.keys() if here.get(k) != there.get(k))
            if unlike:
                shown = ", ".join(f"{k} {there.get(k, 'none')} for {here.get(k, 'none')}" for k in unlike[:3])
                more = f" and {len(unlike) - 3} more" if len(unlike) > 3 else ""
                raise UserError(
                    f"machine {other.name} has other {what} than {own.name}: {shown}{more}",
                    do="make them the same on all machines",
                )


def other_hardware(machines: Sequence[Account]) -> str:
    """A line that names machines of several kinds; empty where all are of one.

    Where some have GPUs, those without are none that compute.
    """
    kinds: dict[str, str] = {}
    for one in [m for m in machines if m.gpus] or machines:
        kinds.setdefault(one.gpus or one.processor, one.name)
    if len(kinds) < 2:
        return ""
    said = ", ".join(f"{name} has {kind}" for kind, name in kinds.items())
    return f"{said}: images may differ in their last bits"


def _gpus(node: Mapping[str, Any]) -> str:
    return ", ".join(
        sorted(name.partition(":")[2] for name in node["Resources"] if name.startswith("accelerator_type:"))
    )


def _account(asked: Question) -> Account:
    """On a machine of the cluster: its account, and the answer beside the nonce."""
    name = platform.node()
    try:
        asked.surroundings.enter()
    except OSError as error:
        return Account(name, trouble=f"{error.strerror}: {error.filename}")
    if not _appears(asked.nonce, asked.secret):
        return Account(name, sees=False)
    with suppress(OSError):
        asked.nonce.with_name(f"{asked.nonce.name}-{name}-{os.getpid()}").write_text(asked.secret, "utf-8")
    return _own_account(asked)


def _own_account(asked: Question) -> Account:
    name = platform.node()
    texts, weights, precision = asked.scorers
    try:
        # One with packages of its own is compared where these are: by its worker, as it begins.
        made = [s for s in make_scorers(texts, weights, precision) if not s.packages] if texts else []
        versions = {scorer.name: scorer.scorer_version for scorer in made}
    except FbenchError as error:
        return Account(name, trouble=str(error))
    return Account(
        name, code=_code(), packages=package_versions(), weights=versions, processor=device_words("cpu")
    )


def _refuse_unseen(names: Sequence[str], nonce: Path, out: Path) -> None:
    """Refuses a machine whose answer is not seen here: what it writes goes elsewhere."""
    for name in dict.fromkeys(names):
        wanted = names.count(name)
        end = time.monotonic() + _PATIENCE
        while len(list(out.glob(f"{nonce.name}-{name}-*"))) < wanted:
            if time.monotonic() > end:
                raise UserError(
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

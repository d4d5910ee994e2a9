"""Environments of their own for scorers whose packages cannot live beside ours, made on every machine.

An environment holds exactly the packages that are named, without their dependencies, and finds everything
else in the cluster's own: a second torch would take gigabytes, and what is not named must not move.
"""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from filelock import FileLock

from benchmark.cluster.connection import alive_nodes, ask_machines
from benchmark.cluster.settings import Surroundings
from benchmark.core.environment import OWN_PACKAGES, cache_folder
from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.store import write_text

_PATIENCE: Final = 3600.0
"""Seconds in which packages are fetched and installed on a machine."""


def python_with(packages: Sequence[str], surroundings: Surroundings) -> str:
    """The Python that finds some packages, after it was made on every machine of the cluster.

    Args:
        packages: Pip requirements; all that are to differ from the cluster's own.
        surroundings: Of workers.

    Returns:
        Its path, which is the same on all machines.

    Raises:
        UserError: if the packages cannot be installed, or the path is not the same everywhere.
    """
    answers = ask_machines(
        partial(_made, tuple(packages), surroundings), alive_nodes(), _PATIENCE, "makes an environment"
    )
    for _, trouble in answers:
        if trouble:
            raise UserError(f"no environment with {', '.join(packages)} can be made: {trouble}")
    paths = {path for path, _ in answers}
    if len(paths) > 1:
        raise UserError(
            f"machines would keep the environment at {' and at '.join(sorted(paths))}",
            do="name one place for all of them by --scratch",
        )
    return paths.pop()


def _made(packages: tuple[str, ...], surroundings: Surroundings) -> tuple[str, str]:
    """On a machine: the path of the environment's Python, or why there is none."""
    surroundings.enter()
    try:
        return str(make_environment(packages)), ""
    except subprocess.CalledProcessError as error:
        return "", " ".join(error.stderr.split())[-300:]
    except OSError as error:
        return "", str(error)


def make_environment(packages: Sequence[str]) -> Path:
    """The Python of an environment with some packages, made unless it is there already.

    Raises:
        subprocess.CalledProcessError: if pip cannot install them.
        OSError: if there is no room, or no right to write.
    """
    place = cache_folder() / "environments" / sha256_json([sorted(packages), sys.version, sys.prefix])[:16]
    python = place / "bin" / "python"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if (place / OWN_PACKAGES).is_file():
            return python
        shutil.rmtree(place, ignore_errors=True)
        venv.create(place, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
        subprocess.run(
            [*pip, "install", "--quiet", "--no-deps", *packages], check=True, capture_output=True, text=True
        )
        # After its own packages come ours, with what their own lines of this kind add.
        own = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
        line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        (own / "cluster.pth").write_text(line, "utf-8")
        # Last: now it is whole.
        write_text(place / OWN_PACKAGES, json.dumps(sorted(packages)))
    return python

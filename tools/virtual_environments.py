"""Environments beside ours: what others' programs need, with this one's packages behind it.

A line of a `.pth` file lends them our torch, which alone would be 6 GB; their own packages come first, so
they may be of other versions.
"""

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from benchmark.core.errors import UserError

_COMPLETE = "complete"


def environment_beside(folder: Path, packages: Sequence[str], *, dependencies: bool = True) -> Path:
    """The interpreter of an environment; made where it is not there, or was made of other packages.

    Args:
        folder: Of the environment.
        packages: What pip installs, as on its command line.
        dependencies: Whether what they ask for is installed too, as far as we do not have it.

    Returns:
        The path of its Python.

    Raises:
        UserError: if pip fails.
    """
    python = folder / "bin" / "python"
    complete = folder / _COMPLETE
    wanted = "\n".join(packages) + "\n"
    if not complete.is_file() or complete.read_text(encoding="utf-8") != wanted:
        print(f"installing {', '.join(packages)} into {folder}", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder))
        ours = site_packages(folder) / "fbench.pth"
        ours.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
        flags = [] if dependencies else ["--no-deps"]
        _run(*pip, "install", "--quiet", *flags, *packages)
        complete.write_text(wanted, encoding="utf-8")
    return python


def site_packages(folder: Path) -> Path:
    """Where the packages of an environment are."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return folder / "lib" / version / "site-packages"


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"`{' '.join(command[1:4])}` failed: {last}")

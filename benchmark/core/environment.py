"""What a number depends on besides its inputs: the code's revision and the packages' versions."""

import functools
import json
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from benchmark.core import resources

# What changes pixels, scores or statistics. Asked by name, so nothing is imported.
_PACKAGES = (
    "fbench", "accelerate", "diffusers", "lpips", "numpy", "open_clip_torch", "peft", "pillow", "pyarrow",
    "safetensors", "scipy", "timm", "tokenizers", "torch", "torch-fidelity", "torchmetrics", "torchvision",
    "transformers",
)  # fmt: skip


@functools.cache
def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on; absent ones are left out."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_revision() -> str:
    """The checkout's commit, with ``+changed`` if it has uncommitted changes; empty without one.

    Only our own checkout is asked: an installed fbench may lie inside somebody else's repository.
    """
    root = resources.checkout()
    if root is None:
        return ""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=20
        )
        return done.stdout.strip()

    try:
        changed = "+changed" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "HEAD") + changed
    except (OSError, subprocess.SubprocessError):
        return ""


OWN_PACKAGES = "fbench-packages.json"
"""In an environment that was made for some packages beside fbench's own: which they are."""


def own_packages() -> tuple[str, ...]:
    """The packages that this process's environment was made for, sorted; usually none."""
    place = Path(sys.prefix) / OWN_PACKAGES
    return tuple(json.loads(place.read_text("utf-8"))) if place.is_file() else ()


def network_forbidden() -> bool:
    """Whether ``--offline`` or the environment forbids every network access."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def cache_folder() -> Path:
    """The folder of all caches: `FBENCH_CACHE`, or one in the user's cache folder."""
    said = os.environ.get("FBENCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(said).expanduser() if said else Path(base) / "fbench"


def typed_command() -> str:
    """This process's command, as a user would type it: without the folder of the program."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    program = [Path(sys.argv[0]).name]
    if spec is not None and Path(sys.argv[0]).stem in ("__main__", spec.name.rpartition(".")[2]):
        program = ["python", "-m", spec.name.removesuffix(".__main__")]
    return shlex.join([*program, *sys.argv[1:]])

"""Trackers of a run, through Accelerate: TensorBoard and Weights & Biases see what `metrics.jsonl` holds."""

import configparser
import importlib.util
import netrc
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import UInt8

from benchmark.core.errors import ConfigError, UserError
from benchmark.core.hashing import sha256_bytes

TrackerName = Literal["tensorboard", "wandb"]

FOLDER = "tracking"
PROJECT = "fbench"

_SILENT = ("offline", "disabled", "dryrun")
"""Modes of wandb that need no account: what is logged stays in the run's folder, or is dropped."""


def refuse_tracker(name: TrackerName | None, *, offline: bool = False) -> None:
    """Refuses before anything is trained a tracker that could not be started.

    Args:
        name: Which; None for none.
        offline: Whether every network access is forbidden; wandb then keeps to the run's folder.

    Raises:
        ConfigError: if its package is not installed, or nobody is logged in; says what to do.
    """
    if name is None:
        return
    if importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"tracker is {name}, and its package is not installed", do="`pip install 'fbench[track]'`"
        )
    if name == "wandb" and not offline and _of_wandb("mode") not in _SILENT and not _logged_in():
        raise ConfigError(
            "tracker is wandb, and nobody is logged in: no WANDB_API_KEY, nothing in the netrc file",
            do="`wandb login`, or WANDB_MODE=offline to keep its files in the run's folder",
        )


def _of_wandb(setting: str) -> str:
    """A setting as wandb finds it: in the environment, in this folder's settings, in the user's; or empty."""
    said = os.environ.get(f"WANDB_{setting.upper()}")
    if said:
        return said
    own = Path(os.environ.get("WANDB_CONFIG_DIR") or Path.home() / ".config" / "wandb")
    files = configparser.ConfigParser(interpolation=None)
    try:
        files.read([own / "settings", Path("wandb") / "settings"], encoding="utf-8")
    except (configparser.Error, OSError, UnicodeError):
        return ""
    return files.get("default", setting, fallback="")


def _logged_in() -> bool:
    """Whether there is a key for wandb's server; that it is valid only the server can say."""
    if _of_wandb("api_key") or _of_wandb("identity_token_file"):
        return True
    host = urlsplit(_of_wandb("base_url") or "https://api.wandb.ai").hostname or ""
    named = os.environ.get("NETRC")
    for file in [Path(named).expanduser()] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            if netrc.netrc(file).authenticators(host):
                return True
        except (netrc.NetrcParseError, OSError, UnicodeError):
            continue
    return False


def run_id(folder: Path) -> str:
    """What a tracker knows a run by: always the same for a folder, and another one for any other.

    Of the signs that wandb takes, at most 128 of them; the name that is shown stays the folder's.
    """
    place = folder.resolve()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", place.name)[:80].strip("-.")
    return f"{name or 'run'}-{sha256_bytes(os.fsencode(place))[:8]}"


class Tracker:
    """One run's tracker; of several processes only the first makes one.

    Args:
        name: Which.
        run: The run's folder: files go below it, and its name is the run's.
        settings: The run's, shown beside its curves.
        offline: Forbid every network access.

    Raises:
        UserError: if it does not start, such as for a key that its server does not know.
    """

    def __init__(
        self, name: TrackerName, run: Path, settings: Mapping[str, Any], *, offline: bool = False
    ) -> None:
        from accelerate.tracking import TensorBoardTracker, WandBTracker

        folder = run / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        shown = run.resolve().name
        self._tracker: Any
        if name == "tensorboard":
            self._tracker = TensorBoardTracker(shown, folder)
        else:
            if offline and _of_wandb("mode") not in _SILENT:
                os.environ["WANDB_MODE"] = "offline"
            # The id makes a resumed run go on in its own curves.
            self._tracker = WandBTracker(PROJECT, dir=str(folder), name=shown, id=run_id(run), resume="allow")
        try:
            self._tracker.start()
            self._tracker.store_init_configuration({k: _plain(v) for k, v in settings.items()})
        # What a tracker raises is its own business, and the user's to put right.
        except Exception as error:
            raise UserError(
                f"tracker {name} does not start ({type(error).__name__}: {error})", do="or train without it"
            ) from error

    def log(self, metrics: Mapping[str, float | int | bool | None], step: int) -> None:
        """The numbers of a step."""
        self._tracker.log({k: float(v) for k, v in metrics.items() if v is not None}, step=step)

    def show(self, images: UInt8[np.ndarray, "n height width 3"], step: int) -> None:
        """Validation images of a step."""
        given: Any = images if self._tracker.name != "tensorboard" else images.transpose(0, 3, 1, 2)
        self._tracker.log_images({"validation": given}, step=step)

    def close(self) -> None:
        """Writes what is left."""
        self._tracker.finish()


def _plain(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)

"""The public training scripts that ours are measured against: run as they are, never copied.

Their checkouts are looked for in the folder that `FBENCH_PEERS` names. They import packages that fbench does
not need, which go into an environment of their own beside them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmark.core.errors import MissingFileError, UserError
from tools.virtual_environments import environment_beside

FOLDER: Final = "FBENCH_PEERS"
PACKAGES: Final = ("datasets", "ftfy", "tensorboard", "wandb")
"""What the scripts import beside the packages of fbench."""

_WITHOUT_XFORMERS: Final = """
import runpy, sys, types
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import import_utils
xformers = types.ModuleType("xformers")
xformers.__version__ = "0.0.22"
sys.modules["xformers"] = xformers
import_utils.is_xformers_available = lambda: True
UNet2DConditionModel.enable_xformers_memory_efficient_attention = lambda self: None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass(frozen=True)
class Peer:
    """A training script.

    Attributes:
        name: For the record.
        source: Its public repository.
        script: Its place in a checkout, which is a folder of the repository's name.
        prelude: What Python runs first, and then the script; empty for nothing.
    """

    name: str
    source: str
    script: str
    prelude: str = ""

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Starts it.

        Raises:
            UserError: if it is not at hand.
        """
        place = _checkouts() / self.source.rpartition("/")[2] / self.script
        if not place.is_file():
            raise MissingFileError(place, self.name, do=f"check out github.com/{self.source} there")
        first = ["-c", self.prelude] if self.prelude else []
        return [str(_python()), *first, str(place), *arguments]


DIFFUSERS: Final = Peer(
    "diffusers' train_diffusion_dpo.py",
    "huggingface/diffusers",
    "examples/research_projects/diffusion_dpo/train_diffusion_dpo.py",
)
RELEASE: Final = Peer(
    "the Diffusion-DPO release's train.py", "SalesforceAIResearch/DiffusionDPO", "train.py", _WITHOUT_XFORMERS
)
"""It refuses to run without xformers, which computes attention on a GPU alone: a module of that name stands
in for it, and torch's own attention, which is as exact, is used by both sides."""


def _checkouts() -> Path:
    folder = os.environ.get(FOLDER, "")
    if not folder:
        raise UserError(f"{FOLDER} is not set", do="name the folder of the peers' checkouts in it")
    return Path(folder).expanduser().resolve()


def _python() -> Path:
    """The interpreter of the peers' environment."""
    return environment_beside(_checkouts() / "venv", PACKAGES)

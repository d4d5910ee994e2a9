"""The published weights there are: each release with its files, where they come from and their licence.

No torch here, and nothing is looked up: these are facts. What could not be verified says ``unknown``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from benchmark.core.errors import UnknownNameError

UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class WeightsFile:
    """One file of a release.

    Attributes:
        name: Under which it is published.
        size: Bytes, as the source rounds them; 0: not known.
        sha256: In hex, or its first digits, as some file names carry them; empty: not known.
        needed: Whether a scorer cannot do without it; the others are read where they are there.
    """

    name: str
    size: int = 0
    sha256: str = ""
    needed: bool = True


@dataclass(frozen=True)
class Release:
    """Weights as their authors published them.

    Attributes:
        name: As `fbench weights` takes it.
        folder: Below the folder of weights.
        files: What belongs to it.
        licence: Of the weights.
        repos: Names of the repository on the Hugging Face hub, the present one first; what was downloaded
            under an older one is found as well.
        url: Of the only file, where it is on no hub.
    """

    name: str
    folder: str
    files: tuple[WeightsFile, ...]
    licence: str
    repos: tuple[str, ...] = ()
    url: str = ""

    @property
    def needed(self) -> tuple[WeightsFile, ...]:
        """The files that a scorer cannot do without."""
        return tuple(file for file in self.files if file.needed)

    @property
    def place(self) -> str:
        """The place that is opened, below the folder of weights: the one file, or the folder of several."""
        return f"{self.folder}/{self.needed[0].name}" if len(self.needed) == 1 else self.folder

    @property
    def size(self) -> int:
        """Bytes of all files, as far as known; 0 where that of a needed one is not."""
        return sum(file.size for file in self.files) if all(file.size for file in self.needed) else 0

    @property
    def source(self) -> str:
        """Where it is published, as a link."""
        return self.url or f"https://huggingface.co/{self.repos[0]}"


MB: Final = 1_000_000
_OPEN_CLIP_CONFIG: Final = WeightsFile("open_clip_config.json", needed=False)

RELEASES: Final = (
    Release(
        "clip-vit-h-14", "clip",
        (WeightsFile("open_clip_model.safetensors", 3_940 * MB), _OPEN_CLIP_CONFIG),
        "MIT", ("laion/CLIP-ViT-H-14-laion2B-s32B-b79K",),
    ),
    Release(
        "clip-vit-l-14", "clip-vit-l-14",
        (WeightsFile("open_clip_model.safetensors", 1_710 * MB), _OPEN_CLIP_CONFIG),
        "Apache-2.0", ("timm/vit_large_patch14_clip_224.openai",),
    ),
    Release(
        "clip-vit-l-14-336", "clip-vit-l-14-336",
        (WeightsFile("open_clip_model.safetensors"), _OPEN_CLIP_CONFIG),
        "Apache-2.0", ("timm/vit_large_patch14_clip_336.openai",),
    ),
    Release(
        "hps-v2.1", "hps", (WeightsFile("HPS_v2.1_compressed.pt"),), "Apache-2.0", ("xswu/HPSv2",),
    ),
    Release(
        "hps-v2.0", "hps", (WeightsFile("HPS_v2_compressed.pt"),), "Apache-2.0", ("xswu/HPSv2",),
    ),
    Release(
        "pickscore", "pickscore",
        (WeightsFile("config.json"), WeightsFile("model.safetensors")),
        UNKNOWN, ("yuvalkirstain/PickScore_v1",),
    ),
    Release(
        "pickscore-processor", "pickscore-processor",
        (
            WeightsFile("tokenizer.json", 2_220_000), WeightsFile("tokenizer_config.json", 568),
            WeightsFile("special_tokens_map.json", 389, needed=False),
            WeightsFile("vocab.json", 862_000, needed=False), WeightsFile("merges.txt", needed=False),
            WeightsFile("preprocessor_config.json", 316, needed=False),
        ),
        "MIT", ("laion/CLIP-ViT-H-14-laion2B-s32B-b79K",),
    ),
    Release(
        "imagereward", "imagereward",
        (WeightsFile("ImageReward.pt", 1_790 * MB), WeightsFile("med_config.json", 485)),
        "Apache-2.0", ("THUDM/ImageReward", "zai-org/ImageReward"),
    ),
    Release(
        "bert-base-uncased", "bert-base-uncased", (WeightsFile("vocab.txt", 232_000),),
        "Apache-2.0", ("google-bert/bert-base-uncased", "bert-base-uncased"),
    ),
    Release(
        "aesthetic", "aesthetic", (WeightsFile("sac+logos+ava1-l14-linearMSE.pth"),), UNKNOWN,
        url="https://github.com/christophschuhmann/improved-aesthetic-predictor/raw/main/"
        "sac%2Blogos%2Bava1-l14-linearMSE.pth",
    ),
    Release(
        "dinov2-base", "dinov2-base",
        (WeightsFile("config.json", 548), WeightsFile("model.safetensors", 346 * MB)),
        "Apache-2.0", ("facebook/dinov2-base",),
    ),
    Release(
        "blip-vqa-base", "blip-vqa-base",
        (WeightsFile("config.json"), WeightsFile("model.safetensors"), WeightsFile("vocab.txt", 232_000)),
        "BSD-3-Clause", ("Salesforce/blip-vqa-base",),
    ),
    Release(
        "lpips-alex", "lpips", (WeightsFile("alexnet-owt-7be5be79.pth", 244_400_000, "7be5be79"),),
        UNKNOWN, url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    ),
    Release(
        "lpips-vgg", "lpips", (WeightsFile("vgg16-397923af.pth", 553_400_000, "397923af"),),
        UNKNOWN, url="https://download.pytorch.org/models/vgg16-397923af.pth",
    ),
    Release(
        "lpips-squeeze", "lpips", (WeightsFile("squeezenet1_1-b8a52dc0.pth", 4_960_000, "b8a52dc0"),),
        UNKNOWN, url="https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
    ),
    Release(
        "inception", "inception",
        (WeightsFile("weights-inception-2015-12-05-6726825d.pth", sha256="6726825d"),), "Apache-2.0",
        url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
        "weights-inception-2015-12-05-6726825d.pth",
    ),
)  # fmt: skip
"""All of them, in the order of `fbench weights list`."""


def release(name: str) -> Release:
    """The release of a name.

    Raises:
        UnknownNameError: if there is none.
    """
    for known in RELEASES:
        if known.name == name:
            return known
    raise UnknownNameError("published weights", name, [known.name for known in RELEASES])


def releases(names: Iterable[str]) -> tuple[Release, ...]:
    """The releases of some names, each once; none named: all of them."""
    return tuple(release(name) for name in dict.fromkeys(names)) or RELEASES


def release_at(place: str) -> Release | None:
    """The release that a scorer opens at a place below the folder of weights; its name will do as well."""
    return next((known for known in RELEASES if place in (known.place, known.name)), None)

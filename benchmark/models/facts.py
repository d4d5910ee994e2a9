"""What is known of a base model before it is loaded: its family, where it is, how it is sampled by default.

A family is a kind of network with all that belongs to it, one file or folder of `families/`. Nothing here
needs torch.
"""

import functools
import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core import resources
from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.plugins import is_file_target, module_sha256
from benchmark.core.records import Sampler
from benchmark.core.registry import Registry
from benchmark.core.store import read_json
from benchmark.models import families as _room
from benchmark.models.files import ENDINGS, INDEX, Folders, content_hash

if TYPE_CHECKING:
    from benchmark.models.families.base import Pipeline

_MODULES = tuple(
    f"{_room.__name__}.{info.name}" for info in pkgutil.iter_modules(_room.__path__) if info.name != "base"
)
"""The families that come with fbench; `base` is what they have in common."""


@dataclass(frozen=True, eq=False)
class Family:
    """A family of base models as it is known before anything is loaded.

    A module of `benchmark.models.families` has its own as `FAMILY`; a plug-in's facts bring theirs.

    Attributes:
        name: For people.
        load: Imports and returns its class of pipelines; the first time that heavy packages are needed.
        facts: The facts of a local folder or file; None where it is not of this family.
        refusal: Why a file, or a folder without a pipeline's index, is no base model of this family; None
            for a family that knows no other forms.
        pipelines: The classes that the index of a diffusers folder names, with how diffusers samples each.
        folders: How those folders are laid out.
        samplers: The names of samplers its images can be made by.
        checkpoints: The forms in which its checkpoints come, in words.
        flow: Whether it is a flow-matching model: its time is a sigma, drawn from a density.
    """

    name: str
    load: "Callable[[], type[Pipeline]]"
    facts: "Callable[[Path], ModelFacts | None]" = lambda _: None
    refusal: Callable[[Path], UserError] | None = None
    pipelines: Mapping[str, Sampler] = field(default_factory=dict)
    folders: Folders = field(default_factory=Folders)
    samplers: tuple[str, ...] = ("ddim",)
    checkpoints: tuple[str, ...] = ()
    flow: bool = False

    def content_hash(self, place: Path) -> str:
        """Hash of what decides the pixels of a base model: its files, and a plug-in's code.

        Args:
            place: Where it lies.

        Raises:
            UserError: if weights are missing in part.
        """
        found, code = content_hash(place, self.folders), module_sha256(self.load.__module__)
        return sha256_json([found, code]) if code else found


def not_of_a_flow(name: str, setting: str) -> UserError:
    """The refusal of a family whose time is no sigma, where a setting of flow models is given.

    Args:
        name: Of the base model.
        setting: With its value.
    """
    return UserError(f"{setting}, and {name} is no flow-matching model", do="leave it out")


@dataclass(frozen=True)
class OwnClip:
    """The CLIP that belongs to a base model.

    Attributes:
        folder: In open_clip's own layout.
        bpe: Its merges; None for the published ones.
    """

    folder: Path
    bpe: Path | None = None

    @staticmethod
    def embedded() -> "OwnClip":
        """That of the embedded world."""
        bpe = resources.shapes_weights("shapes-sd") / "tokenizer" / "bpe.txt.gz"
        return OwnClip(resources.shapes_weights("shapes-clip"), bpe)


@dataclass(frozen=True)
class ModelFacts:
    """A base model's facts; none of them needs torch.

    Attributes:
        name: As registered; for other models the folder's name or the hub id.
        hub_id: Where it is published; empty for a local folder.
        family: Which it is of; None where only the weights would tell, as of a hub id.
        sampler: How its images are made by default.
        image_size: Height and width in pixels; 0 where only the weights would tell.
        latent_shape: (C, H, W) of one image's latents; zeros where only the weights would tell.
        licence: Under which the weights may be used.
        download: Bytes that are fetched from the hub; 0: not known.
        local: Finds the folder or file on this machine; None for a model on the hub.
        embedded: Whether it draws the embedded world: the truth of its images is known, the embedded scorers
            read them, and a training must state beta and the log-ratio's scale.
        clip: Finds its own CLIP; None for a model without.
    """

    name: str
    hub_id: str = ""
    family: Family | None = None
    sampler: Sampler = Sampler(steps=50, guidance=7.5)  # noqa: RUF009  # frozen
    image_size: int = 0
    latent_shape: tuple[int, int, int] = (0, 0, 0)
    licence: str = ""
    download: int = 0
    local: Callable[[], Path] | None = None
    embedded: bool = False
    clip: Callable[[], OwnClip] | None = None

    def __post_init__(self) -> None:
        """Refuses what nobody could load or sample."""
        if self.local is None and not self.hub_id:
            raise UserError(f"the facts of {self.name} say neither where it lies nor its hub id")
        if self.sampler.name not in self.samplers:
            raise UserError(
                f"the facts of {self.name} have the sampler {self.sampler.name}",
                allowed=f"{', '.join(self.samplers)}, as its family says",
            )

    @property
    def latent_size(self) -> int:
        """D = C * H * W, the dimension that the log-ratio's scale is stated for."""
        return math.prod(self.latent_shape)

    @property
    def samplers(self) -> tuple[str, ...]:
        """The names of samplers its images can be made by; of all families where its own is not known."""
        own = families() if self.family is None else (self.family,)
        return tuple(dict.fromkeys(name for family in own for name in family.samplers))


models: Registry[ModelFacts] = Registry("base model", group="fbench.models", modules=_MODULES)


@functools.cache
def families() -> tuple[Family, ...]:
    """The families that come with fbench, in the order of their modules' names."""
    return tuple(importlib.import_module(module).FAMILY for module in _MODULES)


def all_folders() -> Folders:
    """The folders of all families, for a repository of which nothing is known yet."""
    return Folders.union(family.folders for family in families())


def checkpoint_forms() -> str:
    """Everything that `--checkpoint` takes, in words."""
    own = dict.fromkeys(form for family in families() for form in family.checkpoints)
    return ", ".join(["base, a run folder, RUN@STEP", *own, "a hub id"])


def model_facts(spec: str) -> ModelFacts:
    """The facts of the base model that `--base` means: a registered name, a path, or a hub id.

    Args:
        spec: As typed. A path wins over a hub id of the same spelling, a registered name over both;
            `path.py:Name` is a function of a file that returns facts.

    Raises:
        UserError: for a name nobody registered, a folder that is no diffusers pipeline, or a file that is no
            whole model.
    """
    if spec in models or is_file_target(spec):
        found: object = models.create(spec)
        if not isinstance(found, ModelFacts):
            raise UserError(f"base model {spec} is a {type(found).__name__}", allowed="ModelFacts")
        return found
    place = Path(spec).expanduser()
    if place.is_file() and place.suffix == ".py":
        raise UserError(f"{spec} is Python code", do=f"name the function with the facts in it: {spec}:NAME")
    if place.exists():
        return _place_facts(place)
    if looks_like_hub_id(spec):
        return ModelFacts(name=spec, hub_id=spec)
    do = "or give a diffusers folder, a whole model's file or a hub id (owner/name)"
    if "@" in spec:  # as checkpoints name the base model that was a folder
        do = "give the path of its folder or file; behind the @ is the start of its content's hash"
    raise UnknownNameError("base model", spec, models.names(), do)


def draws_embedded_world(base: str) -> bool:
    """Whether the base model of a name draws the embedded world; none that must be named by its place does.

    Args:
        base: As `--base` takes it, or as a checkpoint names it.
    """
    return base in models and models.create(base).embedded


def family_of(facts: ModelFacts, place: Path) -> Family:
    """The family of a base model that is on this machine.

    Args:
        facts: Which may not know it.
        place: Its folder or file.

    Raises:
        UserError: if it is of no known family.
    """
    if facts.family is not None:
        return facts.family
    kind = pipeline_index(place).get("_class_name") if (place / INDEX).is_file() else None
    own = next((family for family in families() if kind in family.pipelines), None)
    own = own or _place_facts(place).family
    assert own is not None  # facts of a place come from a family
    return own


def looks_like_hub_id(spec: str) -> bool:
    """Whether a text can be a hub id: `owner/name`, and nothing that reads like a path or one of our runs.

    Example:
        >>> [looks_like_hub_id(text) for text in ("owner/name", "./mine/a", "a/b/c", "runs/a")]
        [True, False, False, False]
    """
    owner, slash, name = spec.partition("/")
    plain = all(part and part[0].isalnum() and not set(part) & set("/\\ ~") for part in (owner, name))
    return bool(slash) and plain and owner != "runs" and not name.endswith((*ENDINGS, ".json"))


def read_index(folder: Path) -> Mapping[str, object]:
    """What a folder says of its pipeline, whichever that is: `model_index.json`.

    Raises:
        UserError: if it cannot be read.
    """
    content = read_json(folder / INDEX, "a diffusers model index")
    return dict(content) if isinstance(content, dict) else {}


def pipeline_index(folder: Path) -> Mapping[str, object]:
    """What a folder says of its pipeline, of a family that comes with fbench.

    Raises:
        UserError: if it cannot be read, or names a class of another.
    """
    index = read_index(folder)
    known = [name for family in families() for name in family.pipelines]
    if (kind := index.get("_class_name")) not in known:
        raise UserError(f"{folder} holds a {kind}", allowed=", ".join(known))
    return index


def _place_facts(place: Path) -> ModelFacts:
    if (place / INDEX).is_file():
        pipeline_index(place)
    facts = next((found for family in families() if (found := family.facts(place)) is not None), None)
    if facts is None:
        raise next(family.refusal(place) for family in families() if family.refusal is not None)
    return facts

"""Which files of a folder are read, and the hash of those: what a model is recognised by.

No torch here: `fbench train` compares base models before it loads anything.
"""

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmark.core import hashing
from benchmark.core.errors import MissingFileError, UnreadableFileError
from benchmark.core.known_hashes import known_sha256
from benchmark.core.store import read_json

INDEX: Final = "model_index.json"
LORA_FILE: Final = "pytorch_lora_weights.safetensors"
ENDINGS: Final = (".safetensors", ".ckpt", ".bin", ".pt", ".pth")
"""Of files of weights; what else follows a dot belongs to a name, as in `sdxl-1.0`."""

VARIANTS: Final = ("", "fp32", "ema", "fp16", "bf16", "non_ema")
"""Which of several variants side by side is taken: the first of these, then any other by its name."""

_WEIGHTS = re.compile(r"^(?:diffusion_pytorch_model|pytorch_model|model)(?:\.(\w+))?\.(safetensors|bin)$")
_SHARDED = re.compile(
    r"^(?:diffusion_pytorch_model|pytorch_model|model)(?:\.(\w+))?\.(safetensors|bin)\.index(?:\.(\w+))?\.json$"
)


_PART = re.compile(
    r"^(?P<stem>diffusion_pytorch_model|pytorch_model|model)(?:\.(?P<before>\w+?))?-\d+-of-\d+"
    r"(?:\.(?P<behind>\w+))?\.(?P<ending>safetensors|bin)$"
)


@dataclass(frozen=True)
class Folders:
    """The folders of a family's pipelines, as diffusers lays them out; all empty for another layout.

    Attributes:
        networks: Those with weights; the network that is trained is the first.
        tokenizers: Those with vocabularies.
        unloaded: Of each class of pipeline, the parts that its index may name and that never reach its
            pixels here.
        adapted: The networks that an adapter may change, with the class that PEFT's config names.
    """

    networks: tuple[str, ...] = ()
    tokenizers: tuple[str, ...] = ()
    unloaded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    adapted: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def union(several: Iterable["Folders"]) -> "Folders":
        """The networks and tokenizers of several families, each once."""
        found = list(several)
        networks = dict.fromkeys(name for one in found for name in one.networks)
        return Folders(tuple(networks), tuple(dict.fromkeys(t for one in found for t in one.tokenizers)))


@dataclass(frozen=True)
class Weights:
    """One set of a network's weights as they lie in its folder.

    Attributes:
        files: The file, or the parts that it is cut into.
        index: Says which part holds which weight; None for a single file.
    """

    files: tuple[Path, ...]
    index: Path | None = None

    @property
    def ending(self) -> str:
        """`safetensors` or `bin`."""
        return self.files[0].suffix.removeprefix(".")


def choose_weights(names: Iterable[str]) -> str:
    """The file that names a network's weights in its folder: the weights, or the index of their parts.

    safetensors before `.bin`; of each the variants in the order of `VARIANTS`. Of one variant the libraries
    themselves choose: a diffusers network by the index of its parts, a transformers one by the single file.

    Args:
        names: Of the files in the folder.

    Returns:
        One of them; empty where none is of that kind.

    Example:
        >>> choose_weights(["config.json", "model.fp16.safetensors", "pytorch_model.bin"])
        'model.fp16.safetensors'
    """
    candidates = (name for name in names if _variant(name) is not None)
    return min(candidates, key=_order, default="")


def _variant(name: str) -> str | None:
    """Of a file that names weights; None for any other file."""
    found = _WEIGHTS.match(name) or _SHARDED.match(name)
    return None if found is None else next((part for part in (found[1], *found.groups()[2:]) if part), "")


def _order(name: str) -> tuple[object, ...]:
    """The place of a set of weights in the order of choice."""
    variant = _variant(name) or ""
    known = VARIANTS.index(variant) if variant in VARIANTS else len(VARIANTS)
    of_diffusers, single = name.startswith("diffusion_pytorch_model"), not name.endswith(".json")
    return not of_diffusers, ".bin" in name, known, variant, single == of_diffusers, name


def _index_of(part: str) -> set[str]:
    """The names that the index of a part may have: the variant stands before `index` or behind it."""
    found = _PART.match(part)
    assert found is not None
    stem, ending, variant = found["stem"], found["ending"], found["before"] or found["behind"]
    if not variant:
        return {f"{stem}.{ending}.index.json"}
    return {f"{stem}.{variant}.{ending}.index.json", f"{stem}.{ending}.index.{variant}.json"}


def find_weights(folder: Path) -> Weights:
    """The weights of a network's folder that are read; see :func:`choose_weights`.

    Args:
        folder: A network's.

    Raises:
        MissingFileError: if it has none, or a part of them is not there.
        UnreadableFileError: if an index is no index.
    """
    names = sorted(path.name for path in folder.glob("*"))
    chosen = choose_weights(names)
    # Another set of weights must not stand in for parts whose index was lost.
    lost = next((name for name in names if _PART.match(name) and not _index_of(name) & set(names)), "")
    if lost or not chosen:
        what = f"index of the parts of {lost}" if lost else "weights of a network (.safetensors or .bin)"
        raise MissingFileError(folder, what, do="copy the whole folder again")
    path = folder / chosen
    if path.suffix != ".json":
        return Weights((path,))
    content = read_json(path, "an index of weights")
    named = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()) or not named:
        raise UnreadableFileError(path, "an index of weights", "it has no weight_map")
    parts = tuple(folder / name for name in sorted(set(named.values())))
    for part in parts:
        if not part.is_file():
            what = f"part of the weights that {path.name} names"
            raise MissingFileError(part, what, do="copy the whole folder again")
    return Weights(parts, path)


def used_files(folder: Path, folders: Folders) -> tuple[Path, ...]:
    """The files of a folder that are read when it is opened, in the order of their paths.

    A pipeline's: its index, the config and the chosen weights of each network, the vocabularies, the noise
    schedule. A bare network's, or those of a folder with it: those of it and of the networks beside it. Of
    any other folder: every config, vocabulary and safetensors file.

    Args:
        folder: Of a pipeline, a network or a checkpoint.
        folders: As the family lays its pipelines out.
    """
    if (folder / INDEX).is_file() and folders.networks:
        networks = [folder / name for name in folders.networks]
        vocabularies = [p for name in folders.tokenizers for p in (folder / name).glob("*") if _is_text(p)]
        schedule = folder / "scheduler" / "scheduler_config.json"
        of_networks = [file for network in networks for file in _network_files(network)]
        return tuple(sorted([folder / INDEX, schedule, *vocabularies, *of_networks]))
    policy = policy_folder(folder, folders)
    if policy is None:
        return tuple(_all(folder))
    places = (network_folders(folder, folders) | {folders.networks[0]: policy}).values()
    return tuple(sorted(file for network in places for file in _network_files(network)))


def policy_folder(folder: Path, folders: Folders) -> Path | None:
    """Where a folder that is no pipeline has the network that is trained.

    In the folder of its name, itself, or in the one of its average's where that is all. A place with a config
    comes before one with weights alone.
    """
    if not folders.networks:
        return None
    name = folders.networks[0]
    places = (folder / name, folder, folder / f"{name}_ema")
    with_config = [place for place in places if (place / "config.json").is_file()]
    with_weights = [place for place in places if choose_weights(path.name for path in place.glob("*"))]
    return next(iter([*with_config, *with_weights]), None)


def network_folders(folder: Path, folders: Folders) -> dict[str, Path]:
    """The networks whose weights a folder holds in folders of their names."""
    places = {name: folder / name for name in folders.networks}
    return {name: place for name, place in places.items() if choose_weights(p.name for p in place.glob("*"))}


def _all(folder: Path) -> Iterator[Path]:
    return (p for p in sorted(folder.rglob("*")) if _is_text(p) or p.suffix == ".safetensors")


def own_name(place: Path) -> str:
    """What a file or folder is called: a file without its ending, a folder as it is, dots and all."""
    name = place.resolve().name
    return name.removesuffix(place.suffix) if place.is_file() and place.suffix in ENDINGS else name


def _is_text(path: Path) -> bool:
    return path.suffix in (".json", ".txt") and path.is_file()


def _network_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    weights = find_weights(folder)
    if (folder / "config.json").is_file():
        yield folder / "config.json"
    yield from weights.files
    if weights.index is not None:
        yield weights.index


def content_hash(place: Path, folders: Folders) -> str:
    """Hash of everything in a folder that decides pixels: the model's identity, wherever it lies.

    Over the relative path and the SHA-256 of each of :func:`used_files`, with the pipeline's index as if it
    named no part of `folders.unloaded`. What is never read (a safety checker, a README, other copies of the
    weights) does not count, nor does the folder's name. The same numbers in other files are another content.

    Args:
        place: A pipeline's folder, a network's or a checkpoint's; a file is hashed as it is.
        folders: As the family lays its pipelines out.

    Raises:
        UserError: if a network's weights are missing in part.
    """
    if place.is_file():
        return known_sha256(place)
    used = used_files(place, folders)
    return hashing.sha256_json({p.relative_to(place).as_posix(): _digest(p, folders) for p in used})


def hash_with_unread_files(folder: Path) -> str:
    """The hash as older records have it: over every config, vocabulary and safetensors file there is."""
    return hashing.sha256_json({p.relative_to(folder).as_posix(): known_sha256(p) for p in _all(folder)})


def _digest(path: Path, folders: Folders) -> str:
    return hashing.sha256_bytes(_plain_index(path, folders)) if path.name == INDEX else known_sha256(path)


def _plain_index(path: Path, folders: Folders) -> bytes:
    """A pipeline's index, as diffusers writes that of a pipeline without the parts that are never loaded."""
    index = read_json(path, "a diffusers model index")
    if not isinstance(index, dict):
        raise UnreadableFileError(path, "a diffusers model index", "it is no table of keys")
    unloaded: dict[str, object] = {
        name: [None, None] for name in folders.unloaded.get(str(index.get("_class_name")), ())
    }
    if "safety_checker" in unloaded:
        unloaded["requires_safety_checker"] = False
    return (json.dumps({**index, **unloaded}, indent=2, sort_keys=True) + "\n").encode()


@contextmanager
def under_plain_names(folder: Path, weights: Weights) -> Iterator[Path]:
    """Yields a folder in which the libraries find these weights without being told of variants.

    It is the network's own where they would choose the same; else a temporary one of links.

    Args:
        folder: A network's.
        weights: One of its sets.
    """
    stem, _, _ = weights.files[0].name.partition(".")
    plain = weights.index or weights.files[0]
    if weights.index is not None:
        stem = weights.index.name.partition(".")[0]
    name = f"{stem}.{weights.ending}" + (".index.json" if weights.index is not None else "")
    if plain.name == name:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="fbench-") as temporary:
        place = Path(temporary)
        for file in (folder / "config.json", *weights.files):
            (place / file.name).symlink_to(file.resolve())
        (place / name).unlink(missing_ok=True)
        (place / name).symlink_to(plain.resolve())
        yield place

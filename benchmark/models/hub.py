"""Published base models: found in the hub's cache, or fetched into it."""

from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

from benchmark.core.console import readable_size
from benchmark.core.environment import network_forbidden
from benchmark.core.errors import MissingFileError, MissingWeightsError
from benchmark.core.records import Sampler
from benchmark.core.store import read_json
from benchmark.models.facts import ModelFacts, all_folders, family_of
from benchmark.models.files import INDEX, LORA_FILE, Folders, choose_weights


def _small(folders: Folders) -> list[str]:
    """The files beside weights: configs, vocabularies, adapters."""
    places = ("", *(f"{part}/" for part in folders.networks))
    adapters = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
    return [
        INDEX, LORA_FILE, "pytorch_lora_weights.bin", "scheduler/scheduler_config.json",
        *(f"{place}{file}" for place in places for file in adapters),
        *(f"{part}/{file}" for part in folders.tokenizers for file in ("*.json", "merges.txt")),
    ]  # fmt: skip


def wanted_files(names: Iterable[str]) -> list[str]:
    """The files of a repository that a pipeline, a network or a LoRA is opened from, and nothing else.

    Repositories also hold pickles, other precisions, other frameworks' weights, second autoencoders and
    single-file copies, several times its size. Of each network one set of weights is wanted, the one that
    :func:`benchmark.models.files.choose_weights` takes from a folder.

    Args:
        names: All of the repository's files.
    """
    names, folders = sorted(names), all_folders()
    small = _small(folders)
    found = {name for name in names if any(fnmatch(name, pattern) for pattern in small)}
    # In the repository of one network alone it may lie at the top.
    for part in ("", *folders.networks):
        inside = {name.rpartition("/")[2]: name for name in names if name.rpartition("/")[0] == part}
        chosen = choose_weights(inside)
        if not chosen or "config.json" not in inside:
            continue
        found |= {inside["config.json"], inside[chosen]}
        if chosen.endswith(".json"):
            # Which parts belong to an index it only says itself; those of its ending are few.
            ending = ".bin" if ".bin" in chosen else ".safetensors"
            found |= {path for name, path in inside.items() if "-of-" in name and name.endswith(ending)}
    return sorted(found)


def cached(hub_id: str) -> Path | None:
    """The local copy of a published pipeline or adapter, asked without a network; None: it is not whole."""
    from huggingface_hub import try_to_load_from_cache

    adapter = try_to_load_from_cache(hub_id, LORA_FILE)
    if isinstance(adapter, str):
        return Path(adapter).parent
    index = try_to_load_from_cache(hub_id, INDEX)
    if not isinstance(index, str):
        return None
    folder = Path(index).parent
    return None if _without_weights(folder) else folder


def default_sampling(facts: ModelFacts) -> Sampler:
    """How a base model's images are made by default, as far as that is known on this machine.

    Of a hub id only its files tell which family it is of; a family that is sampled by what stands in facts of
    unknown families keeps that.

    Args:
        facts: Of any base model.
    """
    folder = cached(facts.hub_id) if facts.family is None and facts.local is None else None
    if folder is None:
        return facts.sampler
    family = family_of(facts, folder)
    own = family.facts(folder)
    return facts.sampler if own is None or facts.sampler.name in family.samplers else own.sampler


def whereabouts(facts: ModelFacts, *, offline: bool = False) -> str:
    """Where a model lies, or what would be fetched: known before anything is.

    Args:
        facts: Of the model.
        offline: Forbid every network access.

    Raises:
        MissingFileError: if a local one, or the weights of one of its networks, is not there.
        MissingWeightsError: if a published one is not here and may not be fetched.
    """
    if facts.local is not None:
        place = facts.local()
        if not place.exists():
            raise MissingFileError(place, f"base model {facts.name}", do="copy the whole folder again")
        lacking = _without_weights(place) if (place / INDEX).is_file() else []
        if lacking:
            raise MissingFileError(
                place / lacking[0], "weights (.safetensors or .bin)", do="copy them as well"
            )
        return f"{facts.name}: {place}"
    here = cached(facts.hub_id)
    if here is not None:
        return f"{facts.name}: {here}"
    size = readable_size(facts.download) if facts.download else "size not known"
    taken = "; there is no folder of this name here" if facts.name == facts.hub_id else ""
    if offline or network_forbidden():
        raise MissingWeightsError(
            f"the weights of {facts.name} ({size}) are not on this machine, and offline nothing is fetched"
            f"{taken}",
            do=f"`hf download {facts.hub_id}` where there is a network, or give a local diffusers folder",
        )
    return f"{facts.name}: not on this machine, would be fetched from {facts.hub_id} ({size}){taken}"


def _without_weights(folder: Path) -> list[str]:
    """The networks of a pipeline's folder of which only the config is there, or nothing."""
    index = read_json(folder / INDEX, "a diffusers model index")
    # What a pipeline does without is named as [null, null].
    named = [name for name in all_folders().networks if (index.get(name) or [None])[0] is not None]
    return [name for name in named if not choose_weights(file.name for file in (folder / name).glob("*"))]


def download(hub_id: str, *, offline: bool = False) -> tuple[Path, str]:
    """The local copy of a published pipeline.

    Args:
        hub_id: `owner/name`.
        offline: Only look into the cache.

    Returns:
        The folder, and the commit it is a copy of.

    Raises:
        MissingWeightsError: if it is not there and cannot be fetched, or holds no folder of diffusers'.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE
    from huggingface_hub.errors import GatedRepoError

    try:
        wanted = None if offline or HF_HUB_OFFLINE else _listed(hub_id)
        found = snapshot_download(hub_id, allow_patterns=wanted, local_files_only=wanted is None)
    except MissingWeightsError:
        raise
    except GatedRepoError as error:
        raise MissingWeightsError(
            f"the weights of {hub_id} are given only to those who accepted its licence at the hub",
            do=f"accept it at https://huggingface.co/{hub_id}, log in with `hf auth login`, and try again",
        ) from error
    # No such repository, no network, no access, a full disk: the user's remedy is the same.
    except Exception as error:
        why = "" if offline else f" ({type(error).__name__})"
        raise MissingWeightsError(
            f"the weights of {hub_id} are not in {HF_HUB_CACHE}{why}",
            do=f"`hf download {hub_id}` fetches them, or give a local diffusers folder",
        ) from error
    # The cache's folders are named by commit.
    return Path(found), Path(found).name


def _listed(hub_id: str) -> list[str] | None:
    """What is wanted of a repository; None where the hub does not answer, and the cache must do."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        names = HfApi().list_repo_files(hub_id)
    except Exception as error:
        # The hub's own answer: no such repository, or no access. All else is no network, in many words.
        if isinstance(error, HfHubHTTPError):
            raise
        return None
    wanted = wanted_files(names)
    files = [name for name in names if name.endswith((".safetensors", ".ckpt"))]
    if not any(name.endswith((".safetensors", ".bin")) for name in wanted):
        single = files[0] if files else "FILE"
        raise MissingWeightsError(
            f"{hub_id} holds no diffusers folder" + (f", but {', '.join(files[:3])}" if files else ""),
            do=f"`hf download {hub_id} {single}` fetches a file and prints where it is; give that path",
        )
    return wanted

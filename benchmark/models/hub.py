"""Published base models: found in the hub's cache, or fetched into it."""

from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

from benchmark.core.errors import MissingWeightsError
from benchmark.models.files import INDEX, NETWORKS, TOKENIZERS, choose_weights

LORA_FILE = "pytorch_lora_weights.safetensors"
_SMALL = (
    INDEX, LORA_FILE, "adapter_config.json", "adapter_model.safetensors", "scheduler/scheduler_config.json",
    *(f"{part}/{file}" for part in TOKENIZERS for file in ("*.json", "merges.txt")),
)  # fmt: skip


def wanted_files(names: Iterable[str]) -> list[str]:
    """The files of a repository that a pipeline, a UNet or a LoRA is opened from, and nothing else.

    Repositories also hold pickles, other precisions, other frameworks' weights, second autoencoders and
    single-file copies, several times its size. Of each network one set of weights is wanted, the one that
    :func:`benchmark.models.files.choose_weights` takes from a folder.

    Args:
        names: All of the repository's files.
    """
    names = sorted(names)
    found = {name for name in names if any(fnmatch(name, pattern) for pattern in _SMALL)}
    # In the repository of a UNet alone it may lie at the top.
    for part in ("", *NETWORKS):
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

    try:
        wanted = None if offline or HF_HUB_OFFLINE else _listed(hub_id)
        found = snapshot_download(hub_id, allow_patterns=wanted, local_files_only=wanted is None)
    except MissingWeightsError:
        raise
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

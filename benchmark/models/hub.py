"""Published base models: found in the hub's cache, or fetched into it."""

from pathlib import Path

from benchmark.core.environment import network_forbidden
from benchmark.core.errors import MissingFileError, MissingWeightsError
from benchmark.core.sizes import said_size
from benchmark.core.store import read_json
from benchmark.models.facts import ModelFacts

_INDEX = "model_index.json"
_ADAPTER = "pytorch_lora_weights.safetensors"
_NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2")

# What a pipeline needs, and nothing else: the repositories also hold pickles, other precisions,
# other frameworks' weights, second autoencoders and single-file copies, several times its size. The
# last of each pair are the parts that large weights are cut into.
WANTED = (
    _INDEX, "scheduler/scheduler_config.json", _ADAPTER,
    *(f"{part}/{file}" for part in ("tokenizer", "tokenizer_2") for file in ("*.json", "merges.txt")),
    *(f"{part}/{file}" for part in ("unet", "vae") for file in (
        "config.json", "diffusion_pytorch_model.safetensors*", "diffusion_pytorch_model-*.safetensors",
    )),
    *(f"{part}/{file}" for part in ("text_encoder", "text_encoder_2") for file in (
        "config.json", "model.safetensors*", "model-*.safetensors",
    )),
)  # fmt: skip


def cached(hub_id: str) -> Path | None:
    """The local copy of a published pipeline or adapter, asked without a network; None: it is not whole."""
    from huggingface_hub import try_to_load_from_cache

    adapter = try_to_load_from_cache(hub_id, _ADAPTER)
    if isinstance(adapter, str):
        return Path(adapter).parent
    index = try_to_load_from_cache(hub_id, _INDEX)
    if not isinstance(index, str):
        return None
    folder = Path(index).parent
    return None if _without_weights(folder) else folder


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
            raise MissingFileError(place, f"base model {facts.name}")
        lacking = _without_weights(place) if (place / _INDEX).is_file() else []
        if lacking:
            raise MissingFileError(
                place / lacking[0], "weights (.safetensors or .bin)", do="copy them as well"
            )
        return f"{facts.name}: {place}"
    here = cached(facts.hub_id)
    if here is not None:
        return f"{facts.name}: {here}"
    size = said_size(facts.download) if facts.download else "size not known"
    if offline or network_forbidden():
        raise MissingWeightsError(
            f"the weights of {facts.name} ({size}) are not on this machine, and offline nothing is fetched",
            do=f"`hf download {facts.hub_id}` where there is a network, or give a local diffusers folder",
        )
    return f"{facts.name}: not on this machine, would be fetched from {facts.hub_id} ({size})"


def _without_weights(folder: Path) -> list[str]:
    """The networks of a pipeline's folder of which only the config is there, or nothing."""
    index = read_json(folder / _INDEX, "a diffusers model index")
    files = {name: [f.suffix for f in (folder / name).glob("*")] for name in _NETWORKS if name in index}
    return [name for name, endings in files.items() if not {".safetensors", ".bin"} & set(endings)]


def download(hub_id: str, *, offline: bool = False) -> tuple[Path, str]:
    """The local copy of a published pipeline.

    Args:
        hub_id: `owner/name`.
        offline: Only look into the cache.

    Returns:
        The folder, and the commit it is a copy of.

    Raises:
        MissingWeightsError: if it is not there and cannot be fetched.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.constants import HF_HUB_CACHE

    try:
        found = snapshot_download(
            hub_id,
            allow_patterns=list(WANTED),
            local_files_only=offline,
        )
    # No such repository, no network, no access, a full disk: the user's remedy is the same.
    except Exception as error:
        why = "" if offline else f" ({type(error).__name__})"
        raise MissingWeightsError(
            f"the weights of {hub_id} are not in {HF_HUB_CACHE}{why}",
            do=f"`hf download {hub_id}` fetches them, or give a local diffusers folder",
        ) from error
    # The cache's folders are named by commit.
    return Path(found), Path(found).name

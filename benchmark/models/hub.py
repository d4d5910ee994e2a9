"""Published base models: found in the hub's cache, or fetched into it."""

from pathlib import Path

from benchmark.core.errors import MissingWeightsError

# What a pipeline needs, and nothing else: the repositories also hold pickles, other precisions,
# other frameworks' weights, second autoencoders and single-file copies, several times its size. The
# last of each pair are the parts that large weights are cut into.
WANTED = (
    "model_index.json", "scheduler/scheduler_config.json", "pytorch_lora_weights.safetensors",
    "adapter_config.json", "adapter_model.safetensors",
    *(f"{part}/{file}" for part in ("tokenizer", "tokenizer_2") for file in ("*.json", "merges.txt")),
    *(f"{part}/{file}" for part in ("unet", "vae") for file in (
        "config.json", "diffusion_pytorch_model.safetensors*", "diffusion_pytorch_model-*.safetensors",
    )),
    *(f"{part}/{file}" for part in ("text_encoder", "text_encoder_2") for file in (
        "config.json", "model.safetensors*", "model-*.safetensors",
    )),
)  # fmt: skip


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

"""Writes an adapter as the file that diffusers and PEFT open, with the settings that state its alpha."""

import json
from pathlib import Path
from typing import Any

from torch import nn

from benchmark.models.files import LORA_FILE


def save_adapter(writer: Any, part: str, network: nn.Module, adapter_name: str, folder: Path) -> None:
    """Writes a PEFT adapter as diffusers' own file, with the metadata that states its alpha.

    Equal weights make equal files.

    Args:
        writer: The class of diffusers' pipelines for that network, with its `save_lora_weights`.
        part: The network's name in it.
        network: What the adapter sits on.
        adapter_name: Which of the adapters there.
        folder: The checkpoint's.
    """
    from peft.utils import get_peft_model_state_dict

    layers = get_peft_model_state_dict(network, adapter_name=adapter_name)
    configs: Any = network.peft_config
    adapter = configs[adapter_name].to_dict()
    # Without it alpha is lost silently; alpha equals the rank as well, for readers that ignore it.
    stated = {key: sorted(value) if isinstance(value, set) else value for key, value in adapter.items()}
    own = {name: value.detach().cpu().contiguous() for name, value in layers.items()}
    writer.save_lora_weights(folder, **{f"{part}_lora_layers": own, f"{part}_lora_adapter_metadata": stated})
    _sort_header(folder / LORA_FILE)


def _sort_header(path: Path) -> None:
    """Puts a safetensors header in order: the library writes metadata in a random one.

    Equal weights then make equal files, and a checkpoint's hash is that of its content.
    """
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors stay aligned
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])

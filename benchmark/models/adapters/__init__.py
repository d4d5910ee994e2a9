"""Adapters: LoRA, LoCon, LoHa, LoKr, DoRA and LyCORIS' full differences, merged into a base model.

* files: which files an adapter is made of, and what they hold and state
* names: which layer of the model each tensor means, in every spelling that trainers use
* settings: what PEFT's config or diffusers' metadata says of a layer's scale
* kinds: which tensors make a layer of each kind, and what they add to its weight
* layers: a layer's tensors, and their merge
* foreign: what a tensor is that has no place, and what to do about it
* merging: all of it, in order
"""

from benchmark.models.adapters.files import adapter_files, adapter_place, is_adapter
from benchmark.models.adapters.merging import open_adapter

__all__ = ["adapter_files", "adapter_place", "is_adapter", "open_adapter"]

"""Adapters: LoRA, LoCon, LoHa, LoKr, DoRA and LyCORIS' full differences, merged into a base model.

* files: which files an adapter is made of, and what they hold and state
* settings: what PEFT's config or diffusers' metadata says of a layer's scale
* kinds: which tensors make a layer of each kind, and what they add to its weight
* layers: a layer's tensors, and their merge; which layer each tensor means the family says by its `Names`
* joined: layers of another code that are several of the network's own
* merging: all of it, in order
"""

from benchmark.models.adapters.files import adapter_files, adapter_place, is_adapter
from benchmark.models.adapters.layers import Names, Place
from benchmark.models.adapters.merging import merged

__all__ = ["Names", "Place", "adapter_files", "adapter_place", "is_adapter", "merged"]

"""The door for prompt sets."""

from benchmark.core.records import PromptSet
from benchmark.core.registry import Registry

registry: Registry[PromptSet] = Registry(
    "prompt set",
    group="fbench.prompt_sets",
    modules=("benchmark.prompt_sets.committed", "benchmark.prompt_sets.known"),
)

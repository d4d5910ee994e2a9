"""Every kind of adapter, in every spelling, is merged as its formula says, computed here in float64."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from benchmark.models import load_pipeline as load_any
from benchmark.models import open_checkpoint
from benchmark.models.families.unet.pipeline import UNetPipeline as Pipeline

load_pipeline = cast("Callable[..., Pipeline]", load_any)


FAMILIES = ["sd15", "sdxl"]
KINDS = [
    "lora", "tucker", "loha", "loha tucker", "lokr", "lokr whole", "lokr products", "lokr tucker",
]  # fmt: skip
# How alphas and ranks stand in a file: ranks, alphas; None: no alpha is stated, which means the rank.
SCALES: dict[str, tuple[list[int], list[float | None]]] = {
    "one alpha": ([4], [2.0]),
    "an alpha for each layer": ([4], [1.0, 2.0, 0.5, 8.0]),
    "ranks and alphas for each layer": ([4, 2, 8, 3], [1.0, 2.0, 4.0]),
    "ranks for each layer": ([4, 2, 3], [1.0]),
    "no alpha": ([4, 2], [None]),
}


@pytest.fixture(scope="module")
def base(published_folder: Callable[..., Path]) -> Callable[[str], Pipeline]:
    loaded: dict[str, Pipeline] = {}

    def pipeline(family: str) -> Pipeline:
        if family not in loaded:
            loaded[family] = load_pipeline(str(published_folder(family)), precision="fp32")
        return loaded[family]

    return pipeline


class Draft:
    """A file in the making, and the weights that it must give."""

    def __init__(self, files: Any, base: Pipeline, *, seed: int = 0) -> None:
        self.files, self.base = files, base
        self.generator = torch.Generator().manual_seed(seed)
        self.tensors: dict[str, Tensor] = {}
        self.expected = {name: weight.double() for name, weight in files.weights(base).items()}

    def add(
        self, part: str, layer: str, kind: str, spell: Any, rank: int = 4, alpha: float | None = 2.0
    ) -> str:
        """One layer; returns its name in `expected`."""
        weight = self.files.module(self.base, part, layer).weight
        made = self.files.KINDS[kind](self.generator, weight.shape, rank)
        self.tensors |= {f"{spell(part, layer)}.{role}": tensor for role, tensor in made.tensors.items()}
        scale = 1.0
        if alpha is not None:
            self.tensors[f"{spell(part, layer)}.alpha"] = torch.tensor(alpha).half()
            scale = alpha / made.rank if made.rank else 1.0
        self.expected[f"{part}.{layer}.weight"] += scale * made.delta
        return f"{part}.{layer}.weight"

    def check(self, path: Path) -> None:
        opened = open_checkpoint(str(self.files.write(path, self.tensors)), self.base)[1]
        before = self.files.weights(self.base)
        for name, weight in self.files.weights(opened).items():
            expected = self.expected[name]
            assert not weight.requires_grad
            if torch.equal(expected, before[name].double()):
                assert torch.equal(weight, before[name]), name
            else:
                torch.testing.assert_close(weight.double(), expected, rtol=2e-6, atol=2e-6, msg=name)
                assert not torch.allclose(weight, before[name], atol=1e-3), name


@pytest.fixture
def draft(adapter_files: Any, base: Callable[[str], Pipeline]) -> Callable[[str], Draft]:
    return lambda family: Draft(adapter_files, base(family))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("kind", "scale"),
    [
        *(("lora", scale) for scale in SCALES),
        *((kind, "ranks and alphas for each layer") for kind in KINDS[1:]),
    ],
)
def test_a_kind_is_merged_as_its_formula_says(
    tmp_path: Path, draft: Callable[[str], Draft], adapter_files: Any, family: str, kind: str, scale: str
) -> None:
    assert list(adapter_files.KINDS) == KINDS
    made = draft(family)
    ranks, alphas = SCALES[scale]
    spell = adapter_files.kohya if family == "sd15" else adapter_files.kohya_xl
    for i, (part, layer) in enumerate(adapter_files.TARGETS[family]):
        made.add(part, layer, kind, spell, ranks[i % len(ranks)], alphas[i % len(alphas)])
    made.check(tmp_path / "adapter.safetensors")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spelling", ["kohya", "kohya_xl", "onetrainer", "diffusers", "simpletuner", "bare"])
def test_a_layer_is_found_in_every_spelling(
    tmp_path: Path, draft: Callable[[str], Draft], adapter_files: Any, family: str, spelling: str
) -> None:
    made = draft(family)
    for part, layer in adapter_files.TARGETS[family]:
        if part == "unet" or spelling not in ("simpletuner", "bare"):
            made.add(part, layer, "lora", adapter_files.SPELLINGS[spelling])
    made.check(tmp_path / "adapter.safetensors")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axis", [0, 1])
def test_dora_scales_each_output_or_each_input(
    tmp_path: Path, draft: Callable[[str], Draft], adapter_files: Any, family: str, kind: str, axis: int
) -> None:
    made = draft(family)
    for part, layer in adapter_files.TARGETS[family]:
        name = made.add(part, layer, kind, adapter_files.kohya)
        weight = made.expected[name]
        magnitude = (torch.rand(weight.shape[axis], generator=made.generator) + 0.5).half()
        made.expected[name] = adapter_files.dora(weight, magnitude, axis)
        shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
        made.tensors[f"{adapter_files.kohya(part, layer)}.dora_scale"] = magnitude.reshape(shape)
    made.check(tmp_path / "adapter.safetensors")


@pytest.mark.parametrize("family", FAMILIES)
def test_full_differences_of_weights_biases_and_norms_are_added(
    tmp_path: Path, draft: Callable[[str], Draft], adapter_files: Any, family: str
) -> None:
    made = draft(family)
    layers = [
        *adapter_files.TARGETS[family],
        ("unet", "mid_block.resnets.0.norm1"),
        ("unet", "conv_norm_out"),
    ]
    for part, layer in layers:
        norm = "norm" in layer
        for parameter, role in (
            ("weight", "w_norm" if norm else "diff"),
            ("bias", "b_norm" if norm else "diff_b"),
        ):
            if (name := f"{part}.{layer}.{parameter}") in made.expected:
                made.tensors[f"{adapter_files.kohya(part, layer)}.{role}"] = torch.rand(
                    made.expected[name].shape, generator=made.generator
                )
                made.expected[name] += made.tensors[f"{adapter_files.kohya(part, layer)}.{role}"].double()
    made.check(tmp_path / "adapter.safetensors")


def test_kinds_and_spellings_may_be_mixed_in_a_file(
    tmp_path: Path, draft: Callable[[str], Draft], adapter_files: Any
) -> None:
    """diffusers drops the original UNet's names from a file that has its own names as well."""
    made = draft("sdxl")
    made.add("unet", "down_blocks.1.attentions.0.proj_in", "lora", adapter_files.kohya)
    made.add(
        "unet",
        "down_blocks.1.attentions.0.proj_out",
        "lokr",
        lambda *_: "lora_unet_input_blocks_3_1_proj_out",
    )
    made.add("text_encoder", "encoder.layers.0.mlp.fc2", "loha", adapter_files.onetrainer)
    made.check(tmp_path / "mixed.safetensors")


@pytest.mark.parametrize("ending", [".safetensors", ".bin"])
def test_attention_processors_of_2023_open(
    tmp_path: Path, draft: Callable[[str], Draft], adapter_files: Any, ending: str
) -> None:
    made = draft("sd15")
    attention = "mid_block.attentions.0.transformer_blocks.0.attn1"
    for layer in ("to_q", "to_k", "to_v", "to_out"):
        module = f"{attention}.{layer}{'.0' if layer == 'to_out' else ''}"
        made.add(
            "unet", module, "lora", lambda *_, layer=layer: f"{attention}.processor.{layer}_lora", alpha=None
        )
    made.tensors = {name.replace(".lora_", "."): tensor for name, tensor in made.tensors.items()}
    if ending == ".bin":
        torch.save(made.tensors, tmp_path / "pytorch_lora_weights.bin")
        adapter_files.write(tmp_path / "same.safetensors", made.tensors)
        ours, theirs = (
            open_checkpoint(str(tmp_path / name), made.base)[1]
            for name in ("pytorch_lora_weights.bin", "same.safetensors")
        )
        for name, weight in adapter_files.weights(ours).items():
            assert torch.equal(weight, adapter_files.weights(theirs)[name])
    made.check(tmp_path / "adapter.safetensors")


@pytest.mark.parametrize("adapter", [".default", ".default_0.default", ""])
def test_pefts_names_of_adapters_in_tensors_are_passed_over(
    tmp_path: Path, draft: Callable[[str], Draft], adapter_files: Any, adapter: str
) -> None:
    """As DiffSynth and scripts write them that save a state dictionary as it is."""
    made = draft("sd15")
    for part, layer in adapter_files.TARGETS["sd15"][:3]:
        made.add(part, layer, "lora", adapter_files.bare, alpha=None)
    ends = {"lora_down.weight": f"lora_A{adapter}.weight", "lora_up.weight": f"lora_B{adapter}.weight"}
    made.tensors = {
        name.replace(end, new): tensor
        for name, tensor in made.tensors.items()
        for end, new in ends.items()
        if name.endswith(end)
    }
    made.check(tmp_path / "adapter.safetensors")

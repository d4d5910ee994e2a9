"""What PEFT's config, or the same as diffusers' metadata, says of an adapter where it decides a number."""

import math
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.models.adapters.files import AdapterFile, Parts

_KINDS = ("LORA", "LOHA", "LOKR")
# How many times larger W + scale * up @ down is told by these.
_READ = {
    "r",
    "lora_alpha",
    "alpha",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "use_dora",
    "lora_bias",
    "peft_type",
}
_STATED_ROLES = {"use_dora": "magnitude", "lora_bias": "up_bias"}
# These say how it was trained, or which layers: the tensors show that.
_TOLD_BY_TENSORS = {
    "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "lora_dropout",
    "rank_dropout", "module_dropout", "rank_dropout_scale", "fan_in_fan_out", "use_effective_conv2d",
    "decompose_both", "decompose_factor", "eva_config", "megatron_core", "ensure_weight_tying",
}  # fmt: skip
# Starts that leave the base's weights as they are; PiSSA, OLoRA, CorDA and LoftQ take theirs out of them.
_STARTS = (True, False, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True)
class Settings:
    """The settings of one part of an adapter file; without any, alpha is the rank.

    Attributes:
        file: Whose they are.
        stated: PEFT's keys and values.
    """

    file: AdapterFile
    stated: Mapping[str, Any] = field(default_factory=dict)

    def check_roles(self, layer: str, roles: Container[str]) -> None:
        """Refuses a layer that has magnitudes or biases where nothing is said of them, or the reverse.

        Args:
            layer: Its name in the file.
            roles: Of its tensors.
        """
        for key, role in _STATED_ROLES.items() if self.stated else ():
            stated = bool(self.stated.get(key))
            if stated != (role in roles):
                raise self.file.refused(f"its settings say {key} {stated}, {layer} is otherwise")

    def scale(self, layer: str, rank: int | None) -> float | None:
        """The alpha / rank of a layer; alpha / sqrt(rank) with `use_rslora`; None where nothing is said.

        Args:
            layer: Its name in the file: the patterns are written for that.
            rank: What its tensors have; None for a Kronecker product of two whole matrices.

        Raises:
            UserError: if the file's ranks are not the stated ones.
        """
        if not self.stated:
            return None
        alpha_key = "alpha" if "alpha" in self.stated else "lora_alpha"
        alpha = self._number(layer, "alpha_pattern", alpha_key)
        stated = self._number(layer, "rank_pattern", "r")
        if rank is not None and stated != rank:
            raise self.file.refused(f"{layer} has rank {rank}, its settings say {stated:g}")
        return alpha / (math.sqrt(stated) if self.stated.get("use_rslora") else stated)

    def _number(self, layer: str, patterns: str, key: str) -> float:
        from peft.utils.other import get_pattern_key

        by_layer = self.stated.get(patterns) or {}
        if not isinstance(by_layer, dict):
            raise self.file.refused(f"its {patterns} is no table of numbers")
        try:
            pattern = get_pattern_key(by_layer.keys(), layer)
        except re.error as error:
            raise self.file.refused(f"its {patterns} has no regular expression: {error}") from error
        value = by_layer.get(pattern, self.stated.get(key))
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
            or value <= 0
        ):
            raise self.file.refused(
                f"its settings say {key} {value} for {layer}", do="it must be a positive number"
            )
        return value


def settings_of(file: AdapterFile, parts: Parts) -> dict[str, Settings]:
    """The settings of each part of a file.

    Args:
        file: The file.
        parts: Which networks it may change.

    Raises:
        UserError: if something is stated that fbench would not apply.
    """
    found = {part: Settings(file) for part in parts}
    for part, stated in file.settings.items():
        if part and part not in parts:
            raise file.refused(f"it states settings of {part}", do=f"fbench adapts {', '.join(parts)}")
        _check(file, stated)
        found |= {p: Settings(file, stated) for p in ([part] if part else parts)}
    return found


def _check(file: AdapterFile, stated: Mapping[str, Any]) -> None:
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING

    merge = "merge it with PEFT's merge_and_unload() and give the saved network's folder"
    kind = str(stated.get("peft_type") or "LORA")
    if kind not in _KINDS:
        raise file.refused(f"it is a {kind} adapter, fbench reads {', '.join(_KINDS)}", do=merge)
    start = stated.get("init_lora_weights", True)
    if start not in _STARTS:
        raise file.refused(f"init_lora_weights {start} changes the base's own weights as well", do=merge)
    defaults = PEFT_TYPE_TO_CONFIG_MAPPING[kind]().to_dict()
    for key, value in stated.items():
        passed_over = key in _READ | _TOLD_BY_TENSORS or key.startswith("init_")
        if value and not passed_over and value != defaults.get(key):
            raise file.refused(f"it states {key} {value}, which fbench does not apply", do=merge)

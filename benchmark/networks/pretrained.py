"""transformers' models from folders, strictly: what `from_pretrained` only prints is an error."""

from pathlib import Path
from typing import Any, TypeVar

from transformers import PreTrainedModel

from benchmark.core.errors import MissingWeightsError, UnreadableFileError
from benchmark.models.quiet import quiet
from benchmark.networks.folders import check_finite

M = TypeVar("M", bound=PreTrainedModel)


def load_pretrained(kind: type[M], folder: Path) -> M:
    """The model of a folder with config.json and safetensors, in float32 and for inference.

    Args:
        kind: The library's class.
        folder: The model's.

    Raises:
        MissingWeightsError: if config.json or the weights are not there.
        UnreadableFileError: if a weight is missing, unexpected, of another shape or not finite.
    """
    name = kind.__name__
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise MissingWeightsError(
            f"no {name} (config.json, model.safetensors) at {folder}", do="`fbench doctor` says more"
        )
    try:
        with quiet():
            model, report = kind.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                dtype="float32",
                output_loading_info=True,
                # They are in the report then, by name, and refused below.
                ignore_mismatched_sizes=True,
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise UnreadableFileError(folder, f"a {name}", error) from error
    wrong = _faults(report)
    if wrong:
        shown = ", ".join(wrong[:4]) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else "")
        raise UnreadableFileError(folder, f"a {name}", shown)
    check_finite(model.state_dict(), folder)
    found: M = model.eval().requires_grad_(False)
    return found


def _faults(report: Any) -> list[str]:
    """Faults that from_pretrained only prints. Older files carry position ids, which are computed today."""
    wrong = [f"missing {key}" for key in sorted(report["missing_keys"])]
    wrong += [f"unexpected {key}" for key in sorted(report["unexpected_keys"])]
    for key, found, expected in sorted(report["mismatched_keys"]):
        wrong.append(f"{key} is {tuple(found)} and should be {tuple(expected)}")
    return [fault for fault in wrong if not fault.endswith("position_ids")]

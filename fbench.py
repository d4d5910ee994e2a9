"""``import fbench``: the public names, and the command.

Every name is imported from its own module at first use, so that importing this is quick and needs no
torch. Other people's scripts depend on these names: one that goes away gets a line in CHANGELOG.md first.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

# name -> where it lives
_PUBLIC = {
    "Checkpoint": "benchmark.core.records",
    "ImageRecord": "benchmark.core.records",
    "ImageSet": "benchmark.core.records",
    "Leaderboard": "benchmark.core.records",
    "PreferencePair": "benchmark.core.records",
    "Prompt": "benchmark.core.records",
    "PromptSet": "benchmark.core.records",
    "Sampler": "benchmark.core.records",
    "ScoreRow": "benchmark.core.records",
    "FbenchError": "benchmark.core.errors",
    "MissingRowsError": "benchmark.core.errors",
    "UserError": "benchmark.core.errors",
    "Manifest": "benchmark.core.manifest",
    "read_manifest": "benchmark.core.manifest",
    "read_scores": "benchmark.core.store",
    # the five doors, and what goes through them
    "divergences": "trainers.divergences",
    "Divergence": "trainers.divergences",
    "objectives": "trainers.objectives",
    "Objective": "trainers.objectives",
    "scorers": "benchmark.scorers",
    "Scorer": "benchmark.scorers",
    "prompt_sets": "benchmark.prompt_sets:registry",
    "load_prompt_set": "benchmark.prompt_sets",
    "models": "benchmark.models",
    "load_pipeline": "benchmark.models",
    # the two walks
    "TrainConfig": "trainers.config",
    "train": "trainers.train",
    "EvalConfig": "benchmark.evaluate.config",
    "evaluate": "benchmark.evaluate.run",
    # pictures of one's own, and what commands wrote
    "score": "benchmark.evaluate.score_images",
    "load": "benchmark.evaluate.opened",
    # a training loop of one's own
    "log_ratio": "trainers.log_ratio",
    "log_ratio_scale": "trainers.log_ratio",
    "prediction_error": "trainers.log_ratio",
    "PairErrors": "trainers.objectives",
}

__all__ = ["__version__", "main", *sorted(_PUBLIC)]  # noqa: PLE0604  # the names above are all text


def __getattr__(name: str) -> Any:
    """The public name, imported now."""
    if name not in _PUBLIC:
        raise AttributeError(f"fbench has no {name!r}; it has {', '.join(sorted(_PUBLIC))}")
    module, _, attribute = _PUBLIC[name].partition(":")
    value = getattr(importlib.import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)


def _refuse_another_benchmark() -> None:
    """Says so when ``benchmark`` would be somebody else's module.

    It is a common name for a folder or a script, and Python takes the first on its path. Without this
    the user would read that ``benchmark.core`` does not exist.
    """
    here = Path(__file__).resolve().parent
    loaded = sys.modules.get("benchmark")
    if loaded is not None:
        origin = getattr(loaded, "__file__", None)
    else:
        spec = importlib.util.find_spec("benchmark")
        origin = spec.origin if spec else None
    if origin is None or Path(origin).resolve().parent.parent != here:
        found = f"{origin} comes first" if origin else "it is not there"
        raise ImportError(
            f"fbench needs its own package `benchmark` in {here}, but {found}; "
            "rename that file or folder, or start from another folder"
        )


_refuse_another_benchmark()

from benchmark import __version__  # noqa: E402  # ours, as is known by now


def main() -> None:
    """The command ``fbench``."""
    from benchmark.cli import main as command

    command()


if __name__ == "__main__":
    main()

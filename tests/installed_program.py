"""Runs every command of an installed fbench: ``python -I -S installed_program.py TARGET PACKAGES CHECKOUT``.

The interpreter's own path holds neither the checkout nor an editable install: only the folder that the wheel
was installed into, and that of its dependencies. Whatever imports the repository's tools or tests, or a file
of the checkout, ends it.
"""

import json
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRAIN = (
    "train", "--preset", "shapes-f-dpo-reverse-kl", "--out", "run", "--steps", "1", "--batch-size", "2",
    "--data-limit", "4", "--lora-rank", "2", "--set", "held_out_pairs=2", "--set", "held_out_draws=1",
    "--save-every", "1", "--set", "warmup=0", "--device", "cpu",
)  # fmt: skip
DRY_RUN = (
    "eval", "--checkpoint", "base", "--prompts", "shapes-core", "--scorers", "oracle", "--dry-run",
)  # fmt: skip
EVAL = (
    "eval", "--checkpoint", "base", "--checkpoint", "run", "--prompts", "shapes-core", "--limit", "3",
    "--images-per-prompt", "2", "--steps", "2", "--scorers", "true_reward,entropy", "--out", "eval",
    "--no-distance", "--device", "cpu",
)  # fmt: skip


class NotShipped:
    """Refuses what only the repository has."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] in ("tools", "tests"):
            raise AssertionError(f"an installed fbench imports {name}")


def run(fbench: Callable[[], None], *words: str, codes: tuple[int, ...] = (0,)) -> None:
    """One command, as a user types it."""
    sys.argv = ["fbench", *words]
    print("$", *sys.argv, flush=True)
    try:
        fbench()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    else:
        code = 0
    assert code in codes, f"{' '.join(sys.argv)} ended with {code}"


def helps(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command and command of a command."""
    return [path, *(line for name, child in getattr(command, "commands", {}).items()
                    for line in helps(child, (*path, name)))]  # fmt: skip


def main() -> None:
    """Every help text, then a tiny real run of what most people do."""
    target, packages, checkout = (Path(word) for word in sys.argv[1:4])
    sys.path[:] = [str(target), *(place for place in sys.path if Path(place) != Path(__file__).parent)]
    sys.path.append(str(packages))
    sys.meta_path.insert(0, NotShipped())
    import fbench

    assert Path(fbench.__file__) == target / "fbench.py", fbench.__file__
    from benchmark.cli.app import COMMANDS, command

    root = command()
    for name in COMMANDS:
        for path in helps(root.get_command(None, name), (name,)):
            run(fbench.main, *path, "--help")
    assert "torch" not in sys.modules, "help imports torch"

    run(fbench.main, *DRY_RUN)
    assert list(Path().iterdir()) == [], "a dry run writes nothing"
    run(fbench.main, *TRAIN)
    run(fbench.main, *EVAL)
    run(fbench.main, "leaderboard", "eval", "--format", "markdown")
    ids = sorted(folder.name for folder in Path("eval/images").iterdir())
    (trained,) = (name for name in ids if name.startswith("f_dpo"))
    verdicts = (0, 1, 3)  # of so few images any of them is right
    run(
        fbench.main,
        "gate",
        "--baseline",
        "base",
        "--candidate",
        trained,
        "eval",
        "--scorers",
        "true_reward",
        codes=verdicts,
    )
    images = str(Path("eval/images") / trained)
    lines = [{"prompt": file.name, "image_path": str(file)} for file in sorted(Path(images).glob("*.png"))]
    Path("images.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    run(fbench.main, "score", "images.jsonl", "--scorers", "entropy", "--out", "score", "--device", "cpu")
    run(
        fbench.main,
        "reference",
        f"fid(reference={images!r},weights='embedded')",
        "reference.npz",
        "--device",
        "cpu",
    )
    for written in ("run/manifest.json", "eval/scores.parquet", "score/scores.parquet", "reference.npz"):
        assert Path(written).is_file(), written

    ours = {sysconfig.get_path("stdlib"), str(packages), str(target)}
    strays = [
        f"{name}: {module.__file__}" for name, module in sorted(sys.modules.items())
        if name not in ("__main__", "__mp_main__") and (file := getattr(module, "__file__", None))
        and Path(file).is_relative_to(checkout)
        and not any(Path(file).is_relative_to(place) for place in ours)
    ]  # fmt: skip
    assert not strays, strays


if __name__ == "__main__":
    main()

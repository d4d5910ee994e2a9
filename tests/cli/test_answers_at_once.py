"""Help, lists and dry runs import what they need and no more; `make bench` says in how many seconds."""

import json
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "torch", "torchvision", "diffusers", "transformers", "accelerate", "peft", "open_clip", "datasets",
    "pandas", "scipy", "matplotlib", "sympy",
)  # fmt: skip
_RUN = """
import json, sys
from benchmark.cli.app import command
for words in json.loads(sys.argv[1]):
    code = command().main(words, standalone_mode=False)
    assert not code, (words, code)
print(json.dumps([m for m in json.loads(sys.argv[2]) if m in sys.modules]), file=sys.stderr)
"""


def imported(*commands: str | list[str]) -> list[str]:
    """Which heavy packages some commands import, in a process of their own."""
    words = [command.split() if isinstance(command, str) else command for command in commands]
    typed = [sys.executable, "-c", _RUN, json.dumps(words), json.dumps(HEAVY)]
    done = subprocess.run(typed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stderr.splitlines()[-1])
    return found


def test_help_and_lists_import_nothing_heavy() -> None:
    assert (
        imported(
            "--help",
            "train --help",
            "list scorers",
            "list prompts",
            "list models",
            "list presets",
            "weights list",
        )
        == []
    )


def test_lists_of_mathematics_import_torch_alone() -> None:
    assert imported("list divergences", "list objectives") == ["torch"]


def test_a_dry_run_of_training_imports_torch_alone(world: dict[str, Path], tmp_path: Path) -> None:
    """Torch is what divergences are written in; neither the base model nor a picture is opened."""
    (tmp_path / "open_clip_config.json").write_text("{}")
    (tmp_path / "open_clip_model.safetensors").touch()  # hashed, and not opened
    settings = {"base": world["base"], "data": world["pairs"], "out": tmp_path / "run", "steps": 4}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    recipes = (
        ["--objective", "f_dpo", "--divergence", "jensen_shannon"],
        ["--objective", "rpo", "--set", f"clip={tmp_path}"],
        ["--objective", "sft"],
    )
    assert imported(*(["train", *flags, *recipe, "--dry-run"] for recipe in recipes)) == ["torch"]
    assert not (tmp_path / "run").exists()


def test_a_dry_run_of_scoring_and_of_an_evaluation_imports_no_model_library(
    world: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a cat")
    (tmp_path / "a.png").write_bytes(b"never opened")
    light = f"{world['scorers']}:Light"
    out = ["--scorers", light, "--out", str(tmp_path / "out"), "--dry-run"]
    assert set(imported(["score", str(tmp_path), *out])) <= {"pandas", "scipy"}
    assert imported(["eval", "--base", str(world["base"]), "--prompts", str(world["prompts"]), *out]) == []
    assert not (tmp_path / "out").exists()

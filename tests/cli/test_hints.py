"""Messages say what was meant: names that people use, who stated what is wrong, what a class lacks."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Fbench = Callable[..., Result]
Refused = Callable[..., str]

CODE = """
import math, torch
from benchmark.scorers.base import ImageScorer
from trainers.divergences.base import Divergence
from trainers.objectives.base import Objective, ObjectiveOutput

class Bright(ImageScorer):
    weights_hash = ""
    def load(self, device="cpu"): ...
    def values(self, shown): return [0.0 for _ in shown.images]

class NoAxis(Bright):
    name = "no_axis"

class OddAxis(Bright):
    name, axis = "odd_axis", "beauty"

class NoLoad(ImageScorer):
    name, axis, weights_hash = "no_load", "texture", ""
    def values(self, shown): return [0.0 for _ in shown.images]

class Kl(Divergence):
    name, f_prime_at_0, reference = "kl", -math.inf, "mine"
    def f(self, u): return u * torch.log(u)
    def exact_h(self, s): return s
    def exact_slope(self, s): return torch.ones_like(s)

class NoSlope(Divergence):
    name, symmetric, f_prime_at_0, reference = "no_slope", False, -math.inf, "mine"
    def f(self, u): return u * torch.log(u)
    def exact_h(self, s): return s

class Mine(Objective):
    name = "mine"
    def __call__(self, errors): return ObjectiveOutput(errors.policy_winner.mean(), {})
"""


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("train --divergence kl", "did you mean chi2_kl or forward_kl or reverse_kl?"),
        ("train --divergence js", "did you mean jensen_shannon?"),
        ("train --divergence JSD", "did you mean jensen_shannon?"),
        ("train --objective dpo", "did you mean diffusion_dpo or f_dpo"),
        ("train --learning-rate 1e-4", "did you mean --lr?"),
        ("train --model sd15", "did you mean --base?"),
        ("train --max-train-steps 9", "did you mean --steps?"),
        ("train --ema 0.9", "it is a setting without a flag: --set ema=VALUE"),
        ("sweep --gradient-checkpointing", "--set gradient_checkpointing=VALUE"),
        ("eval --model sd15", "did you mean --base or --checkpoint?"),
        ("eval --metrics clip", "did you mean --scorers?"),
        ("eval --guidance-scale 3", "did you mean --guidance?"),
        ("eval --base sd35", "did you mean sd35_large or sd35_medium"),
        ("weights fetch hps", "did you mean hps-v2.0 or hps-v2.1?"),
        ("finetune", "did you mean fbench train?"),
        ("divergence check 'expr: (u-1)^2/(u+1)'", "write '(u-1)**2/(u+1)'"),
        ("divergence check 'expr: u*ln(u)'", "did you mean log?"),
        ("divergence check 'u*log(u)'", "if that is a formula, write 'expr: u*log(u)'"),
    ],
)
def test_names_that_people_use_are_understood(
    refused: Refused, world: dict[str, Path], words: str, hint: str
) -> None:
    typed = shlex.split(words)
    usual = ["--config", world["config"], "--dry-run"] if typed[0] == "train" else []
    assert hint in refused(*typed, *usual)


@pytest.mark.parametrize("option", [["--gradient-checkpointing"], ["--clip", "somewhere"]])
def test_settings_that_people_ask_for_have_flags(
    fbench: Fbench, world: dict[str, Path], tmp_path: Path, option: list[str]
) -> None:
    shown = fbench("train", "--config", world["config"], *option, "--out", tmp_path / "run", "--dry-run")
    assert shown.exit_code == 0, shown.stderr


def test_who_stated_what_is_wrong_is_blamed(refused: Refused, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.toml", tmp_path / "wrong.toml"
    right.write_text("beta = 1.0\nwarmup = 50\n")
    wrong.write_text("beta = -1.0\n")
    said = "Input should be greater than 0"
    assert refused("train", "--config", right, "--steps", "-3") == f"error: steps is -3: {said}"
    assert refused("train", "--config", wrong, "--steps", "3") == f"error: {wrong}: beta is -1.0: {said}"
    both = refused("train", "--config", wrong, "--steps", "-3")
    assert both.startswith(f"error: {wrong} and the command line: beta is -1.0")
    # What each of them states is possible, and only together it is not.
    line = refused("train", "--config", right, "--steps", 9)
    assert line == (
        f"error: {right} and the command line: warmup is 50, more than the 9 steps; "
        "set warmup to 9 or less (--set warmup=9), or train more steps"
    )
    assert refused("train", "--config", right, "--set", "lrr=3").startswith("error: unknown key 'lrr'")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("score {images} --scorers {mine}:Bright", "scorer {mine}:Bright does not state `name`"),
        (
            "score {images} --scorers {mine}:NoAxis",
            "does not state `axis`; allowed: alignment, preference, style, diversity",
        ),
        ("score {images} --scorers {mine}:OddAxis", "states the axis 'beauty'; allowed: alignment, "),
        ("score {images} --scorers {mine}:NoLoad", "scorer {mine}:NoLoad has no load; write it"),
        ("divergence check {mine}:Kl", "divergence {mine}:Kl does not state `symmetric`"),
        ("divergence check {mine}:NoSlope", "divergence {mine}:NoSlope has no exact_slope; write it"),
        ("train --objective {mine}:Mine --dry-run", "{mine}:Mine does not state `value_at_reference`"),
    ],
)
def test_a_fact_that_a_class_lacks_is_named(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a long path would be cut off in the message
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"never opened")
    (tmp_path / "images" / "a.txt").write_text("a cat")
    names: dict[str, Any] = {"mine": "mine.py", "images": "images"}
    out = [] if words.startswith("divergence") else ["--out", tmp_path / "out"]
    assert said.format(**names) in refused(*words.format(**names).split(), *out)


def test_the_hint_after_pairs_trains(fbench: Fbench, world: dict[str, Path], tmp_path: Path) -> None:
    made = fbench(
        "pairs", "--prompts", world["prompts"], "--images-per-prompt", 2, "--steps", 1, "--guidance", 1,
        "--scorers", f"{world['scorers']}:Light", "--device", "cpu", "--out", tmp_path / "my pairs",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    (hint,) = [line for line in made.stdout.splitlines() if line.startswith("next: fbench ")]
    shown = fbench(*shlex.split(hint)[2:], "--out", tmp_path / "run", "--dry-run")
    assert shown.exit_code == 0, shown.stderr
    assert "my pairs" in shown.stdout

"""The command line in process, and the small things that commands work on."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from benchmark.cli.app import app

Fbench = Callable[..., Result]

SCORERS = '''
import numpy as np
from benchmark.scorers.base import ImageScorer, PromptScorer, scorers

class Light(ImageScorer):
    """Mean grey."""
    name, axis = "light", "preference"
    weights_hash = ""
    def load(self, device="cpu"): ...
    def values(self, shown): return [float(image.mean()) / 255 for image in shown.images]

class Spread(PromptScorer):
    """How far the images of a prompt are from their mean."""
    name, axis = "spread", "diversity"
    weights_hash = ""
    def load(self, device="cpu"): ...
    def value(self, shown): return float(np.stack(shown.images).std(0).mean())
'''


@pytest.fixture(scope="session")
def fbench() -> Fbench:
    """Runs a command line as `fbench` would; a bug's exception is raised and not kept."""

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)

    return run


@pytest.fixture(scope="session")
def refused(fbench: Fbench, command_lines: Any) -> Callable[..., str]:
    """Runs a command line that must end with 2, and returns its one line on stderr.

    Commands that the line tells a user to give are ones that the real commands take.
    """

    def run(*words: object) -> str:
        result = fbench(*words)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        (line,) = [line for line in result.stderr.splitlines() if not line.startswith("computing on ")]
        assert line.startswith("error: ")
        for told in re.findall(r"`fbench ([^`]+)`", line):
            typed = shlex.split(told)
            if command_lines.find(typed)[1] not in ([], ["--help"]):
                command_lines.check(typed)
        return line

    return run


@pytest.fixture(scope="session")
def world(
    tmp_path_factory: pytest.TempPathFactory, tiny_pipeline_folder: Path, pairs: Path
) -> dict[str, Path]:
    """Files by name: base, pairs, prompts, scorers, and a config for runs of a second."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "prompts.txt").write_text("a red star\ntwo hearts\na ring\n")
    (folder / "mine.py").write_text(SCORERS)
    config = folder / "small.toml"
    config.write_text(
        f'base = "{tiny_pipeline_folder}"\ndata = "{pairs}"\nbeta = 1.0\nlog_ratio_scale = 100.0\n'
        "lora_rank = 4\nsteps = 4\nbatch_size = 4\nwarmup = 0\nsave_every = 2\nheld_out_pairs = 4\n"
        f'held_out_draws = 2\nprecision = "fp32"\ndevice = "cpu"\ncache = "{folder / "cache"}"\n'
    )
    return {
        "base": tiny_pipeline_folder, "pairs": pairs, "config": config,
        "prompts": folder / "prompts.txt", "scorers": folder / "mine.py",
    }  # fmt: skip

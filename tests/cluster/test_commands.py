"""What a user types: Ray that is not there, options that need it, and a head that dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmark.cli.app import app


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 2, result.output
    return " ".join(result.stderr.split())


@pytest.mark.parametrize("command", ["eval", "sweep"])
def test_without_ray_one_line_says_how_to_install_it(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    said = refused(command, "--ray", "--dry-run")
    assert said == "error: --ray needs Ray, which is not installed; pip install 'fbench[ray]'"


@pytest.mark.parametrize("words", ["--retries 1", "--scratch /x", "--gpus-per-worker 1", "--workers 2"])
def test_an_option_that_means_nothing_without_a_cluster_is_refused(words: str) -> None:
    assert f"{words.split(maxsplit=1)[0]} is given without --ray; add --ray" in refused(
        "eval", *words.split()
    )


@pytest.mark.parametrize("words", ["--workers 0", "--cpus-per-worker 0", "--retries -1"])
def test_impossible_numbers_are_refused(words: str) -> None:
    pytest.importorskip("ray")
    assert words.replace(" ", " is ") in refused("eval", "--ray", "local", "--dry-run", *words.split())


def test_no_command_imports_ray_unless_it_is_asked_for() -> None:
    check = (
        "import sys; from benchmark.cli.app import command; "
        "command().main(['eval', '--limit', '1', '--dry-run'], standalone_mode=False); "
        "assert 'ray' not in sys.modules and 'benchmark.cluster' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


def _heads_of(parent: int) -> list[int]:
    """The process ids of a command's own `gcs_server`."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                above = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                name = (place / "cmdline").read_bytes()
            except OSError:
                continue
            if above == parent and b"gcs_server" in name:
                found.append(int(place.name))
    return found


def test_when_the_head_dies_the_command_ends_and_the_same_one_goes_on(
    tmp_path: Path, tiny_pipeline_folder: Path
) -> None:
    pytest.importorskip("ray")
    (tmp_path / "prompts.txt").write_text("\n".join(f"a ring of {n} stones" for n in range(32)))
    (tmp_path / "mine.py").write_text(
        "from benchmark.scorers.base import ImageScorer\n"
        "class Light(ImageScorer):\n"
        "    name, axis, weights_hash = 'light', 'preference', ''\n"
        "    def load(self, device='cpu'): ...\n"
        "    def values(self, shown): return [float(image.mean()) for image in shown.images]\n"
    )
    words = [
        "eval", "--base", str(tiny_pipeline_folder), "--prompts", "prompts.txt", "--scorers", "mine.py:Light",
        "--images-per-prompt", "4", "--steps", "10", "--batch-size", "4", "--out", "out",
        "--precision", "fp32",
    ]  # fmt: skip
    command = [sys.executable, "-m", "fbench", *words, "--ray", "local", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 300
    while not (heads := _heads_of(process.pid)) or not list(tmp_path.glob("out/images/base/*.png")):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(heads[0], signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert "the head of the Ray cluster at" in said.splitlines()[-1]
    assert "the same command goes on" in said
    made = {file.name for file in tmp_path.glob("out/images/base/*.png")}
    assert 0 < len(made) < 128
    again = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["status"] == "success"
    assert len(list(tmp_path.glob("out/images/base/*.png"))) == 128

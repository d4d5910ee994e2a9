"""Help and lists answer at once: little processor time, and no torch."""

import resource
import subprocess
import sys

import pytest

_RUN = """
import sys, fbench
sys.argv = ["fbench", *sys.argv[1:]]
try:
    fbench.main()
except SystemExit as end:
    assert not end.code, end.code
heavy = [m for m in ("torch", "diffusers", "transformers", "matplotlib") if m in sys.modules]
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("words", ["--help", "list scorers"])
def test_help_and_scorers_take_no_torch_and_less_than_half_a_second(words: str) -> None:
    taken = []
    for _ in range(3):
        before = processor_seconds()
        done = subprocess.run(
            [sys.executable, "-c", _RUN, *words.split()], capture_output=True, text=True, check=False
        )
        taken.append(processor_seconds() - before)
        assert done.returncode == 0, done.stderr
        assert "true_reward" in done.stdout or "leaderboard" in done.stdout
    # Not the clock on the wall, which tells how busy the machine is. The first one compiles.
    assert sorted(taken)[1] < 0.5


def test_the_other_light_commands_import_no_torch() -> None:
    code = _RUN.replace(
        "    fbench.main()",
        "    from benchmark.cli.app import command\n"
        "    for words in ('list prompts', 'list models', 'list presets', 'train --help', 'leaderboard x',\n"
        "                  'gate --baseline x --candidate y'):\n"
        "        command().main(words.split(), standalone_mode=False)",
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

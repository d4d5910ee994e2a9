"""Nobody waits without a word: a first line within a second, before torch keeps every thread waiting."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.core.console import doing, now_doing

_SLOW = """
import time
from benchmark.cli import app, main
from benchmark.cli.app import Root
from benchmark.core.console import doing

def reading(seconds):
    with doing("reading pairs"):
        time.sleep(seconds)

Root.invoke = lambda self, context: {work}
main()
"""


def run(code: str, *words: object) -> tuple[list[tuple[float, str]], int]:
    """The lines on stderr of a program, each with the second it came at, and how the program ended."""
    typed = [sys.executable, "-c", code, *map(str, words)]
    start = time.monotonic()
    lines: list[tuple[float, str]] = []
    with subprocess.Popen(typed, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        lines.extend((time.monotonic() - start, line.rstrip("\n")) for line in process.stderr)
    return lines, process.returncode


def test_a_slow_command_says_that_it_is_at_work() -> None:
    lines, code = run(_SLOW.format(work="time.sleep(3)"), "leaderboard", "x")
    assert (code, [line for _, line in lines]) == (0, ["fbench leaderboard: at work"])
    assert lines[0][0] < 3, "while it works, and not when it is done"


def test_the_line_says_what_is_done_where_that_is_known() -> None:
    lines, _ = run(_SLOW.format(work="reading(3)"), "train")
    assert [line for _, line in lines] == ["fbench train: reading pairs"]


def test_a_quick_command_says_nothing() -> None:
    lines, code = run(_SLOW.format(work="0"), "list")
    assert (code, lines) == (0, [])


def test_torch_is_announced_before_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import time\ntime.sleep(1)\nraise SystemExit('never ends well')\n")
    typed = [sys.executable, "-m", "fbench", "list", "divergences"]
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        typed, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    heard = done.stderr.splitlines()
    assert heard.index("fbench list: loading torch") < len(heard) - 1
    assert "SystemExit" in done.stderr or "never ends well" in done.stderr


def test_parts_of_the_work_lie_one_inside_the_other() -> None:
    with doing("a"):
        with pytest.raises(ValueError, match="b fails"), doing("b"):
            assert now_doing() == "b"
            raise ValueError("b fails")
        assert now_doing() == "a"
    assert now_doing() == ""

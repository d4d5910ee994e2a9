"""Nobody waits without a word: a first line within a second, before torch keeps every thread waiting."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmark.cli import silence, streams
from benchmark.core.console import doing, now_doing, workers_speak

_SLOW = """
import sys, time
from benchmark.cli import main
from benchmark.cli.app import Root

def invoke(self, context):
    time.sleep(4)
    print("slept", file=sys.stderr)

Root.invoke = invoke
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
    lines, code = run(_SLOW, "leaderboard", "x")
    assert code == 0
    said, line = lines[0]
    assert line == "fbench leaderboard: at work"
    (ended,) = [second for second, other in lines if other == "slept"]
    assert ended - said > 1, "while it works, and not when it is done"


class Clock:
    """Time that passes only while somebody waits, and an event that is set after some of it."""

    def __init__(self, ends_at: float) -> None:
        self.now, self._ends_at = 0.0, ends_at

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.now >= self._ends_at


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[float, str]]]:
    """What the watch says, and when, of a command that lasts so long and writes at some seconds."""

    def watched(lasts: float, writes: Sequence[float] = ()) -> list[tuple[float, str]]:
        clock, said = Clock(lasts), list[tuple[float, str]]()

        def last_written() -> float | None:
            written = [second for second in [*writes, *(at for at, _ in said)] if second <= clock.now]
            return max(written, default=None)

        monkeypatch.setattr(silence, "time", clock)
        monkeypatch.setattr(streams, "last_written", last_written)
        monkeypatch.setattr(silence, "_say", lambda text: said.append((clock.now, text)))
        silence._watch(clock, 0.0)  # type: ignore[arg-type]
        return said

    return watched


def test_the_first_line_comes_within_a_second_and_later_ones_after_silence(
    heard: Callable[..., list[tuple[float, str]]],
) -> None:
    assert heard(0.5) == [], "a quick command"
    assert heard(30, writes=range(31)) == [], "one that writes all the time"
    (first, text), *others = heard(35)
    assert (first < 1, text) == (True, "at work")
    assert [other for _, other in others] == [
        "at work, 11 s so far",
        "at work, 21 s so far",
        "at work, 31 s so far",
    ]
    # One that falls silent later on is asked again.
    assert [at for at, _ in heard(20, writes=(0.1, 5))] == [pytest.approx(15, abs=1.5)]


def test_workers_that_show_their_progress_are_not_talked_over(
    heard: Callable[..., list[tuple[float, str]]],
) -> None:
    with workers_speak():
        assert [text for _, text in heard(35)] == ["at work"]
    assert len(heard(35)) > 1


def test_the_line_says_what_is_done_where_that_is_known(
    heard: Callable[..., list[tuple[float, str]]],
) -> None:
    with doing("reading pairs"):
        assert [text for _, text in heard(5)] == ["reading pairs"]


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

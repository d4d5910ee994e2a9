"""Entries of the cache are whole or not there, made once, whoever asks at the same time or dies at it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import DiskFullError, RefusedBySystemError
from benchmark.generate import Progress
from trainers.arrays import Array, Spec, cached_arrays

SPECS = {"squares": Spec((4,), "int64"), "halves": Spec((4, 2))}

WORKER = """
import sys, time
from pathlib import Path
import numpy as np
from trainers.arrays import Spec, cached_arrays

cache, name, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])

def fill(out, tell):
    (cache / f"started-{name}").touch()
    out["squares"][:2] = [0, 1]
    time.sleep(seconds)
    out["squares"][2:] = [4, 9]
    out["halves"][:] = 0.5

specs = {"squares": Spec((4,), "int64"), "halves": Spec((4, 2))}
found = cached_arrays(cache, "numbers", "key", specs, fill, "numbers")
print(found["squares"].tolist(), float(found["halves"].sum()))
"""


def _fill(out: Mapping[str, Array], tell: Progress) -> None:
    tell(0, 4)
    out["squares"][:] = np.arange(4) ** 2
    out["halves"][:] = 0.5
    tell(4, 4)


def _never(out: Mapping[str, Array], tell: Progress) -> None:
    raise AssertionError("it is there already")


def _start(cache: Path, name: str, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(cache), name, str(seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _wait_for(path: Path, worker: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert worker.poll() is None, f"no {path.name}"
        time.sleep(0.01)


def test_an_entry_is_made_once_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = cached_arrays(tmp_path, "numbers", "key", SPECS, _fill, "numbers")
    assert re.search(r"numbers: 4 numbers, 0\.0 MB, \d+ s", capsys.readouterr().err)
    found = cached_arrays(tmp_path, "numbers", "key", SPECS, _never, "numbers")
    assert "found in cache" in capsys.readouterr().err
    for name in SPECS:
        np.testing.assert_array_equal(made[name], found[name])
        assert isinstance(found[name], np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            found[name][0] = 1
    (entry,) = (f for f in tmp_path.iterdir() if f.is_dir())
    assert json.loads((entry / "entry.json").read_text())["bytes"] == 4 * 8 + 8 * 2


def test_another_key_kind_or_shape_is_another_entry(tmp_path: Path) -> None:
    cached_arrays(tmp_path, "numbers", "key", SPECS, _fill, "numbers")
    cached_arrays(tmp_path, "numbers", ["key", 1], SPECS, _fill, "numbers")
    cached_arrays(tmp_path, "others", "key", SPECS, _fill, "numbers")
    more = {**SPECS, "halves": Spec((4, 3))}
    cached_arrays(tmp_path, "numbers", "key", more, _fill, "numbers")
    assert sum(f.is_dir() for f in tmp_path.iterdir()) == 4


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(out: Mapping[str, Array], tell: Progress) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cached_arrays(tmp_path, "numbers", "key", SPECS, fail, "numbers")
    assert not [f for f in tmp_path.iterdir() if f.is_dir()]
    cached_arrays(tmp_path, "numbers", "key", SPECS, _fill, "numbers")


def test_two_processes_that_start_together_make_it_once(tmp_path: Path) -> None:
    workers = [_start(tmp_path, name, 3.0) for name in "ab"]
    ends = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ends
    assert {out for out, _ in ends} == {"[0, 1, 4, 9] 4.0\n"}
    assert len(list(tmp_path.glob("started-*"))) == 1
    assert sum(f.is_dir() for f in tmp_path.iterdir()) == 1


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    killed = _start(tmp_path, "killed", 300.0)
    _wait_for(tmp_path / "started-killed", killed)
    waiting = _start(tmp_path, "waiting", 0.0)
    assert waiting.stderr is not None
    assert "another process is making them" in waiting.stderr.readline()
    assert len(list(tmp_path.glob(".numbers-*.part"))) == 1
    os.kill(killed.pid, signal.SIGKILL)
    out, _ = waiting.communicate()
    killed.communicate()
    assert out == "[0, 1, 4, 9] 4.0\n"
    assert not list(tmp_path.glob(".numbers-*.part")), "what the killed one left is still there"


def test_whatever_is_damaged_in_an_entry_it_is_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = {k: np.array(v) for k, v in cached_arrays(tmp_path, "n", "key", SPECS, _fill, "numbers").items()}
    (entry,) = (f for f in tmp_path.iterdir() if f.is_dir())
    for name in sorted(file.name for file in entry.iterdir()):
        content = (entry / name).read_bytes()
        flips = [
            content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :] for at in (5, len(content) // 2)
        ]
        for damage in (content[: len(content) // 2], content[:-1], b"", *flips, None):
            path = entry / name
            path.unlink() if damage is None else path.write_bytes(damage)
            capsys.readouterr()
            found = cached_arrays(tmp_path, "n", "key", SPECS, _fill, "numbers")
            # The entry's own note is about the seconds it took: a flip in it may go by.
            assert "made again" in capsys.readouterr().err or name == "entry.json"
            for key, array in whole.items():
                np.testing.assert_array_equal(found[key], array)
    assert not list(tmp_path.rglob("*.part*"))


def test_half_an_entry_beside_its_place_is_never_read(tmp_path: Path) -> None:
    cached_arrays(tmp_path, "n", "key", SPECS, _fill, "numbers")
    (entry,) = (f for f in tmp_path.iterdir() if f.is_dir())
    (entry / ".squares.1.part.npy").write_bytes(b"")
    found = cached_arrays(tmp_path, "n", "key", SPECS, _never, "numbers")
    np.testing.assert_array_equal(found["squares"], np.arange(4) ** 2)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    huge = {"squares": Spec((1 << 50,), "int64")}
    with pytest.raises(DiskFullError, match=r"needs .* GB.*FBENCH_CACHE.*--no-cache-latents"):
        cached_arrays(tmp_path, "numbers", "huge", huge, _never, "numbers")


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedBySystemError, match=r"file/cache: Not a directory; .*FBENCH_CACHE"):
        cached_arrays(tmp_path / "file" / "cache", "numbers", "a", {"squares": Spec((4,))}, _never, "numbers")

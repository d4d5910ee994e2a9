"""What the operating system refuses is one line, whichever library was writing; a bug keeps its traceback."""

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import torch
from PIL import Image

from benchmark.core import store
from benchmark.core.errors import DiskFullError, UserError
from benchmark.core.system import refusal_of, writing

NOISE = np.random.default_rng(0).integers(0, 255, (512, 512, 3), dtype=np.uint8)


def _torch_to_a_file(path: Path) -> None:
    with path.open("wb") as file:
        torch.save({"x": torch.from_numpy(NOISE)}, file)


WRITERS: dict[str, Callable[[Path], object]] = {
    "bytes": lambda path: path.write_bytes(NOISE.tobytes()),
    "text": lambda path: path.write_text("x" * NOISE.size),
    "numpy": lambda path: np.save(path, NOISE),
    "numpy file": NOISE.tofile,
    "memory map": lambda path: np.lib.format.open_memmap(path, "w+", np.uint8, NOISE.shape),
    "torch": lambda path: torch.save({"x": torch.from_numpy(NOISE)}, path),
    "torch to a file": _torch_to_a_file,
    "safetensors": lambda path: safetensors.numpy.save_file({"x": NOISE}, path),
    "pyarrow": lambda path: pq.write_table(pa.table({"x": [NOISE.tobytes()]}), path),
    "Pillow": lambda path: Image.fromarray(NOISE).save(path, "PNG"),
}


@contextmanager
def small_files() -> Iterator[None]:
    """Within, no file may be larger than 4,096 bytes, as under `ulimit -f`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN, "Python itself sees to this"
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_too_large_is_one_line(tmp_path: Path, writer: str) -> None:
    with (
        pytest.raises(UserError) as caught,
        store.atomic_file(tmp_path / "x.npy") as temporary,
        small_files(),
    ):
        WRITERS[writer](temporary)
    assert "\n" not in str(caught.value)
    assert "cannot write" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_that_is_gone_is_one_line(tmp_path: Path, writer: str) -> None:
    with pytest.raises(UserError) as caught, writing(tmp_path / "gone" / "x.bin"):
        WRITERS[writer](tmp_path / "gone" / "x.bin")
    assert "cannot write" in str(caught.value)


CODES = [
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE,
    errno.ENAMETOOLONG,
]  # fmt: skip


@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.__getitem__)
def test_what_never_is_a_bug_is_told_in_the_systems_words(code: int) -> None:
    words = os.strerror(code)
    errors: list[Exception] = [
        OSError(code, words, "runs/a/x.pt"),
        RuntimeError(f"[enforce fail at file.cc:12] {words}"),
        safetensors.SafetensorError(f"Error while serializing: I/O error: {words} (os error {code})"),
        pa.ArrowException(f"Failed to write: {words}"),
    ]
    for error in errors:
        refusal = refusal_of(error)
        assert refusal is not None
        assert words in str(refusal)
        assert refusal.do
    wrapped = RuntimeError("the writer failed")
    wrapped.__cause__ = errors[0]
    assert "runs/a/x.pt" in str(refusal_of(wrapped))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_told_as_such(code: int) -> None:
    assert isinstance(refusal_of(OSError(code, os.strerror(code))), DiskFullError)
    assert isinstance(refusal_of(RuntimeError(os.strerror(code))), DiskFullError)


def test_no_memory_is_one_line() -> None:
    errors: list[Exception] = [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: tried"),
        pa.ArrowMemoryError("malloc of size 1 failed"),
    ]
    for allocate in (lambda: torch.empty(1 << 55), lambda: np.empty(1 << 55)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            allocate()
        errors.append(caught.value)
    for error in errors:
        assert "not enough memory" in str(refusal_of(error))


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "missing.json"),
        OSError("no number"),
        ValueError("Permission denied"),
        KeyError("x"),
        RuntimeError("shapes do not match"),
        UserError("one line already"),
    ],
    ids=repr,
)
def test_a_bug_is_none_of_it(error: Exception) -> None:
    assert refusal_of(error) is None
    with pytest.raises(type(error)) as caught, writing(Path("out/x.pt")):
        raise error
    assert caught.value is error

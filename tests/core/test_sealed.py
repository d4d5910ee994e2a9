"""A sealed file is what was written, or it is not read."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.core.errors import UnreadableFileError
from benchmark.core.sealed import is_whole, read_sealed, sealed_file


def _write(path: Path, data: bytes) -> bytes:
    with sealed_file(path) as temporary:
        temporary.write_bytes(data)
    return path.read_bytes()


@pytest.mark.parametrize("data", [b"", b"a", b"\nfbench sha256 ", bytes(range(256)) * 9])
def test_what_was_sealed_is_read(tmp_path: Path, data: bytes) -> None:
    _write(tmp_path / "x.bin", data)
    assert read_sealed(tmp_path / "x.bin") == data


def test_no_other_content_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    whole = _write(path, bytes(range(100)))
    others = [whole[:n] for n in range(len(whole))]
    others += [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    for other in [*others, whole + b"\n", whole * 2]:
        path.write_bytes(other)
        assert not is_whole(path)
        with pytest.raises(UnreadableFileError, match="damaged"):
            read_sealed(path, "numbers")


def test_a_file_that_is_not_there_is_not_whole(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "none")
    assert not is_whole(tmp_path)


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), sealed_file(tmp_path / "x.bin") as temporary:
        temporary.write_bytes(b"half")
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_numpy_and_torch_open_it_in_place(tmp_path: Path) -> None:
    numbers = np.arange(12.0).reshape(3, 4)
    with sealed_file(tmp_path / "x.npy") as temporary:
        np.save(temporary, numbers)
    with sealed_file(tmp_path / "x.pt") as temporary:
        torch.save({"x": torch.from_numpy(numbers), "n": 3}, temporary)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy", mmap_mode="r"), numbers)
    state = torch.load(tmp_path / "x.pt", weights_only=True)
    torch.testing.assert_close(state["x"], torch.from_numpy(numbers))
    assert state["n"] == 3

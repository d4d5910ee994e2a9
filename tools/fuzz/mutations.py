"""Seeded damage to the bytes of a file, and to the tensors of a safetensors file."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

import torch
from safetensors.torch import load, save
from torch import Tensor

Damage: TypeAlias = Callable[[bytes, Random], bytes]


@dataclass(frozen=True)
class Mutation:
    """A damaged file.

    Attributes:
        name: What was done to it.
        data: Its bytes now.
    """

    name: str
    data: bytes


def damaged_bytes(data: bytes, rng: Random) -> Mutation:
    """One of the mutations that any file can suffer."""
    return _one_of(_ANY, data, rng)


def damaged_lines(data: bytes, rng: Random) -> Mutation:
    """A mutation of a text file: of its lines, or of any bytes."""
    return _one_of(_LINES if rng.random() < 0.7 else _ANY, data, rng)


def damaged_tensors(data: bytes, rng: Random) -> Mutation:
    """A mutation of a safetensors file: of its tensors and words, or of any bytes."""
    if rng.random() < 0.25:
        return damaged_bytes(data, rng)
    tensors = load(data)
    metadata = _metadata(data)
    name, change = rng.choice(list(_TENSORS.items()))
    key = rng.choice(sorted(tensors))
    change(tensors, key, rng)
    return Mutation(f"{name} {key}", save(tensors, metadata or None))


def _one_of(known: Mapping[str, Damage], data: bytes, rng: Random) -> Mutation:
    name = rng.choice(list(known))
    return Mutation(name, known[name](data, rng))


# --- any bytes --------------------------------------------------------------------------------


def _place(data: bytes, rng: Random) -> int:
    """Somewhere; as often near the beginning or the end, where formats keep their structure."""
    where = rng.random()
    span = max(1, min(len(data), 200))
    if where < 0.3:
        return rng.randrange(span)
    if where < 0.6:
        return max(0, len(data) - 1 - rng.randrange(span))
    return rng.randrange(max(1, len(data)))


def _flip(data: bytes, rng: Random) -> bytes:
    i = _place(data, rng)
    return data[:i] + bytes([data[i] ^ (1 << rng.randrange(8))]) + data[i + 1 :] if data else data


def _scramble(data: bytes, rng: Random) -> bytes:
    i, n = _place(data, rng), rng.randrange(1, 40)
    return data[:i] + rng.randbytes(n) + data[i + n :]


def _insert(data: bytes, rng: Random) -> bytes:
    i = _place(data, rng)
    return (
        data[:i] + rng.choice([b"\0", b"\n", b"\xff\xfe", b'"', b"{}", b"NaN", rng.randbytes(5)]) + data[i:]
    )


def _remove(data: bytes, rng: Random) -> bytes:
    i = _place(data, rng)
    return data[:i] + data[i + rng.randrange(1, 40) :]


_OTHERS: Final[tuple[bytes, ...]] = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    b"<!DOCTYPE html><html>Not Found</html>",
    b"\x89PNG\r\n\x1a\n",
    b"PK\x03\x04",
    b"null",
    b"[]",
)
_ANY: Final[Mapping[str, Damage]] = {
    "flip a bit": _flip,
    "scramble bytes": _scramble,
    "insert bytes": _insert,
    "remove bytes": _remove,
    "cut the end off": lambda data, rng: data[: rng.randrange(len(data) + 1)],
    "empty": lambda _data, _rng: b"",
    "twice": lambda data, _rng: data * 2,
    "zeros": lambda data, _rng: bytes(len(data)),
    "another file": lambda _data, rng: rng.choice(_OTHERS),
}


# --- lines ------------------------------------------------------------------------------------


def _drop_line(data: bytes, rng: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def _repeat_line(data: bytes, rng: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    i = rng.randrange(len(lines))
    return b"".join([*lines[: i + 1], *lines[i:]])


def _swap_lines(data: bytes, rng: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


def _other_word(data: bytes, rng: Random) -> bytes:
    """One value of a line becomes another: a number, a text, nothing."""
    places = [i for i, byte in enumerate(data) if byte in b'0123456789"']
    if not places:
        return data
    i = rng.choice(places)
    return (
        data[:i] + rng.choice([b"null", b"-1", b"1e999", b"0.5", b'"', b"[1]", b"true", b"7"]) + data[i + 1 :]
    )


_LINES: Final[Mapping[str, Damage]] = {
    "drop a line": _drop_line,
    "repeat a line": _repeat_line,
    "swap two lines": _swap_lines,
    "write another word": _other_word,
    "end lines as Windows does": lambda data, _rng: data.replace(b"\n", b"\r\n"),
    "mark the byte order": lambda data, _rng: b"\xef\xbb\xbf" + data,
    "write another encoding": lambda data, _rng: data.decode("utf-8", "replace").encode("utf-16"),
}


# --- tensors ----------------------------------------------------------------------------------


def _drop(tensors: dict[str, Tensor], key: str, _rng: Random) -> None:
    del tensors[key]


def _rename(tensors: dict[str, Tensor], key: str, rng: Random) -> None:
    i = rng.randrange(len(key))
    tensors[key[:i] + rng.choice("abc_.0") + key[i + 1 :]] = tensors.pop(key)


def _reshape(tensors: dict[str, Tensor], key: str, rng: Random) -> None:
    value = tensors[key]
    tensors[key] = rng.choice(
        [value.flatten(), value[None], value.transpose(0, -1).contiguous() if value.ndim else value]
    )


def _retype(tensors: dict[str, Tensor], key: str, rng: Random) -> None:
    tensors[key] = tensors[key].to(rng.choice([torch.float16, torch.bfloat16, torch.float64, torch.int8]))


def _other_scale(tensors: dict[str, Tensor], key: str, rng: Random) -> None:
    tensors[key] = tensors[key] * rng.choice([0.0, 0.5, 3.0, -1.0])


def _no_number(tensors: dict[str, Tensor], key: str, rng: Random) -> None:
    tensors[key] = torch.full_like(tensors[key], rng.choice([float("nan"), float("inf")]))


def _copy_under_another_name(tensors: dict[str, Tensor], key: str, _rng: Random) -> None:
    tensors[key.replace("down", "up", 1) + ".copy"] = tensors[key].clone()


_TENSORS: Final[Mapping[str, Callable[[dict[str, Tensor], str, Random], None]]] = {
    "drop": _drop,
    "rename": _rename,
    "reshape": _reshape,
    "retype": _retype,
    "scale": _other_scale,
    "no number in": _no_number,
    "copy": _copy_under_another_name,
}


def _metadata(data: bytes) -> dict[str, str]:
    size = int.from_bytes(data[:8], "little")
    found: dict[str, str] = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    return found

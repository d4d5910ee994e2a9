"""The device is one that is there, and threads are those that are free."""

import os

import pytest

from benchmark.core import devices
from benchmark.core.errors import UserError


def test_the_best_device_is_chosen_and_an_absent_one_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available_devices", lambda: ["cpu", "cuda:1", "cuda:0"])
    assert devices.choose_device() == "cuda:0"
    assert [devices.choose_device(name) for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda:1"]
    with pytest.raises(UserError, match="no device 'mps' here; allowed: auto, cpu, cuda:1, cuda:0"):
        devices.choose_device("mps")


@pytest.mark.parametrize(
    ("load", "allowed", "expected"), [(0.1, 2, 2), (1.2, 2, 2), (7.4, 2, 1), (30.0, 2, 1), (0.0, 8, 8)]
)
def test_threads_are_taken_from_the_cores_that_are_idle(
    monkeypatch: pytest.MonkeyPatch, load: float, allowed: int, expected: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    monkeypatch.setattr(devices, "allowed_cores", lambda: allowed)
    assert devices.free_threads() == expected


def test_the_users_word_wins_up_to_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "allowed_cores", lambda: 4)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert devices.free_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert devices.free_threads() == 4

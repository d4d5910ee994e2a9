"""Trackers are looked at before anything is encoded: package, login, offline, and what a run is called by."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import ConfigError
from trainers import tracking

MACHINE = f"machine api.wandb.ai login user password {'0' * 40}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of somebody who has wandb and has never logged in."""
    find = importlib.util.find_spec

    def found(name: str, *package: Any) -> Any:
        return object() if name == "wandb" else find(name, *package)

    monkeypatch.setattr(importlib.util, "find_spec", found)
    names = ("API_KEY", "MODE", "BASE_URL", "CONFIG_DIR", "IDENTITY_TOKEN_FILE")
    for name in (*(f"WANDB_{name}" for name in names), "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_login_it_is_refused_with_the_ways_out(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"nobody is logged in.*`wandb login`.*WANDB_MODE=offline"):
        tracking.refuse_tracker("wandb")
    tracking.refuse_tracker("wandb", offline=True)
    tracking.refuse_tracker(None)


@pytest.mark.parametrize("mode", ["offline", "disabled", "dryrun"])
def test_modes_without_an_account_need_no_login(
    home: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    tracking.refuse_tracker("wandb")


@pytest.mark.parametrize("place", [".config/wandb/settings", "wandb/settings"])
def test_what_wandb_was_told_by_its_own_commands_counts(home: Path, place: str) -> None:
    (home / place).parent.mkdir(parents=True)
    (home / place).write_text("[default]\nmode = offline\n")
    tracking.refuse_tracker("wandb")
    (home / place).write_text("[default]\nmode = online\n")
    with pytest.raises(ConfigError):
        tracking.refuse_tracker("wandb")


@pytest.mark.parametrize("file", [".netrc", "_netrc", "elsewhere"])
def test_the_key_of_the_server_that_is_asked_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    (home / file).write_text(MACHINE)
    (home / file).chmod(0o600)
    if file == "elsewhere":
        monkeypatch.setenv("NETRC", str(home / file))
    tracking.refuse_tracker("wandb")
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.of-our-own.example")
    with pytest.raises(ConfigError):
        tracking.refuse_tracker("wandb")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    tracking.refuse_tracker("wandb")


@pytest.mark.parametrize("content", [b"machine", b"\xff\xfe", b"", b"[default\nmode offline"])
def test_a_broken_file_is_no_login_and_no_traceback(home: Path, content: bytes) -> None:
    (home / ".netrc").write_bytes(content)
    (home / "wandb").mkdir()
    (home / "wandb" / "settings").write_bytes(content)
    with pytest.raises(ConfigError):
        tracking.refuse_tracker("wandb")


NAMES = ("run", "lr=1e-4,beta=1", "a:b;c#d?e'f", "x" * 250, "прогон", "...", "a b", "-", "a,b", "a-b", "a#b")


def test_a_run_has_an_id_that_a_tracker_takes_and_nobody_else_has(tmp_path: Path) -> None:
    folders = [tmp_path / parent / name for parent in ("one", "two") for name in NAMES]
    ids = [tracking.run_id(folder) for folder in folders]
    assert len(set(ids)) == len(ids)
    assert [tracking.run_id(folder) for folder in folders] == ids
    for id_ in ids:
        assert len(id_) <= 128
        assert id_.isascii()
        assert not set(id_) & set(":;,#?/' ")
        assert id_[0].isalnum()
    assert tracking.run_id(tmp_path / "one" / "run").startswith("run-")
    assert tracking.run_id(tmp_path / "one" / ".." / "one" / "run") == ids[0]

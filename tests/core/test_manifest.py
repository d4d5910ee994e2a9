"""The manifest is there before the work, and says how it ended."""

import json
import signal
import sys
from pathlib import Path

import pytest

from benchmark.core import environment
from benchmark.core import manifest as manifest_module
from benchmark.core.config import Config
from benchmark.core.errors import MissingFileError, MissingRowsError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_bytes
from benchmark.core.manifest import Manifest, read_manifest, track


class Settings(Config):
    steps: int = 10
    out: Path = Path("runs")


def status(folder: Path) -> tuple[str, str]:
    manifest = read_manifest(folder)
    return manifest.status, manifest.error


def test_it_is_written_before_anything_else(tmp_path: Path) -> None:
    with track(tmp_path, "train", Settings(steps=3), device="cpu", command="fbench train"):
        during = read_manifest(tmp_path)
    assert (during.status, during.ended_at) == ("started", "")
    assert during.config == {"steps": 3, "out": "runs"}
    after = read_manifest(tmp_path)
    assert (after.status, after.error, after.attempts) == ("success", "", 1)
    assert after.ended_at >= after.started_at


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (UserError("no weights", do="fetch them"), ("error", "UserError: no weights; fetch them")),
        (ValueError("two\nlines"), ("error", "ValueError: two lines")),
        (KeyboardInterrupt(), ("cancelled", "KeyboardInterrupt")),
        (MissingRowsError(2, 10), ("success", "finished, but 2 of 10 rows have no value")),
    ],
)
def test_it_says_how_the_run_ended(tmp_path: Path, raised: BaseException, expected: tuple[str, str]) -> None:
    with pytest.raises(type(raised)), track(tmp_path, "eval", {}):
        raise raised
    assert status(tmp_path) == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_keep_it_from_saying_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write = Manifest.write

    def signalled(manifest: Manifest, folder: Path) -> None:
        if manifest.status == "cancelled":
            signal.raise_signal(number)
        write(manifest, folder)

    monkeypatch.setattr(Manifest, "write", signalled)
    before = signal.signal(number, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), track(tmp_path, "eval", {}):
        raise KeyboardInterrupt
    signal.signal(number, before)
    assert status(tmp_path) == ("cancelled", "KeyboardInterrupt")


def test_the_record_of_another_program_is_kept(tmp_path: Path) -> None:
    with track(tmp_path, "train", {}):
        pass
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(UserError, match="holds a run of `train`"), track(tmp_path, "eval", {}):
        pass
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_inputs_and_outputs_are_hashed_once_a_path(tmp_path: Path) -> None:
    data = tmp_path / "pairs.parquet"
    data.write_bytes(b"one")
    with track(tmp_path / "run", "train", {}) as run:
        run.add_input(data)
        run.add_output("metrics.jsonl", sha256="")
        data.write_bytes(b"two")
        run.add_input(data)
    manifest = read_manifest(tmp_path / "run")
    assert [(item.path, item.sha256) for item in manifest.inputs] == [(data.as_posix(), sha256_bytes(b"two"))]
    assert [item.path for item in manifest.outputs] == ["metrics.jsonl"]


def test_a_resumed_run_keeps_its_beginning(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), track(tmp_path, "train", {"steps": 3}) as first:
        first.add_output("checkpoints/step-000001", sha256="x")
        raise KeyboardInterrupt
    with track(tmp_path, "train", {"steps": 3}) as second:
        assert second.attempts == 2
        assert second.started_at == first.started_at
    assert [item.path for item in read_manifest(tmp_path).outputs] == ["checkpoints/step-000001"]


def test_other_settings_are_named() -> None:
    manifest = Manifest(kind="train", config={"steps": 3, "beta": 1.0, "out": "runs"})
    assert manifest.differences({"steps": 3, "beta": 1.0, "out": Path("runs")}) == []
    assert manifest.differences({"steps": 4, "beta": 1.0, "lr": 1e-4, "out": "runs"}) == ["lr", "steps"]


def test_the_command_is_recorded_as_a_user_would_type_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/some/where/bin/fbench", "train", "--divergence", "alpha(a=0.5)"])
    with track(tmp_path, "train", {}) as run:
        assert run.command == "fbench train --divergence 'alpha(a=0.5)'"


def test_versions_are_recorded_without_importing(tmp_path: Path) -> None:
    versions = environment.package_versions()
    assert {"python", "numpy", "torch", "pyarrow"} <= versions.keys()
    with track(tmp_path, "train", {}):
        pass
    assert read_manifest(tmp_path).packages == versions


def test_an_older_manifest_is_migrated_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_module, "SCHEMA_VERSION", 3)
    steps = {2: lambda r: {**r, "path": [2]}, 3: lambda r: {**r, "path": [*r["path"], 3]}}
    monkeypatch.setattr(manifest_module, "_STEPS", steps)
    assert manifest_module.migrate({"schema_version": 1}, tmp_path) == {"schema_version": 3, "path": [2, 3]}


def test_every_older_version_has_its_step() -> None:
    assert sorted(manifest_module._STEPS) == list(range(2, manifest_module.SCHEMA_VERSION + 1))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "as manifest"),
        ("[]", "it has no schema_version"),
        (json.dumps({"schema_version": 99}), "upgrade fbench"),
        (json.dumps({"schema_version": 1, "kind": "train", "status": "done"}), "status: Input should be"),
        (json.dumps({"schema_version": 1, "kind": "train", "stats": 1}), "stats: Extra inputs"),
    ],
)
def test_what_is_no_manifest_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UnreadableFileError, match=said):
        read_manifest(tmp_path)


def test_no_manifest_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no manifest at"):
        read_manifest(tmp_path)

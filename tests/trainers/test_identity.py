"""Equal content is the same run, however it is spelled; other content under the same names is another one."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmark.core.errors import UserError
from benchmark.core.manifest import Manifest, read_manifest
from benchmark.core.records import Checkpoint
from benchmark.leaderboard.same_method import methods_of
from trainers.checkpoints import RESUME, read_checkpoints, step_folder
from trainers.config import TrainConfig, deciding
from trainers.divergences import divergences
from trainers.run import Run
from trainers.train import ask, train

MINE = """
from trainers.divergences import Jeffreys

class Mine(Jeffreys):
    name = "mine"
"""
GOAL = """
from trainers.objectives import FDPO

class Goal(FDPO):
    name = "goal"
"""
Change = Callable[[Path], object]
BOTH_HASHES = re.compile(r"holds a run of another .* is ([0-9a-f]{64}) now, and was ([0-9a-f]{64});")


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_pipeline_folder: Path,
    tiny_rows: Callable[[Path], Path],
    tiny_clip: Path,
    tiny_cache: Path,
) -> Path:
    """A folder with all that a run may read, and two finished runs of it; tests leave it as it is."""
    place = tmp_path_factory.mktemp("place")
    shutil.copytree(tiny_pipeline_folder, place / "base")
    shutil.copytree(tiny_clip, place / "clip")
    tiny_rows(place / "data")
    (place / "mine.py").write_text(MINE)
    (place / "goal.py").write_text(GOAL)
    for which in RUNS:
        train(_config(place, which, tiny_cache))
    return place


RUNS: dict[str, dict[str, Any]] = {
    "rpo": {"objective": "rpo", "clip": "clip"},
    "own": {"objective": "goal.py:Goal", "divergence": "mixture(first='mine.py:Mine')"},
}


def _config(place: Path, which: str, kept: Path, **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "base": str(place / "base"), "data": str(place / "data"), "beta": 1.0, "log_ratio_scale": 100.0,
        "lora_rank": 2, "steps": 1, "batch_size": 2, "held_out_draws": 1, "precision": "fp32",
        "device": "cpu", "cache": kept, "max_bad_share": 0.5, "out": place / which, **RUNS[which],
    }  # fmt: skip
    for name in ("objective", "divergence"):
        values[name] = re.sub(r"\w+\.py", lambda file: f"{place}/{file[0]}", values.get(name) or "") or None
    if "clip" in values:
        values["clip"] = place / values["clip"]
    return TrainConfig.parse({**values, **changes})


@pytest.fixture
def moved(place: Path, tmp_path: Path) -> Path:
    """The same folder elsewhere."""
    return Path(shutil.copytree(place, tmp_path / "moved"))


def _rewrite(file: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(change(pq.read_table(file).to_pylist())), file)


def _turn_labels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "label_0": row["label_1"], "label_1": row["label_0"]} for row in rows]


def _move_weights(file: Path) -> None:
    state = load_file(file)
    name = min(state)
    save_file({**state, name: state[name] + torch.ones_like(state[name])}, file)


# --- the same run -----------------------------------------------------------------------------


def _cut_and_compress(place: Path) -> None:
    """The same pairs, in other files."""
    table = pq.read_table(place / "data" / "train.parquet")
    (place / "data" / "train.parquet").unlink()
    pq.write_table(table.slice(0, 5), place / "data" / "train-0.parquet", compression="gzip")
    pq.write_table(table.slice(5), place / "data" / "train-1.parquet", compression="none")


def _never_loaded(place: Path) -> None:
    (place / "base" / "safety_checker").mkdir()
    (place / "base" / "safety_checker" / "config.json").write_text("{}")
    (place / "clip" / "README.md").write_text("about")


SAME: dict[str, tuple[Change, dict[str, Any]]] = {
    "moved": (lambda _: None, {}),
    "base renamed": (lambda p: (p / "base").rename(p / "other"), {"base": "other"}),
    "data renamed": (lambda p: (p / "data").rename(p / "prefs"), {"data": "prefs"}),
    "clip renamed": (lambda p: (p / "clip").rename(p / "eyes"), {"clip": Path("eyes")}),
    "slash at the end": (lambda _: None, {"base": "base/", "data": "./data/"}),
    "dot": (lambda _: None, {"base": "./base", "data": "../moved/data"}),
    "other files": (_cut_and_compress, {}),
    "beside it": (_never_loaded, {}),
    "device": (lambda _: None, {"device": "auto"}),
    "precision": (lambda _: None, {"precision": "auto"}),
    "cache": (lambda _: None, {"cache": Path("elsewhere")}),
    "offline": (lambda _: None, {"offline": True}),
    "preset": (lambda _: None, {"preset": "shapes-sft"}),
    "bad rows": (lambda _: None, {"max_bad_share": 0.9}),
}


@pytest.mark.parametrize("which", RUNS)
def test_equal_content_is_the_same_run_however_it_is_called(
    place: Path, tmp_path: Path, tiny_cache: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    # A finished run is reused without loading a model.
    monkeypatch.setattr("trainers.shared.load_pipeline", None)
    for name, (change, settings) in SAME.items():
        here = Path(shutil.copytree(place, tmp_path / "moved"))
        monkeypatch.chdir(here)
        change(here)
        # A run without it has no use for a clip.
        own = {k: v for k, v in settings.items() if k != "clip" or which == "rpo"}
        assert train(_config(here, which, tiny_cache, **own)).reused, name
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(here)


def test_a_file_of_code_may_lie_elsewhere() -> None:
    told = {
        deciding({"divergence": d})["divergence"]
        for d in ("a.py:B(x=1)", "./a.py:B(x=1)", "/q r/a.py:B(x=1)")
    }
    assert told == {"a.py:B(x=1)"}
    nested = deciding({"divergence": "mixture(first='../x/a.py:B', second=\"c.py:D\", weight=0.5)"})
    assert nested["divergence"] == "mixture(first='a.py:B', second=\"c.py:D\", weight=0.5)"
    assert deciding({"divergence": "expr: u/2*log(u)"})["divergence"] == "expr: u/2*log(u)"


# --- the same method --------------------------------------------------------------------------


def test_a_checkpoint_says_which_clip_and_which_code_decided_its_weights(place: Path) -> None:
    rpo, own = (read_checkpoints(place / which)[-1] for which in RUNS)
    inputs = {one.role: one.sha256 for one in read_manifest(place / "rpo").inputs}
    assert rpo.hyperparameters["clip"] == "clip"
    assert rpo.hyperparameters["clip_sha256"] == inputs["clip"]
    assert "clip_sha256" in rpo.method_settings
    assert not {"clip", "clip_sha256"} & own.hyperparameters.keys()
    inputs = {one.role: one.sha256 for one in read_manifest(place / "own").inputs}
    for role in ("objective", "divergence"):
        assert own.hyperparameters[f"{role}_sha256"] == inputs[role]


def test_runs_with_different_clips_are_two_methods_and_one_of_before_is_of_the_usual_one(
    place: Path, tmp_path: Path, tiny_cache: Path
) -> None:
    (one,) = read_checkpoints(place / "rpo")
    here = Path(shutil.copytree(place, tmp_path / "moved"))
    _move_weights(here / "clip" / "open_clip_model.safetensors")
    other = train(_config(here, "rpo", tiny_cache, seed=1, out=here / "other")).checkpoint
    # The copy of the data, too, is named otherwise.
    other = replace(other, hyperparameters={**other.hyperparameters, "data": one.hyperparameters["data"]})
    assert one.hyperparameters["clip"] == other.hyperparameters["clip"]
    # Without the CLIP they would be the two seeds of one method.
    assert [method.seeds for method in methods_of([_as_before(one), _as_before(other)])] == [(0, 1)]
    names = [method.name for method in methods_of([one, other])]
    assert len(names) == 2
    assert all("clip_sha256 " in name for name in names)
    usual = replace(one, method_settings={**one.method_settings, "clip_sha256": _clip_of(one)})
    assert len(methods_of([usual, _as_before(other)])) == 1
    assert len(methods_of([_as_before(usual), other])) == 2


def _clip_of(run: Checkpoint) -> str:
    return str(run.hyperparameters["clip_sha256"])


def _as_before(run: Checkpoint) -> Checkpoint:
    """As records were when they did not say which hyperparameters are the method's, nor which CLIP it was."""
    kept = {k: v for k, v in run.hyperparameters.items() if k not in ("clip", "clip_sha256")}
    return replace(run, hyperparameters=kept, method_settings={})


# --- another run ------------------------------------------------------------------------------

OTHER: dict[str, tuple[str, Change]] = {
    "labels": ("rpo", lambda p: _rewrite(p / "data" / "train.parquet", _turn_labels)),
    "held-out labels": ("rpo", lambda p: _rewrite(p / "data" / "heldout.parquet", _turn_labels)),
    "order": ("rpo", lambda p: _rewrite(p / "data" / "train.parquet", lambda rows: rows[::-1])),
    "a caption": (
        "rpo",
        lambda p: _rewrite(p / "data" / "train.parquet", lambda r: [{**r[0], "caption": "new"}, *r[1:]]),
    ),
    "an image": (
        "rpo",
        lambda p: _rewrite(
            p / "data" / "train.parquet", lambda r: [{**r[0], "jpg_0": r[1]["jpg_0"]}, *r[1:]]
        ),
    ),
    "a pair less": ("rpo", lambda p: _rewrite(p / "data" / "train.parquet", lambda r: r[1:])),
    "unet": ("rpo", lambda p: _move_weights(p / "base" / "unet" / "diffusion_pytorch_model.safetensors")),
    "vae": ("own", lambda p: _move_weights(p / "base" / "vae" / "diffusion_pytorch_model.safetensors")),
    "text encoder": ("own", lambda p: _move_weights(p / "base" / "text_encoder" / "model.safetensors")),
    "clip": ("rpo", lambda p: _move_weights(p / "clip" / "open_clip_model.safetensors")),
    "divergence": ("own", lambda p: (p / "mine.py").write_text(MINE + "\nMORE = 1\n")),
    "objective": ("own", lambda p: (p / "goal.py").write_text(GOAL + "\nMORE = 1\n")),
}


STATES = ("success", "cancelled", "started", "error")


@pytest.mark.parametrize("name", OTHER)
def test_other_content_under_the_same_path_is_refused_with_both_hashes(
    moved: Path, tiny_cache: Path, name: str
) -> None:
    which, change = OTHER[name]
    config = _config(moved, which, tiny_cache)
    assert [one.config for one in ask([config])] == [config]
    change(moved)
    for status in STATES:
        manifest = read_manifest(config.out)
        Manifest.model_validate(manifest.model_dump() | {"status": status}).write(config.out)
        with pytest.raises(UserError) as error:
            train(config)
        found = BOTH_HASHES.search(str(error.value))
        assert found, str(error.value)
        assert found[1] != found[2]
        assert "\n" not in str(error.value)


def test_an_image_of_a_listing_is_part_of_it(
    place: Path, tmp_path: Path, tiny_cache: Path, jpeg: Callable[..., bytes]
) -> None:
    folder = tmp_path / "listed"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.jpg").write_bytes(jpeg(i))
    lines = [
        {"prompt": f"a star {i}", "preferred": f"{i}.jpg", "rejected": f"{i + 1}.jpg"} for i in (0, 2, 4)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = _config(place, "own", tiny_cache, data=str(folder), out=tmp_path / "run", held_out_pairs=0)
    train(config)
    assert train(config).reused
    (folder / "3.jpg").write_bytes(jpeg(33))
    with pytest.raises(UserError, match="holds a run of another data"):
        train(config)


def test_what_a_run_reads_is_recorded_before_it_learns(
    place: Path, tmp_path: Path, tiny_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process writes nothing more: what it read must be known by then."""

    def killed(*_: object, **__: object) -> None:
        raise SystemExit(9)

    monkeypatch.setattr("trainers.shared.load_pipeline", killed)
    config = _config(place, "rpo", tiny_cache, out=tmp_path / "run")
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(Manifest, "write", _only_first(Manifest.write))
        train(config)
    manifest = read_manifest(config.out)
    assert manifest.status == "started"
    assert {one.role for one in manifest.inputs} == {"base", "data", "pairs", "held_out", "clip"}
    assert all(re.fullmatch("[0-9a-f]{64}", one.sha256) for one in manifest.inputs)


def _only_first(write: Callable[[Manifest, Path], None]) -> Callable[[Manifest, Path], None]:
    def first(self: Manifest, folder: Path) -> None:
        if not (folder / "manifest.json").exists():
            write(self, folder)

    return first


def test_the_state_is_recognised_as_well(place: Path, moved: Path, tiny_cache: Path) -> None:
    """Also where the manifest is another's: a state goes on with nothing but what it began with."""
    config = _config(moved, "own", tiny_cache)
    other = _config(moved, "own", tiny_cache, seed=1, out=moved / "other")
    train(other)
    (other.out / RESUME).replace(config.out / RESUME)
    shutil.rmtree(step_folder(config.out, 1))
    with pytest.raises(UserError, match=r"resume.pt as the state of this run .*other settings or inputs"):
        train(config)


def test_a_run_goes_on_in_the_precision_it_began_in(place: Path, moved: Path, tiny_cache: Path) -> None:
    with pytest.raises(
        UserError, match=r"was trained in fp32, and this call computes in bf16.*--precision fp32"
    ):
        train(_config(moved, "own", tiny_cache, precision="bf16"))


# --- runs of before ---------------------------------------------------------------------------


def _of_before(config: TrainConfig) -> None:
    """Makes a run look as before inputs were hashed: no roles, no hashes of outputs, a state unsealed."""
    from trainers.identity import identity_before

    manifest = read_manifest(config.out)
    record = manifest.model_dump() | {"schema_version": 1, "outputs": [], "inputs": [{"path": "x"}]}
    (config.out / "manifest.json").write_text(json.dumps(record))
    state = torch.load(config.out / RESUME, weights_only=True)
    from benchmark.core.hashing import sha256_json

    for name in ("metrics", "files"):
        del state[name]
    torch.save({**state, "identity": sha256_json(identity_before(config))}, config.out / RESUME)


def test_a_run_of_before_is_reused_and_gone_on_from_by_a_stated_rule(
    place: Path,
    tmp_path: Path,
    tiny_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = _config(place, "own", tiny_cache, out=tmp_path / "run", steps=2, save_every=1)
    whole = config.model_copy(update={"out": tmp_path / "whole"})
    train(whole)
    keep = Run.keep_state

    def dying(self: Run) -> None:
        keep(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "keep_state", dying)
        train(config)
    _of_before(config)
    with pytest.raises(UserError, match=r"other settings \(base\)"):
        ask([config.model_copy(update={"base": str(shutil.copytree(place / "base", tmp_path / "base"))})])
    ended = train(config)
    assert "is of before inputs were hashed: that its base model" in capsys.readouterr().err
    assert ended.checkpoint.revision == train(whole).checkpoint.revision
    _of_before(config)
    assert train(config).reused
    # What its checkpoints learned from stands in their records.
    data = Path(shutil.copytree(place / "data", tmp_path / "data"))
    _rewrite(data / "train.parquet", _turn_labels)
    with pytest.raises(UserError, match="holds a run of another data"):
        train(config.model_copy(update={"data": str(data)}))


def test_code_that_comes_with_fbench_is_not_hashed() -> None:
    from benchmark.core.plugins import code_sha256

    assert [code_sha256(divergences.create(name)) for name in ("alpha", "mixture", "expr: u*log(u)")] == [
        ""
    ] * 3

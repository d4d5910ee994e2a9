"""Whatever happens to a file of a run: the next call ends with the same numbers, or one line says why not."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.core.errors import UserError
from benchmark.core.manifest import read_manifest
from trainers.checkpoints import RESUME, damaged, hashes_of, is_made_again, load_resume, step_folder
from trainers.config import TrainConfig
from trainers.logs import Metrics, read_metrics
from trainers.run import Run
from trainers.train import train, train_many

STEPS = 3
CLOCK = ("seconds", "shared_seconds", "samples_per_second", "memory_gb")
Damage = Callable[[bytes], bytes]
Runs = tuple[TrainConfig, TrainConfig]


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _empty(_: bytes) -> bytes:
    return b""


def _flip(content: bytes) -> bytes:
    at = random.Random(len(content)).randrange(len(content))
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def _flip_the_end(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 0x10]) + content[-2:]


def _double(content: bytes) -> bytes:
    return content + content[-(len(content) // 3) :]


def _no_text(content: bytes) -> bytes:
    return content[: len(content) // 2] + b"\xff\xfe\x00\n" + content[len(content) // 2 :]


DAMAGES: tuple[Damage, ...] = (_cut, _empty, _flip)
OF_TEXT: tuple[Damage, ...] = (_double, _no_text)


def _damages(name: str) -> tuple[Damage, ...]:
    return (*DAMAGES, *(OF_TEXT if name.endswith(".jsonl") else ()))


def _timeless(run: Path) -> list[Metrics]:
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in read_metrics(run)]


def _numbers(run: Path) -> dict[str, Any]:
    """What must be equal: every file but those that tell of the clock and the folder."""
    told = ("manifest.json", "metrics.jsonl", RESUME)
    found: dict[str, Any] = {n: h for n, h in hashes_of(run, run).items() if n not in told}
    return found | {"metrics": _timeless(run)}


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, tiny_pipeline_folder: Path, tiny_rows: Any, tiny_cache: Path
) -> Runs:
    """A finished run and one that was broken off at its second checkpoint, each with every kind of file."""
    place = tmp_path_factory.mktemp("runs")
    data = tiny_rows(place / "data")
    values: dict[str, Any] = {
        "base": str(tiny_pipeline_folder), "data": str(data), "beta": 1.0, "log_ratio_scale": 100.0,
        "lora_rank": 2, "steps": STEPS, "batch_size": 2, "lr": 1e-2, "save_every": 1, "held_out_draws": 1,
        "precision": "fp32", "device": "cpu", "cache": tiny_cache, "max_bad_share": 0.5,
    }  # fmt: skip
    finished, broken = (TrainConfig.parse({**values, "out": place / name}) for name in ("finished", "broken"))
    train(finished)
    with pytest.MonkeyPatch.context() as patch:
        keep = Run.keep_state

        def dying(self: Run) -> None:
            keep(self)
            if self.step == 2:
                raise KeyboardInterrupt

        patch.setattr(Run, "keep_state", dying)
        with pytest.raises(KeyboardInterrupt):
            train(broken)
    return finished, broken


def _line_of(config: TrainConfig) -> str:
    """What a call is refused with; empty where it ends well."""
    try:
        train(config)
    except UserError as error:
        return str(error)
    return ""


def _files(run: Path) -> list[str]:
    return sorted(p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file())


@pytest.mark.parametrize("state", [0, 1], ids=["finished", "broken off"])
def test_a_damaged_file_costs_work_or_a_line_and_never_a_number(
    runs: Runs, tmp_path: Path, state: int, capsys: pytest.CaptureFixture[str]
) -> None:
    reference, run = _numbers(runs[0].out), runs[state]
    kinds = {name.partition("/")[0] for name in _files(run.out)}
    assert kinds == {
        "manifest.json", "metrics.jsonl", "resume.pt", "bad_rows.jsonl", "checkpoints", "log_ratios",
    }  # fmt: skip
    cases = {
        f"{name} {damage.__name__}": (name, damage)
        for number, name in enumerate(_files(run.out))
        # Of the run that goes on each file is damaged once, in turn in one of the ways.
        for damage in (_damages(name) if state == 0 else DAMAGES[number % 3 :][:1])
    }
    step = (STEPS, 2)[state]
    made, refused = [], []
    for number, (case, (name, damage)) in enumerate(cases.items()):
        copy = run.model_copy(update={"out": Path(shutil.copytree(run.out, tmp_path / str(number)))})
        (copy.out / name).write_bytes(damage((copy.out / name).read_bytes()))
        # What the state knows is made again: metrics and all of the last step, also in many runs at once.
        if is_made_again(name, step):
            made.append(copy)
            continue
        said = _line_of(copy)
        assert "\n" not in said, case
        if said:
            assert str(copy.out) in said, case
            refused.append(name)
        else:
            assert _numbers(copy.out) == reference, case
    train_many(made)
    for copy in made:
        assert _numbers(copy.out) == reference, copy.out
        assert not damaged(copy.out, {one.path: one.sha256 for one in read_manifest(copy.out).outputs})
    capsys.readouterr()
    # Of earlier steps it is named.
    earlier = [n for n in _files(run.out) if n.count("step-") and not is_made_again(n, step)]
    assert earlier
    asked = [name for name, _ in cases.values()]
    assert {name: refused.count(name) for name in earlier} == {name: asked.count(name) for name in earlier}


def test_a_damaged_state_of_a_broken_off_run_is_named(runs: Runs, tmp_path: Path) -> None:
    copy = runs[1].model_copy(update={"out": tmp_path / "run"})
    shutil.copytree(runs[1].out, copy.out)
    state = copy.out / RESUME
    whole = state.read_bytes()
    for damage in (*DAMAGES, _flip_the_end):
        state.write_bytes(damage(whole))
        with pytest.raises(UserError, match=r"resume.pt as the state of a run .*delete it to start again"):
            load_resume(copy.out, {})
    shutil.rmtree(copy.out)
    # What the line says to do leads to the same numbers.
    shutil.copytree(runs[1].out, copy.out)
    (copy.out / RESUME).unlink()
    train(copy)
    assert _numbers(copy.out) == _numbers(runs[0].out)


def test_a_damaged_picture_of_the_last_step_is_drawn_again(runs: Runs, tmp_path: Path) -> None:
    config = runs[0].model_copy(update={"out": tmp_path / "run", "steps": 1, "validation_images": 1})
    train(config)
    picture = config.out / "validation" / "step-000001.png"
    whole = picture.read_bytes()
    picture.write_bytes(_flip(whole))
    assert not train(config).reused
    assert picture.read_bytes() == whole
    assert train(config).reused


def test_a_checkpoint_that_was_taken_away_is_not_asked_for(runs: Runs, tmp_path: Path) -> None:
    copy = runs[0].model_copy(update={"out": tmp_path / "run"})
    shutil.copytree(runs[0].out, copy.out)
    shutil.rmtree(step_folder(copy.out, 1))
    assert train(copy).reused
    # The last one is the result, and is made again.
    shutil.rmtree(step_folder(copy.out, STEPS))
    again = train(copy)
    assert not again.reused
    assert again.checkpoint.step == STEPS
    assert hashes_of(copy.out, step_folder(copy.out, STEPS)) == {
        name: sha256
        for name, sha256 in hashes_of(runs[0].out, runs[0].out).items()
        if name.startswith(f"checkpoints/step-{STEPS:06d}")
    }


def test_half_a_checkpoint_of_several_files_is_damaged(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "checkpoints" / "step-000001").mkdir(parents=True, exist_ok=True)
        (tmp_path / "checkpoints" / "step-000001" / name).write_text(name)
    known = hashes_of(tmp_path, tmp_path)
    assert damaged(tmp_path, known) == []
    (tmp_path / "checkpoints" / "step-000001" / "a").unlink()
    assert damaged(tmp_path, known) == ["checkpoints/step-000001/a"]
    shutil.rmtree(tmp_path / "checkpoints")
    assert damaged(tmp_path, known) == []

"""What a checkpoint cost: counted once, kept over attempts, and unknown where nobody counted."""

import json
from pathlib import Path

import pytest

from benchmark.core.records import Checkpoint, Cost, ImageSet, PromptSet, Sampler
from benchmark.evaluate.costs import Tally, costs_of


def silent(done: int, total: int) -> None:
    """Nobody listens."""


def image_set(checkpoint: Checkpoint) -> ImageSet:
    return ImageSet(f"id-{checkpoint.id}", checkpoint, PromptSet("none", "1", ()), Sampler(), (0,), ())


def run_folder(folder: Path, lines: list[dict[str, object]], step: int) -> Checkpoint:
    place = folder / "run" / "checkpoints" / f"step-{step:06d}"
    place.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "run" / "metrics.jsonl").write_text(text)
    return Checkpoint("run", "shapes", "sft", step=step, path=place)


STEPS: list[dict[str, object]] = [
    {"step": 0, "heldout/loss": 1.0},
    {"step": 1, "seconds": 1.0, "shared_seconds": 0.5},
    {"step": 2, "seconds": 2.0, "shared_seconds": 0.5, "memory_gb": 1.5},
    {"step": 3, "seconds": 4.0, "shared_seconds": 0.5, "memory_gb": 2.5},
]


def test_a_checkpoint_costs_the_steps_behind_it(tmp_path: Path) -> None:
    early = image_set(run_folder(tmp_path, STEPS, 2))
    assert costs_of([early], tmp_path) == {"run": Cost(4.0, None, 1.5)}
    late = image_set(run_folder(tmp_path, STEPS, 3))
    assert costs_of([late], tmp_path) == {"run": Cost(8.5, None, 2.5)}


@pytest.mark.parametrize(
    "lines", [[], STEPS[:3], [*STEPS[:2], {"step": 2, "seconds": None}, STEPS[3]], [{"no": "step"}]]
)
def test_a_log_with_gaps_tells_nothing(tmp_path: Path, lines: list[dict[str, object]]) -> None:
    assert costs_of([image_set(run_folder(tmp_path, lines, 3))], tmp_path) == {"run": Cost()}


def test_an_older_log_knows_the_time_alone(tmp_path: Path) -> None:
    lines = [{k: v for k, v in line.items() if k != "memory_gb"} for line in STEPS]
    assert costs_of([image_set(run_folder(tmp_path, lines, 3))], tmp_path) == {"run": Cost(8.5)}


@pytest.mark.parametrize("path", [None, "elsewhere/step-000003"])
def test_what_lies_in_no_run_has_no_cost(tmp_path: Path, path: str | None) -> None:
    checkpoint = Checkpoint("base", "shapes", path=None if path is None else tmp_path / path)
    assert costs_of([image_set(checkpoint)], tmp_path) == {"base": Cost()}


def test_time_is_summed_over_attempts_shards_and_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("benchmark.evaluate.costs.time.monotonic", lambda: now[0])
    assert Tally(tmp_path).seconds("set") is None
    for suffix, seconds in (("", 2.0), ("-1-of-2", 3.0), ("", 4.0)):
        with Tally(tmp_path, suffix).counting("set", silent) as tell:
            tell(5, 10)
            now[0] += seconds
    with pytest.raises(KeyboardInterrupt), Tally(tmp_path).counting("set", silent) as tell:
        tell(9, 10)
        now[0] += 1.0
        raise KeyboardInterrupt
    assert Tally(tmp_path).seconds("set") == 10.0
    assert costs_of([image_set(Checkpoint("base", "shapes"))], tmp_path) == {"base": Cost()}


def test_what_is_found_again_took_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[int, int]] = []
    for left in (3, 0):
        clock = iter([0.0, 7.0])
        monkeypatch.setattr("benchmark.evaluate.costs.time.monotonic", lambda clock=clock: next(clock))
        with Tally(tmp_path).counting("set", lambda *told: heard.append(told)) as tell:
            tell(10 - left, 10)
    assert Tally(tmp_path).seconds("set") == 7.0
    assert heard == [(7, 10), (10, 10)]

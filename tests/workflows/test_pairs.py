"""On-policy pairs: sampled, labelled, written, and read by the trainer."""

import csv
import json
import shutil
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from benchmark.core.errors import ConfigError, MissingFileError, UnreadableFileError, UserError
from benchmark.core.manifest import read_manifest
from benchmark.core.pixels import decode_rgb, read_rgb
from benchmark.scorers import make_scorers
from benchmark.workflows.pairs.config import PairsConfig
from benchmark.workflows.pairs.images import sample_images
from benchmark.workflows.pairs.labels import mean_ranks, ranked_pairs
from benchmark.workflows.pairs.run import PairsResult, make_pairs, plan_pairs
from trainers.config import TrainConfig
from trainers.pairs import COLUMNS, load_pairs
from trainers.train import train

Settings = Callable[..., PairsConfig]
TEXTS = (
    "a red star",
    "two hearts, winter",
    "a blue circle at night",
    "a cross on sand, a sketch",
    "a green cross",
)


@pytest.fixture
def settings(world: Path, write: Callable[[str, str], Path], tmp_path: Path) -> Settings:
    prompts = str(write("prompts.txt", "\n".join(TEXTS)))

    def make(**changes: object) -> PairsConfig:
        plain: dict[str, object] = {
            "prompts": prompts, "images_per_prompt": 3, "pairs_per_prompt": 2, "steps": 1, "batch_size": 8,
            "held_out_share": 0.2, "precision": "fp32", "device": "cpu", "out": tmp_path / "out",
            "guidance": 1.0,
        }  # fmt: skip
        return PairsConfig.parse(plain | changes)

    return make


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many times images were asked for."""
    calls: list[int] = []

    def counted(*args: object, **kwargs: object) -> object:
        calls.append(1)
        return sample_images(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("benchmark.workflows.pairs.run.sample_images", counted)
    return calls


def rows_of(result: PairsResult) -> list[dict[str, object]]:
    return [
        row for file in sorted(result.folder.glob("*.parquet")) for row in pq.read_table(file).to_pylist()
    ]


def write_labels(path: Path, rows: list[dict[str, object]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    return path


# --- which pairs ------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 5), min_size=0, max_size=7))
def test_every_pair_comes_once_with_the_better_one_first(scores: list[int]) -> None:
    found = ranked_pairs(scores)
    assert sorted(tuple(sorted(pair)) for pair in found) == list(combinations(range(len(scores)), 2))
    assert all(scores[a] >= scores[b] for a, b in found)
    first = found[: len(scores) // 2]
    assert len({i for pair in first for i in pair}) == 2 * len(first)  # no image twice
    if found:
        assert scores[found[0][0]] - scores[found[0][1]] == max(scores) - min(scores)


def test_mean_ranks_know_no_units() -> None:
    one, other = [0.1, 0.4, 0.3, 0.2], [5.0, -2.0, 7.0, 7.0]
    assert mean_ranks([one]) == [1, 4, 3, 2]
    assert mean_ranks([one, other]) == mean_ranks([[100 * x for x in one], other])
    assert mean_ranks([other]) == [2, 1, 3.5, 3.5]
    assert sum(mean_ranks([one, other])) == 1 + 2 + 3 + 4


# --- the whole way ----------------------------------------------------------------------------


def test_scorers_label_and_the_trainer_reads(settings: Settings, world: Path, tmp_path: Path) -> None:
    config = settings(scorers="pickscore")
    result = make_pairs(config)
    assert (result.images, result.pairs, result.held_out, result.reused) == (15, 8, 2, False)
    manifest = read_manifest(config.out)
    assert (manifest.kind, manifest.status) == ("pairs", "success")
    assert {"base", "prompts"} <= {item.path for item in manifest.inputs}
    rows = rows_of(result)
    assert set(COLUMNS) < set(rows[0])
    for row in rows:
        better = int(float(str(row["score_1"])) > float(str(row["score_0"])))
        if row["label_0"] != row["label_1"]:
            assert row[f"label_{better}"] == 1.0
            assert row["best_image_uid"] == row[f"image_{better}_uid"]
        for side in "01":
            png = config.out / "images" / "base" / f"{row['prompt_id']}_{row[f'seed_{side}']}.png"
            jpeg = row[f"jpg_{side}"]
            assert isinstance(jpeg, bytes)
            difference = read_rgb(png).astype(float) - decode_rgb(jpeg)
            assert np.abs(difference).mean() < 8  # what JPEG costs on noise
    assert {row["model_0"] for row in rows} == {"base"}
    assert {str(row["labelled_by"]).split("@")[0] for row in rows} == {"pickscore 1"}

    data = load_pairs(str(result.folder))
    assert (len(data.train) + data.ties, data.read, data.bad) == (8, 10, ())
    assert not {p.prompt for p in data.train.pairs} & {p.prompt for p in data.held_out.pairs}
    assert load_pairs(str(config.out)).sha256 == data.sha256
    run = train(
        TrainConfig.parse(
            {
                "base": str(world / "shapes-sd"),
                "data": str(result.folder),
                "beta": 1.0,
                "log_ratio_scale": 100.0,
                "lora_rank": 2,
                "steps": 2,
                "batch_size": 4,
                "precision": "fp32",
                "device": "cpu",
                "held_out_draws": 2,
                "cache": tmp_path / "cache",
                "out": tmp_path / "run",
            }
        )
    )
    assert run.checkpoint.step == 2
    assert run.checkpoint.data_sha256 == data.sha256


def test_the_same_command_reuses_and_another_label_costs_no_image(
    settings: Settings, sampled: list[int]
) -> None:
    first = make_pairs(settings(scorers="true_reward"))
    images = {p: p.stat().st_mtime_ns for p in first.folder.parent.glob("images/**/*.png")}
    again = make_pairs(settings(scorers="true_reward"))
    assert again.reused
    assert len(sampled) == 1
    assert (again.pairs, again.labelled_by) == (first.pairs, first.labelled_by)
    several = make_pairs(settings(scorers="true_reward,oracle", margin=0.5))
    assert not several.reused
    assert several.labelled_by.startswith("mean rank of true_reward")
    assert "ties within 0.5" in several.labelled_by
    assert {p: p.stat().st_mtime_ns for p in images} == images
    scores = {float(str(row[f"score_{side}"])) for row in rows_of(several) for side in "01"}
    assert scores <= {1.0, 1.5, 2.0, 2.5, 3.0}
    for row in rows_of(several):
        gap = abs(float(str(row["score_0"])) - float(str(row["score_1"])))
        assert (row["label_0"] == row["label_1"] == 0.5) == (gap <= 0.5)


SCORER = """
from benchmark.scorers.base import ImageScorer
class Mine(ImageScorer):
    name, axis, weights_hash = "mine", "preference", ""
    def load(self, device="cpu"): ...
    def values(self, shown): return [{sign} * float(image.mean()) for image in shown.images]
"""


def test_pairs_are_recognised_by_what_they_are_made_of(
    settings: Settings, world: Path, tmp_path: Path, write: Callable[[str, str], Path]
) -> None:
    unet = shutil.copytree(world / "shapes-sd" / "unet", tmp_path / "policy" / "unet")
    scorer = write("mine.py", SCORER.format(sign=1))

    def made(**changes: object) -> bool:
        plain = {"checkpoint": str(tmp_path / "policy"), "scorers": f"{scorer}:Mine"}
        config = settings(**{**plain, **changes})
        return not make_pairs(config).reused

    assert made()
    assert not made()
    # Names, places and the device say nothing.
    moved = write("else/prompts.txt", (tmp_path / "prompts.txt").read_text())
    assert not made(prompts=str(moved), device="auto")
    assert not made(checkpoint=str(shutil.copytree(tmp_path / "policy", tmp_path / "else" / "policy")))
    # The same names with other content do.
    write("mine.py", SCORER.format(sign=-1))
    assert made()
    (tmp_path / "prompts.txt").write_text("\n".join((*TEXTS[:-1], "a blue ring")))
    assert made()
    assert not made()
    (file,) = unet.glob("*.safetensors")
    save_file({k: v * 1.5 for k, v in load_file(file).items()}, file, {"format": "pt"})
    assert made()
    # What was written is still that, or is made again.
    for name in ("pairs/card.json", "images.jsonl"):
        path = settings().out / name
        path.write_bytes(path.read_bytes()[:-2])
        assert made(), name
        assert not made(), name


def test_broken_off_between_any_two_steps_it_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    config, places = settings(scorers="pickscore"), ("score_all", "write_shards", "list_images")
    for name in places:
        with monkeypatch.context() as patch:
            patch.setattr(f"benchmark.workflows.pairs.run.{name}", stop)
            with pytest.raises(KeyboardInterrupt):
                make_pairs(config)
        assert read_manifest(config.out).status == "cancelled"
        assert not (config.out / "pairs").exists()
    assert make_pairs(config).pairs == 8
    assert not list(config.out.glob(".pairs*"))


def test_which_image_comes_first_says_nothing(settings: Settings) -> None:
    more = settings(scorers="pickscore", images_per_prompt=5, pairs_per_prompt=10, held_out_share=0)
    rows = [row for row in rows_of(make_pairs(more)) if row["label_0"] != row["label_1"]]
    first = np.mean([float(str(row["label_0"])) for row in rows])
    assert len(rows) > 30
    assert 0.2 < first < 0.8


# --- people -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_people_label_what_is_listed(settings: Settings, tmp_path: Path, suffix: str) -> None:
    blank = make_pairs(settings())
    assert (blank.images, blank.pairs, blank.labelled_by) == (15, 0, "")
    out = settings().out
    listed = [json.loads(line) for line in (out / "images.jsonl").read_text().splitlines()]
    assert len(listed) == 15
    assert all((out / row["image_path"]).is_file() for row in listed)
    scores = [{"prompt_id": r["prompt_id"], "seed": r["seed"], "score": -r["seed"]} for r in listed[:-3]]
    result = make_pairs(settings(labels=write_labels(tmp_path / f"labels{suffix}", scores), held_out_share=0))
    assert (result.pairs, result.unlabelled, result.labelled_by) == (8, 3, f"labels{suffix}")
    for row in rows_of(result):
        assert (row["label_0"] == 1) == (int(str(row["seed_0"])) < int(str(row["seed_1"])))


def test_people_may_choose_without_numbers(settings: Settings, tmp_path: Path) -> None:
    chosen: list[dict[str, object]] = [
        {"prompt_id": "0000", "preferred": 2, "rejected": 0},
        {"prompt_id": "0001", "preferred": 1, "rejected": 2, "tie": True},
    ]
    labels = write_labels(tmp_path / "labels.jsonl", chosen)
    result = make_pairs(settings(labels=labels, held_out_share=0))
    assert (result.pairs, result.ties, result.unlabelled) == (2, 1, 11)
    by_id = {row["prompt_id"]: row for row in rows_of(result)}
    assert by_id["0000"]["best_image_uid"] == by_id["0000"][f"image_{int(by_id['0000']['seed_1'] == 2)}_uid"]
    assert by_id["0001"]["label_0"] == by_id["0001"]["label_1"] == 0.5
    assert len(load_pairs(str(result.folder), ties="half", held_out=0).train) == 3
    # Other words in the same file are other labels.
    write_labels(labels, [chosen[0] | {"preferred": 0, "rejected": 2}])
    changed = make_pairs(settings(labels=labels, held_out_share=0))
    assert (changed.reused, changed.pairs) == (False, 1)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([{"prompt_id": "0000", "seed": 7, "score": 1}], "image 7 of prompt '0000', which is not there"),
        ([{"prompt_id": "none", "preferred": 0, "rejected": 1}], "prompt 'none', which is not there"),
        ([{"prompt_id": "0000", "seed": 0, "score": "nan"}], "line 1: the score is nan"),
        ([{"prompt_id": "0000", "seed": 0, "score": "good"}], "line 1: could not convert"),
        ([{"prompt_id": "0000", "better": 0}], "line 1 has no preferred; it has prompt_id, better"),
        ([{"prompt_id": "0000", "preferred": 1, "rejected": 1}], "are one image"),
        (
            [
                {"prompt_id": "0000", "preferred": 1, "rejected": 0},
                {"prompt_id": "0000", "seed": 0, "score": 1},
            ],
            "both scores and preferences",
        ),
    ],
)
def test_labels_that_make_no_sense_are_refused(
    settings: Settings, tmp_path: Path, rows: list[dict[str, object]], why: str
) -> None:
    with pytest.raises(UserError, match=why):
        make_pairs(settings(labels=write_labels(tmp_path / "labels.jsonl", rows)))


def test_what_cannot_be_is_refused_before_anything_is_made(
    settings: Settings, tmp_path: Path, write: Callable[[str, str], Path]
) -> None:
    with pytest.raises(UserError, match="true_diversity scores a prompt; allowed: scorers of single"):
        make_pairs(settings(scorers="true_diversity"))
    with pytest.raises(MissingFileError, match="no file of labels"):
        make_pairs(settings(labels=tmp_path / "none.csv"))
    with pytest.raises(ConfigError, match="both given"):
        settings(scorers="clip", labels=tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="margin"):
        settings(margin=-1)
    assert not settings().out.exists()
    with pytest.raises(UserError, match=r"cannot tell the format.*\.jsonl, \.csv"):
        make_pairs(settings(labels=write("labels.txt", "x")))
    with pytest.raises(UnreadableFileError, match="line 1 is not an object"):
        make_pairs(settings(labels=write("labels.jsonl", "[1]\n")))


def test_the_plan_writes_nothing(settings: Settings) -> None:
    lines = "\n".join(plan_pairs(settings(scorers="true_reward,oracle")))
    assert "mean rank of true_reward" in lines
    assert "at most 10, those of 20% of the prompts held out" in lines
    assert not settings().out.exists()
    assert {s.unit for s in make_scorers(["true_reward", "oracle"], "embedded")} == {"image"}

"""The tutorials, followed command by command with tiny random models in the published layouts."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from typer.testing import Result

from benchmark.leaderboard import read_score_table
from benchmark.weights.catalogue import RELEASES

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
QUICK = "--steps 2 --images-per-prompt 2 --batch-size 4 --device cpu --precision fp32"
SMALL_RUN = """
warmup = 0
save_every = 2
held_out_pairs = 2
held_out_draws = 1
precision = "fp32"
device = "cpu"
cache = "cache"
"""

Done = Sequence[tuple[list[str], Result]]


def _worked(done: Done, *commands: str) -> None:
    """These commands were run, in this order, and each ended well."""
    assert [words[0] for words, _ in done] == list(commands)
    for words, result in done:
        assert result.exit_code == 0, f"{words}: {result.output}\n{result.exception!r}"


def _with_embedded_weights(words: list[str]) -> list[str]:
    """The same scorers by the embedded world's networks: published weights are not fetched in a test."""
    if words[0] == "weights":
        known = {release.name for release in RELEASES}
        assert {word for word in words[2:] if not word.startswith("--")} <= known
        return ["weights", "list"]
    at = words.index("--scorers") + 1 if "--scorers" in words else 0
    names = re.sub(r"\b(?!entropy)(\w+)(?=,|$)", r"\1(weights='embedded')", words[at])
    return [*words[:at], names, *words[at + 1 :]] if at else words


def _images(folder: Path, names: Sequence[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for name in names:
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((64, 64)).save(folder / name)


def _pairs(path: Path, count: int) -> None:
    held_out = ROOT / "benchmark" / "shapes" / "data" / "shapes-prefs" / "heldout.parquet"
    rows = next(pq.ParquetFile(held_out).iter_batches(count))
    pq.write_table(pa.Table.from_batches([rows]), path)


@pytest.fixture
def follow(page_blocks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Follows a tutorial in a folder of its own, its commands made small."""
    monkeypatch.setenv("FBENCH_CACHE", str(tmp_path / "cache"))

    def run(name: str, options: dict[str, str]) -> Done:
        def small(words: list[str]) -> list[str]:
            embedded = _with_embedded_weights(words)
            found: list[str] = page_blocks.with_options(embedded, options.get(words[0], ""))
            return found

        done: Done = page_blocks.follow(TUTORIALS / name, tmp_path, small)
        return done

    return run


def test_every_tutorial_is_followed_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert {path.name for path in TUTORIALS.iterdir()} == set(re.findall(r'"([\w-]+\.md)"', text))


@pytest.mark.usefixtures("world")
def test_a_lora_from_disk_is_evaluated(
    follow: Callable[..., Done], tmp_path: Path, published_folder: Callable[..., Path], adapter_files: Any
) -> None:
    base = shutil.copytree(published_folder("sdxl"), tmp_path / "models" / "sdxl")
    layer = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    with safe_open(base / "unet" / "diffusion_pytorch_model.safetensors", "pt") as unet:
        shape = unet.get_tensor(f"{layer}.weight").shape
    made = adapter_files.lora(torch.Generator().manual_seed(0), shape, 2)
    spelled = adapter_files.kohya("unet", layer)
    tensors = {f"{spelled}.{role}": tensor for role, tensor in made.tensors.items()}
    adapter_files.write(tmp_path / "my-lora.safetensors", tensors)

    done = follow("evaluate-my-lora.md", {"eval": QUICK, "frontier": "--scales 3,5 --best-of 2 --device cpu"})

    _worked(done, "weights", "doctor", "eval", "eval", "leaderboard", "plot", "frontier", "plot")
    table = read_score_table(tmp_path / "runs" / "my-lora")
    assert [one.id.rpartition("-")[0] or one.id for one in table.checkpoints] == ["base", "my-lora"]
    assert (tmp_path / "runs" / "my-lora" / "report.html").is_file()


@pytest.mark.usefixtures("world")
def test_images_from_elsewhere_are_scored_with_everything(
    follow: Callable[..., Done], tmp_path: Path, page_blocks: Any
) -> None:
    page = (TUTORIALS / "score-my-images.md").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in page_blocks.titled(page)["images.jsonl"].splitlines()]
    names = [Path(row["image_path"]).name for row in rows]
    _images(tmp_path / "mine", names, 0)
    _images(tmp_path / "theirs", names, 1)
    _images(tmp_path / "photos", [f"{i}.png" for i in range(8)], 2)
    theirs = [row | {"image_path": f"theirs/{name}"} for row, name in zip(rows, names, strict=True)]
    (tmp_path / "others.jsonl").write_text("".join(json.dumps(row) + "\n" for row in theirs))

    done = follow("score-my-images.md", {"score": "--weights embedded --device cpu"})

    _worked(done, "weights", "doctor", "score", "score", "leaderboard", "score")
    asked = next(words for words, _ in done if words[0] == "score")
    scored = read_score_table(tmp_path / "runs" / "mine")
    assert {column.name for column in scored.columns} == set(asked[asked.index("--scorers") + 1].split(","))
    assert {one.id for one in read_score_table(tmp_path / "runs" / "both").checkpoints} == {"mine", "theirs"}


@pytest.mark.usefixtures("world")
def test_a_policy_of_several_processes_is_trained_and_evaluated_in_shards(
    follow: Callable[..., Done], tmp_path: Path, published_folder: Callable[..., Path]
) -> None:
    base = shutil.copytree(published_folder("sd15"), tmp_path / "sd15")
    _pairs(tmp_path / "pairs.parquet", 40)
    # Fewer parts than the preset has, so that a batch may have fewer pairs than these.
    (tmp_path / "small.toml").write_text(f"{SMALL_RUN}micro_batches = 4\n")
    (tmp_path / "my-prompts.txt").write_text("a red star\ntwo hearts\na ring\n")

    done = follow(
        "train-on-several-gpus.md",
        {
            "train": f"--base {base} --config small.toml --steps 2 --batch-size 32",
            "sweep": f"--base {base} --config small.toml --steps 2 --batch-size 4",
            "eval": f"--base {base} {QUICK}",
        },
    )

    _worked(done, "doctor", *["train"] * 4, *["eval"] * 3, "sweep")
    assert (tmp_path / "runs" / "dpo" / "checkpoints" / "step-000002" / "checkpoint.json").is_file()
    assert len(list((tmp_path / "runs" / "dpo-eval" / "images").glob("*/*.png"))) == 2 * 3 * 2
    assert (tmp_path / "runs" / "dpo-eval" / "leaderboard.csv").is_file()


def test_a_divergence_is_checked_drawn_trained_and_gated(
    follow: Callable[..., Done], tmp_path: Path, tiny_pipeline_folder: Path
) -> None:
    _pairs(tmp_path / "pairs.parquet", 8)
    (tmp_path / "small.toml").write_text(SMALL_RUN + f'base = "{tiny_pipeline_folder}"\n')

    done = follow(
        "gate-my-divergence.md",
        {
            "train": "--config small.toml --data pairs.parquet --steps 2 --batch-size 2 --lora-rank 2",
            "regress": "--dry-run",  # the whole of it: tests/workflows/test_regress.py
        },
    )

    _worked(done, "divergence", "plot", "train", "plot", "regress", "regress")
    assert "broken" not in done[0][1].stdout
    assert (tmp_path / "field.png").is_file()


def test_the_trade_off_that_is_read_is_the_committed_one() -> None:
    page = (TUTORIALS / "read-the-trade-off.md").read_text(encoding="utf-8")
    board = json.loads((ROOT / "results" / "evaluation" / "leaderboard.json").read_text())
    cells = {row["checkpoint"]["id"]: {c["scorer"]: c for c in row["cells"]} for row in board["rows"]}
    base = cells.pop("base")
    assert f"{base['true_taste']['mean']:.3f} up, {base['true_diversity']['mean']:.3f} across" in page
    names = {"reverse KL": "reverse_kl", "Jensen-Shannon": "jensen_shannon"}
    rows = re.findall(r"^\| ([\w -]+), beta ([\d.]+) \| (\S+) \| (\S+) \|$", page, flags=re.MULTILINE)
    assert len(rows) == 4
    for method, beta, taste, diversity in rows:
        runs = [one for id_, one in cells.items() if f"{names[method]}-beta{beta}-" in id_]
        assert len(runs) == 5
        for scorer, shown in (("true_taste", taste), ("true_diversity", diversity)):
            assert f"{np.mean([run[scorer]['difference'] for run in runs]):+.3f}" == shown

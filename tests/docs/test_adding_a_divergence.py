"""docs/adding-a-divergence.md, followed literally in a fresh folder."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from benchmark.core import resources
from trainers.divergences import divergences, laws

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adding-a-divergence.md"
SMALL = (
    "--data pairs.parquet --steps 2 --batch-size 2 --save-every 2 --lora-rank 2 --device cpu "
    "--precision fp32 --config small.toml"
)


@pytest.fixture(scope="module")
def followed(
    page_blocks: Any, tmp_path_factory: pytest.TempPathFactory, tiny_pipeline_folder: Path
) -> tuple[Path, list[tuple[list[str], Result]]]:
    folder = tmp_path_factory.mktemp("fresh")
    rows = next(pq.ParquetFile(resources.shapes_data("shapes-prefs") / "heldout.parquet").iter_batches(8))
    pq.write_table(pa.Table.from_batches([rows]), folder / "pairs.parquet")
    (folder / "small.toml").write_text(
        f'base = "{tiny_pipeline_folder}"\ncache = "cache"\n'
        "warmup = 0\nheld_out_pairs = 2\nheld_out_draws = 1\n"
    )

    def shorten(words: list[str]) -> list[str]:
        # Training and evaluating take minutes: tests/workflows/test_regress.py does it small.
        return words + {"train": SMALL.split(), "regress": ["--dry-run"]}.get(words[0], [])

    return folder, page_blocks.follow(PAGE, folder, shorten)


def test_every_command_of_the_page_works(followed: tuple[Path, list[tuple[list[str], Result]]]) -> None:
    folder, done = followed
    assert [words[0] for words, _ in done] == [
        "divergence", "train", "divergence", "divergence", "train", "regress", "regress",
    ]  # fmt: skip
    for words, result in done:
        assert result.exit_code == 0, f"{words}: {result.output}\n{result.exception!r}"
    checked = [result.stdout for words, result in done if words[0] == "divergence"]
    assert all("holds  f(1) = 0" in said and "broken" not in said for said in checked)
    assert "1/(exp(s) + 1)" in checked[0]
    for run in ("formula", "le-cam"):
        assert (folder / "runs" / run / "checkpoints" / "step-000002" / "checkpoint.json").is_file()


def test_file_and_formula_of_the_page_are_one_divergence(
    followed: tuple[Path, list[tuple[list[str], Result]]],
) -> None:
    folder, done = followed
    mine = divergences.create(f"{folder / 'mine.py'}:LeCam")
    (formula,) = [words[words.index("--divergence") + 1] for words, _ in done if "runs/formula" in words]
    derived = divergences.create(formula)
    s = laws.inside(mine)
    assert laws.disagreement(s, ("file", mine.h(s)), ("formula", derived.h(s)), rtol=1e-9, atol=1e-12) == ""
    assert (derived.symmetric, derived.f_prime_at_0) == (mine.symmetric, mine.f_prime_at_0)


def test_blocks_and_files_are_found(page_blocks: Any) -> None:
    shell = "```sh\nfbench list models  # all\n$ fbench x \\\n  y\nls\n```\n"
    page = "Put into `mine.py`:\n\n```python\nx = 1\n```\n\n" + shell
    assert page_blocks.blocks(page, "python") == ["x = 1\n"]
    assert page_blocks.file_name(page, "x = 1\n") == "mine.py"
    assert page_blocks.commands(page) == [["list", "models"], ["x", "y"]]

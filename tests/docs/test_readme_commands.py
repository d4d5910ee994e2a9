"""Every command in the README is run: by the CI as it stands, or here, made small."""

import contextlib
import re
import shlex
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from benchmark.cli.app import app
from benchmark.core import resources

Command = tuple[str, ...]

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = ("fbench", "make", "python", "python3")

# What makes a command small enough for a test: of an option that is given twice, the last one counts.
SMALL = {
    "train": "--config small.toml --data pairs.parquet --steps 2 --batch-size 2 --save-every 2 --device cpu",
    "eval": "--scorers true_reward,oracle,lpips --limit 2 --images-per-prompt 2 --steps 2 --batch-size 4 "
    "--device cpu",
    "score": "--device cpu",
    "leaderboard": "",
    "gate": "--scorers oracle --margin oracle=9",
    "regress": "--dry-run",
    "plot": "",
    "list": "",
    "doctor": "",
}


def commands_of(text: str) -> list[Command]:
    """The commands in shell blocks, then those in running text, `a|b` once for each."""
    blocks = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [tuple(shlex.split(line.removeprefix("$ "), comments=True)) for line in lines]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`]+)`", prose):
        found += product(*(word.split("|") for word in span.split()))
    named = [(Path(words[0]).name, *words[1:]) for words in found if words]
    return list(dict.fromkeys(words for words in named if words[0] in PROGRAMS and len(words) > 1))


def rules() -> dict[str, tuple[list[str], str]]:
    """The Makefile's targets: prerequisites and recipe."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^([\w$()]+):(?!=)([^#\n]*).*\n((?:\t.*\n)*)", makefile, flags=re.MULTILINE)
    return {target: (needs.split(), recipe) for target, needs, recipe in found}


def made_in_ci() -> set[str]:
    """The targets that the CI makes, and those that these need or make."""
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    known, made = rules(), set[str]()
    left = re.findall(r"^make (\w+)$", ci, flags=re.MULTILINE)
    while left:
        made.add(left.pop())
        for target in made & known.keys():
            needs, recipe = known[target]
            left += {*needs, *re.findall(r"\$\(MAKE\).*? (\w+)$", recipe, flags=re.MULTILINE)} - made
    # A target that is nothing but others is made with them.
    return made | {target for target, (needs, recipe) in known.items() if not recipe and {*needs} <= made}


def is_run_in_ci(words: Command) -> bool:
    """Whether exactly this command is one of the CI's, or stands in a recipe of what it makes."""
    if words[0] == "make":
        return len(words) == 2 and words[1] in made_in_ci()
    known = rules()
    recipes = "\n".join(known[target][1] for target in made_in_ci() & known.keys())
    plain = re.sub(r"\$\(BIN\)/|\$\(ARGS\)", "", recipes)
    return re.search(rf"[\s,]{re.escape(shlex.join(words))} *[)\n]", plain) is not None


def is_run_here(words: Command) -> bool:
    return words[0] == "fbench" and words[1] in SMALL and not is_run_in_ci(words)


def run_by_nobody(text: str) -> list[str]:
    return [shlex.join(c) for c in commands_of(text) if not is_run_in_ci(c) and not is_run_here(c)]


HERE = [words for words in commands_of(README) if is_run_here(words)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, page_blocks: Any) -> dict[Command, Result]:
    """The commands in the README's order, in one folder, so that what one makes the next one finds."""
    folder = tmp_path_factory.mktemp("readme")
    prefs = resources.shapes_data("shapes-prefs") / "heldout.parquet"
    pq.write_table(pa.Table.from_batches([next(rows_of(prefs))]), folder / "pairs.parquet")
    (folder / "small.toml").write_text(
        'warmup = 0\nheld_out_pairs = 2\nheld_out_draws = 1\nprecision = "fp32"\ncache = "cache"\n'
    )
    Image.new("RGB", (64, 64), "red").save(images_of_mine(folder) / "star.png")
    (folder / "runs" / "my_images" / "star.txt").write_text("a red star")
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        # A dry run that would fetch says so; where the network is forbidden it is refused.
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        small = {words: page_blocks.with_options(list(words[1:]), SMALL[words[1]]) for words in HERE}
        return {words: CliRunner().invoke(app, small[words]) for words in HERE}


def images_of_mine(folder: Path) -> Path:
    images = folder / "runs" / "my_images"
    images.mkdir(parents=True)
    return images


def rows_of(path: Path) -> Iterator[pa.RecordBatch]:
    return pq.ParquetFile(path).iter_batches(batch_size=8)  # type: ignore[no-any-return]


@pytest.mark.parametrize("words", HERE, ids=shlex.join)
def test_a_command_of_the_readme_does_its_work(words: Command, ran: dict[Command, Result]) -> None:
    assert ran[words].exit_code == 0, f"{ran[words].output}\n{ran[words].exception!r}"
    assert ran[words].stdout.strip()


def test_every_command_of_the_readme_is_run() -> None:
    assert {"make demo", "make install"} <= {shlex.join(words) for words in commands_of(README)}
    assert {words[1] for words in HERE} >= {"train", "eval", "leaderboard", "plot", "list", "doctor"}
    assert run_by_nobody(README) == [], "let .ci/run make it, or say in SMALL how it becomes small"


def test_a_command_that_nobody_runs_is_noticed() -> None:
    text = (
        "Try `fbench tidy x|y` or `make bench`, but not `StableDiffusionPipeline`.\n\n```sh\n"
        "make demo   # as the CI\nmake demo ARGS=--json\n.venv/bin/python -m tools.studies.seeds \\\n"
        "  run\n$ fbench demo\nfbench demo --out x\nfbench plot sheet x\n```\n"
    )
    assert run_by_nobody(text) == [
        "make demo ARGS=--json",
        "python -m tools.studies.seeds run",
        "fbench demo --out x",
        "fbench tidy x",
        "fbench tidy y",
        "make bench",
    ]

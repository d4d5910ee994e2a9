"""What a user can put right is one line: what was given, what is allowed, what to do; exit 2."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.app import COMMANDS, command, exit_code_of
from benchmark.core.errors import FbenchError, MissingRowsError
from benchmark.leaderboard import write_score_table
from benchmark.models import models
from tools.simulated_tables import simulated_table
from trainers.presets import PRESETS

Refused = Callable[..., str]


def leaves() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command by the words that name it."""
    root = command()
    for name in COMMANDS:
        found = root.get_command(None, name)
        for leaf, made in getattr(found, "commands", {"": found}).items():
            yield tuple(filter(None, (name, leaf))), made


def test_an_option_of_one_value_is_given_once(refused: Refused) -> None:
    tried = 0
    for words, leaf in leaves():
        for option in leaf.params:
            if option.param_type_name != "option" or option.multiple or option.is_eager:
                continue
            given = [option.opts[-1], *([] if option.is_flag else ["1"])]
            assert f"{option.opts[-1]} is given 2 times" in refused(*words, *given, *given)
            tried += 1
    assert tried > 100


def test_an_empty_path_is_not_the_current_folder(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a variable of the shell that is not set: ``--out "$RUNS"``."""
    monkeypatch.chdir(tmp_path)
    assert refused("demo", "--out", "") == "error: --out is empty; allowed: a path, . for the current folder"
    assert "--out is empty" in refused("train", "--preset", "shapes-sft", "--out", "", "--dry-run")
    assert "--frontier is empty" in refused("leaderboard", ".", "--frontier", "x", "--frontier", "")
    assert "EVAL is empty" in refused("frontier", "", "--dry-run")
    assert "DIR... is empty" in refused("leaderboard", "a", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("tran", "unknown command of fbench 'tran'; allowed: demo, divergence, doctor, eval, "),
        ("tran", "; did you mean train?"),
        ("plot trade_of x", "did you mean trade-off?"),
        ("train --step 3", "unknown option --step of fbench train; did you mean --steps"),
        ("eval --frobnicate", "unknown option --frobnicate of fbench eval; `fbench eval --help` says more"),
        ("train --steps many", "--steps is 'many': Input should be a valid integer"),
        ("train --steps", "Option '--steps' requires an argument"),
        ("leaderboard", "Missing argument 'DIR...'"),
        (
            "list scorer",
            "unknown list 'scorer'; allowed: divergences, models, objectives, presets, prompts, scorers",
        ),
        ("list scorer", "did you mean scorers"),
        ("eval runs/js", "runs/js stands without an option; did you mean --checkpoint runs/js?"),
        ("train shapes-rpo --dry-run", "did you mean --preset shapes-rpo?"),
        ("eval --checkpoint bas --dry-run", "did you mean base?"),
        (
            "leaderboard x --format late",
            "unknown format 'late'; allowed: csv, html, json, latex, markdown, table; did",
        ),
        (
            "leaderboard x --format html",
            "--format html is a page with pictures, not a text; name it: --output",
        ),
        (
            "leaderboard x --page-megabytes 3",
            "--page-megabytes is for html, and the format is table; add --output",
        ),
        ("train --preset zzz", "unknown preset 'zzz'; allowed: diffusion-dpo-sd15, diffusion-dpo-sdxl, "),
        (
            "train --preset shapes-rpoo",
            f"unknown preset 'shapes-rpoo'; allowed: one of {len(PRESETS)} names; did you mean shapes-rpo",
        ),
        ("train --preset shapes-rpoo", "fbench list presets shows all"),
        ("train --preset shapes-rpo --steps -3", "steps is -3: Input should be greater than 0"),
        ("train --preset shapes-rpo --lr 0", "lr is 0.0: Input should be greater than 0"),
        ("demo --steps 0", "steps is 0: Input should be greater than 0"),
        ("train --config nowhere.toml", "no config file at nowhere.toml"),
        ("eval --images-per-prompt 0", "images_per_prompt is 0: Input should be greater than or equal to 1"),
        ("eval --prompts shapes-cor --dry-run", "unknown prompt set 'shapes-cor'"),
        ("eval --prompts none.txt --dry-run", "no prompt file at none.txt"),
        ("eval --scorers oracl --dry-run", "unknown scorer 'oracl'"),
        (
            "eval --base shape --dry-run",
            f"unknown base model 'shape'; allowed: {', '.join(models.names())}; did you mean shapes",
        ),
        ("eval --shard 5/4 --dry-run", "--shard is '5/4'; allowed: i/n with 1 <= i <= n, such as 2/4"),
        ("score nowhere.jsonl", "no JSONL file or folder of images at nowhere.jsonl"),
        ("leaderboard nowhere", "no score table at nowhere"),
    ],
)
def test_one_line_says_what_is_wrong(refused: Refused, words: str, told: str) -> None:
    assert told in refused(*words.split())


@pytest.mark.parametrize(
    ("words", "given", "do"),
    [
        ("leaderboard nowhere", "no score table at nowhere", "run `fbench eval --out nowhere` first"),
        ("plot trade-off nowhere", "no score table at nowhere", "run `fbench eval --out nowhere` first"),
        (
            "plot trade-off results/baselines/reverse_kl --frontier nowhere",
            "no score table at nowhere",
            "run `fbench frontier EVAL --out nowhere` first",
        ),
        ("plot sheet nowhere", "no run of `fbench eval` at nowhere", "run `fbench eval --out nowhere` first"),
        ("frontier nowhere", "no run of `fbench eval` at nowhere", "run `fbench eval --out nowhere` first"),
        (
            "frontier nowhere --closed-form",
            "no run of `fbench eval` at nowhere",
            "run `fbench eval --out nowhere` first",
        ),
        ("gate nowhere x", "--baseline is missing", "fbench gate --baseline nowhere --candidate x"),
        ("gate --baseline nowhere --candidate x", "no evaluation at nowhere", "run `fbench eval` first"),
        (
            "gate --baseline base --candidate f_dpo nowhere",
            "no score table at nowhere",
            "run `fbench eval --out nowhere` first",
        ),
        (
            "regress --divergence jensen_shannon --baseline nowhere --dry-run",
            "unknown baseline 'nowhere'",
            "--make-baseline DIR",
        ),
        (
            "plot curves nowhere",
            "no metrics of a run at nowhere",
            "run `fbench train --preset shapes-rpo --out nowhere` first",
        ),
        (
            "plot gradient-field --run nowhere",
            "no run at nowhere",
            "run `fbench train --preset shapes-rpo --out nowhere` first",
        ),
        ("score nowhere", "no JSONL file or folder of images at nowhere", "name where the images lie"),
        (
            "eval --checkpoint nowhere --dry-run",
            "no checkpoint at nowhere",
            "`fbench train --preset shapes-rpo --out nowhere`",
        ),
        ("eval --prompts nowhere.txt --dry-run", "no prompt file at nowhere.txt", "`fbench list prompts`"),
        ("train --config nowhere.toml", "no config file at nowhere.toml", "give its settings as flags"),
        ("pairs --labels nowhere --dry-run", "no file of labels at nowhere", "leave --labels out"),
        ("divergence check nowhere.py:X", "no Python file at nowhere.py", "docs/adding-a-divergence.md"),
    ],
)
def test_what_is_not_there_is_told_with_what_may_be_named_and_what_to_do(
    refused: Refused, words: str, given: str, do: str
) -> None:
    told, allowed, rest = refused(*words.split()).partition("; allowed: ")
    assert given in told
    assert allowed
    assert do in rest.partition("; ")[2]


def test_a_folder_that_holds_no_run_is_not_its_own_close_name(refused: Refused, tmp_path: Path) -> None:
    line = refused("plot", "sheet", tmp_path)
    assert f"no run of `fbench eval` at {tmp_path}; allowed: a folder of `fbench eval`" in line
    assert f"did you mean {tmp_path.name}?" not in line


def test_an_unknown_key_of_a_config_file_names_the_close_one(refused: Refused, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('preset = "shapes-rpo"\nbatchsize = 4\n')
    line = refused("train", "--config", config, "--out", tmp_path / "run")
    assert f"{config}: unknown key 'batchsize'; allowed: preset, base, " in line
    assert "did you mean batch_size" in line
    assert not (tmp_path / "run").exists()


def test_unreadable_files_are_named(refused: Refused, world: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 this is no parquet")
    out = tmp_path / "run"
    assert f"cannot read {broken} as parquet" in refused(
        "train", "--config", world["config"], "--data", broken, "--out", out
    )
    assert f"cannot read {broken} as parquet" in refused("leaderboard", broken)
    assert f"cannot read {world['pairs']} as the table expected here" in refused(
        "leaderboard", world["pairs"]
    )
    assert not out.exists()


def test_a_full_disk_leaves_no_half_file(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_score_table(simulated_table(n_prompts=12, images_per_prompt=2), tmp_path / "scores.parquet")

    def full(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    line = refused("leaderboard", tmp_path, "--output", tmp_path / "board.csv")
    assert line.startswith("error: the disk is full: cannot write")
    assert [p.name for p in tmp_path.iterdir()] == ["scores.parquet"]


@pytest.mark.parametrize("value", [1e308, -1e61, float("inf")])
def test_a_table_with_numbers_that_statistics_cannot_carry_is_refused(
    refused: Refused, tmp_path: Path, value: float
) -> None:
    table = simulated_table(n_prompts=12, images_per_prompt=2)
    table.rows.loc[table.rows["scorer"] == "hps", "value"] = value
    write_score_table(table, tmp_path / "scores.parquet")
    for words in (("leaderboard", tmp_path), ("plot", "trade-off", tmp_path)):
        assert f"hps of base is {value:g}, and statistics carry 1e+60" in refused(*words)


def raising(error: BaseException) -> Callable[[], Any]:
    def run() -> None:
        raise error

    return run


def test_a_full_disk_that_a_model_library_meets_is_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError("cannot write weights")
    error.__cause__ = OSError(errno.ENOSPC, "no")
    assert exit_code_of(raising(error)) == 2
    assert exit_code_of(raising(ValueError("I/O error: No space left on device (os error 28)"))) == 2
    assert capsys.readouterr().err.count("error: the disk is full") == 2


def test_a_bug_keeps_its_traceback() -> None:
    for bug in (
        ZeroDivisionError("x"),
        FbenchError("cannot happen"),
        OSError(errno.ENOENT, "a file of ours"),
    ):
        with pytest.raises(type(bug)):
            exit_code_of(raising(bug))


@pytest.mark.parametrize("code", [None, 0, 2, "usage: train FILE"])
def test_an_exit_of_a_library_is_no_success(capsys: pytest.CaptureFixture[str], code: Any) -> None:
    assert exit_code_of(raising(SystemExit(code))) == 1
    assert capsys.readouterr().err == f"error: something called sys.exit({code!r}) and ended the command\n"


def test_rows_without_a_value_have_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(raising(MissingRowsError(2, 30, "scores.parquet"))) == 4
    assert capsys.readouterr().err == (
        "error: finished, but 2 of 30 rows have no value; their status and note are in scores.parquet\n"
    )

"""A user gets one line and the documented exit code, also from a worker process."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.cluster.machines import UnlikeMachineError
from benchmark.core import errors

EXAMPLES = [
    errors.UserError("given", allowed="this", do="do that"),
    errors.UnknownNameError("scorer", "clp", ["clip", "hps"]),
    errors.ConfigError("unknown key 'a'"),
    errors.MissingFileError("somewhere/x.png", "image", do="make it"),
    UnlikeMachineError("node-2 has other code", do="install the same"),
    errors.UnreadableFileError(Path("x.parquet"), "parquet", "magic bytes\nand a trace"),
    errors.MissingWeightsError("no weights", do="fbench weights fetch hps"),
    errors.RefusedBySystemError("cannot write x", do="choose another --out"),
    errors.DiskFullError("full"),
    errors.InUseError("another command is at work", do="wait for it"),
    errors.NotComparableError("signatures differ"),
]


def test_a_relative_path_is_mended_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "js").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert errors.MissingFileError("runs/jss", "run", do="train").do == "did you mean runs/js?"
    assert errors.MissingFileError("rnus", "run", do="train").do == "did you mean runs?"


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_a_users_error_is_one_line_with_exit_code_two(error: errors.UserError) -> None:
    assert error.exit_code == 2
    assert str(error)
    assert "\n" not in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.given, again.allowed, again.do) == (
        str(error),
        error.given,
        error.allowed,
        error.do,
    )


def _kinds(kind: type[errors.UserError]) -> Iterator[type[errors.UserError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def test_every_kind_of_users_error_is_tried_here() -> None:
    assert {type(error) for error in EXAMPLES} == set(_kinds(errors.UserError))


def test_missing_rows_finish_with_their_own_code() -> None:
    error = errors.MissingRowsError(3, 40, "runs/eval")
    assert error.exit_code == 4
    assert not isinstance(error, errors.UserError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "3 of 40 rows" in str(error)


@pytest.mark.parametrize(
    ("typed", "best"), [("jensen-shanon", "jensen_shannon"), ("ReverseKL", "reverse_kl"), ("xyz", None)]
)
def test_the_nearest_name_comes_first(typed: str, best: str | None) -> None:
    found = errors.close_matches(typed, ["reverse_kl", "forward_kl", "jensen_shannon", "alpha"])
    assert found[:1] == ([best] if best else [])

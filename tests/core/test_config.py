"""No key is ever ignored, and every mistake says what to write instead."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import Field, model_validator

from benchmark.core.config import Config, load_config_file
from benchmark.core.errors import ConfigError, MissingFileError, UnreadableFileError, UserError

Write = Callable[[str, str], Path]


class Train(Config):
    steps: int = Field(200, gt=0)
    batch_size: int = 16
    objective: str

    @model_validator(mode="after")
    def _known(self) -> "Train":
        if self.objective == "none":
            raise ValueError("objective none trains nothing")
        return self


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.toml", 'objective = "sft"\nbatch-size = 4\n'),
        ("c.yaml", "objective: sft\nbatch_size: 4\n"),
        ("c.yml", "objective: sft\nbatch-size: 4\n"),
        ("c.json", '{"objective": "sft", "batch_size": 4}'),
    ],
)
def test_every_format_says_the_same_and_flags_win(write: Write, name: str, text: str) -> None:
    file = write(name, text)
    assert Train.resolve(file, {"steps": 7, "batch_size": None}) == Train(
        steps=7, batch_size=4, objective="sft"
    )
    assert Train.resolve(file, {"batch_size": 2}).batch_size == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"objective": "sft", "stesp": 3},
            "unknown key 'stesp'; allowed: steps, batch_size, objective; did you mean steps?",
        ),
        ({"objective": "sft", "steps": -3}, "steps is -3: Input should be greater than 0"),
        ({"objective": "sft", "steps": "many"}, "steps is 'many'"),
        ({}, "objective is not stated"),
        ({"objective": "none"}, "objective none trains nothing"),
        ({"objective": "sft", "steps": 0, "batchsize": 1}, "did you mean batch_size?"),
    ],
)
def test_a_mistake_is_one_line_that_helps(values: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Train.parse(values)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_mistake_in_a_file_names_the_file(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"c\.toml: unknown key 'stpes'"):
        Train.resolve(write("c.toml", 'objective = "sft"\nstpes = 4\n'), {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.toml", "a = = 1"),
        ("c.yaml", "a: [1"),
        ("c.json", "{"),
        ("c.json", "[1]"),
        ("c.yaml", "- 1"),
        ("c.yaml", "1: 2"),
    ],
)
def test_an_unreadable_file_is_one_line(write: Write, name: str, text: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        load_config_file(write(name, text))
    assert "\n" not in str(caught.value)


def test_yaml_cannot_run_code(write: Write) -> None:
    with pytest.raises(UnreadableFileError):
        load_config_file(write("c.yaml", "a: !!python/object/apply:os.getcwd []\n"))


def test_a_missing_file_and_an_unknown_format_are_named(write: Write, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"did you mean c\.toml\?"):
        load_config_file(write("c.toml", "").with_name("d.toml"))
    with pytest.raises(ConfigError, match=r"allowed: \.toml"):
        load_config_file(write("c.ini", ""))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.yaml", "objective: sft\nsteps: 1\nsteps: 2\n", r"line 3: the key 'steps' stands twice"),
        ("c.json", '{"objective": "sft",\n"steps": 1,\n"steps": 2}', r"'steps' stands twice \(line 3\)"),
        ("c.toml", 'objective = "sft"\nsteps = 1\nsteps = 2\n', "as TOML"),
        ("c.yaml", "batch_size: 1\nbatch-size: 2\n", "has both batch_size and batch-size"),
        ("c.json", '{"batch-size": 1, "batch_size": 2}', "has both batch-size and batch_size"),
        ("c.toml", "batch-size = 1\nbatch_size = 2\n", "has both batch-size and batch_size"),
        ("c.yaml", "[" * 2000, "as YAML"),
        ("c.json", "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_setting_stands_once_in_a_file(write: Write, name: str, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Train.resolve(write(name, text), {})


def test_a_byte_order_mark_is_no_part_of_a_file(write: Write) -> None:
    for name, text in (
        ("c.toml", 'objective = "sft"'),
        ("c.yaml", "objective: sft"),
        ("c.json", '{"objective": "sft"}'),
    ):
        assert Train.resolve(write(name, "\ufeff" + text), {}).objective == "sft"

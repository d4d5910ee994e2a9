"""Of two values of a key none is taken in silence, in any format; numbers are what they look like."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.strict import load_json, load_yaml

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_json_is_read_as_json_reads_it(value: Any) -> None:
    assert load_json(json.dumps(value)) == value


@given(st.dictionaries(st.text(max_size=5), st.integers(), min_size=1, max_size=4), st.data())
def test_a_key_twice_at_any_depth_is_named(entries: dict[str, int], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(entries)))
    pairs = [*entries.items(), (key, 7)]
    text = "{" + ", ".join(f"{json.dumps(k)}: {v}" for k, v in pairs) + "}"
    for outer in (text, f'{{"a": [{text}]}}'):
        with pytest.raises(ValueError, match="stands twice") as caught:
            load_json(outer)
        assert repr(key) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lr: 1\nsteps: 2\nlr: 3\n", 3),
        ("a:\n  lr: 1\n  lr: 2\n", 3),
        ("a: {b: 1, b: 2}\n", 1),
        ('"lr": 1\nlr: 3\n', 2),
        ("- a: 1\n  a: 2\n", 2),
    ],
)
def test_a_key_twice_in_yaml_is_named_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=rf"line {line}: the key .* stands twice"):
        load_yaml(text)


def test_json_names_the_line_of_the_second_place() -> None:
    with pytest.raises(ValueError, match=r"'beta' stands twice \(line 4\)"):
        load_json('{\n"beta": 1,\n"lr": 2,\n"beta": 3\n}')


def test_a_mapping_may_overrule_what_it_merges() -> None:
    assert load_yaml("base: &b {lr: 1, steps: 2}\nrun:\n  <<: *b\n  lr: 3\n")["run"] == {"lr": 3, "steps": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5), ("1E-5", 1e-5), ("2e3", 2000.0), ("-1.5e+2", -150.0), (".5", 0.5), ("1.", 1.0),
        ("010", 10), ("0x1F", 31), ("0o17", 15), ("-3", -3), ("+3", 3), (".inf", float("inf")),
        ("1:30", "1:30"), ("1_000", "1_000"), ("1e", "1e"), ("e5", "e5"),
        ("'1e-5'", "1e-5"), ("true", True), ("~", None), ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_numbers_in_yaml_are_those_of_json(text: str, value: object) -> None:
    found = load_yaml(f"x: {text}")["x"]
    assert found == value
    assert type(found) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_goes_through_yaml_and_back(value: float) -> None:
    assert load_yaml(f"x: {value!r}") == {"x": value}


def test_what_is_nested_too_deeply_is_said() -> None:
    for load, text in ((load_json, "[" * 100_000), (load_yaml, "[" * 2_000)):
        with pytest.raises(ValueError, match="nested too deeply|line"):
            load(text)

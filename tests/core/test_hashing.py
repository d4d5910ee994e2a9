"""Equal content, equal hash; anything else, another."""

from pathlib import Path

import pytest

from benchmark.core.hashing import plain, sha256_json, sha256_path
from benchmark.core.records import Prompt, Sampler


def test_order_and_container_do_not_matter_but_content_does() -> None:
    assert sha256_json({"a": 1, "b": [1, 2]}) == sha256_json({"b": (1, 2), "a": 1})
    assert sha256_json([1, 2]) != sha256_json([2, 1])
    assert sha256_json("1") != sha256_json(1)


def test_records_are_hashed_by_their_fields() -> None:
    assert sha256_json(Sampler()) == sha256_json(Sampler(steps=20))
    assert sha256_json(Sampler()) != sha256_json(Sampler(steps=21))
    assert plain(Prompt("a", "x", ("t",))) == {
        "id": "a",
        "text": "x",
        "tags": ["t"],
        "style": None,
        "facts_json": "",
        "attribute": None,
    }


@pytest.mark.parametrize("value", [object(), b"bytes", 1j])
def test_nothing_is_hashed_by_a_guess(value: object) -> None:
    with pytest.raises(TypeError, match="no plain form"):
        sha256_json([value])


def test_what_is_not_a_number_has_no_hash() -> None:
    with pytest.raises(ValueError, match="JSON"):
        sha256_json(float("nan"))


def test_a_folder_is_its_names_and_contents(tmp_path: Path) -> None:
    def folder(name: str, files: dict[str, str]) -> str:
        for file, text in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return sha256_path(tmp_path / name)

    one = folder("one", {"a/x": "1", "b": "2"})
    assert one == folder("two", {"b": "2", "a/x": "1"})
    assert one != folder("three", {"a/x": "1", "c": "2"})
    assert one != folder("four", {"a/x": "1", "b": "3"})

"""Names are the user's: nothing is cut off them that is no ending, and no two stay alike."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.errors import UserError
from benchmark.core.naming import fit_name, name_of, told_apart

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("runs/sdxl-1.0", "sdxl-1.0"),
        ("sdxl-1.0.jsonl", "sdxl-1.0"),
        ("sdxl-1.0.JSONL", "sdxl-1.0"),
        ("v1.5.final", "v1.5.final"),
        (".hidden", "hidden"),
        ("...", ""),
        ("猫 1.0", "猫 1.0"),
        ("a:b?c", "a_b_c"),
    ],
)
def test_only_known_endings_of_files_are_cut_off(path: str, name: str) -> None:
    assert name_of(Path(path), (".jsonl",)) == name


def test_a_folder_has_no_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "images.jsonl" / "x"
    folder.mkdir(parents=True)
    assert name_of(folder.parent, (".jsonl",)) == "images.jsonl"
    monkeypatch.chdir(folder)
    assert [name_of(Path(where)) for where in (".", "..")] == ["x", "images.jsonl"]


def test_bytes_that_are_no_text_are_one_line() -> None:
    with pytest.raises(UserError, match="not UTF-8; rename it"):
        name_of(Path("caf\udce9"))


@given(NAMES)
def test_a_fit_name_is_one_part_of_a_path_and_stays_as_it_is(name: str) -> None:
    fit = fit_name(name)
    assert fit_name(fit) == fit
    assert not set(fit) & set('/\\:*?"<>|\0\n')
    assert not fit.startswith(".")


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "images", "a_images"]), min_size=1, max_size=4), max_size=6)
)
def test_all_are_told_apart_and_who_is_alone_keeps_the_name(places: list[list[str]]) -> None:
    paths = [Path(*place) for place in places]
    names = [path.name for path in paths]
    found = told_apart(names, paths)
    assert len(set(found)) == len(paths)
    for name, new in zip(names, found, strict=True):
        assert new == name or names.count(name) > 1 or name in found
        assert name in new


def test_the_nearest_folder_that_differs_tells() -> None:
    paths = [Path("runs", model, "out", "images") for model in ("sdxl-1.0", "sdxl-1.1", "flux")]
    assert told_apart(["images"] * 3, paths) == ["sdxl-1.0_images", "sdxl-1.1_images", "flux_images"]

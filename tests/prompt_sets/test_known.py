"""Published prompt sets: known by name and by layout, of the published size, never fetched unasked."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_bytes
from benchmark.prompt_sets import fetching, load_prompt_set, registry
from benchmark.prompt_sets.known import HPD_STYLES, KNOWN, KnownSet

KNOWN_SIZES = {"parti": 1632, "hpdv2": 3200, "pickapic-test": 500, "geneval": 553, "drawbench": 200}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a folder of prompt sets nor a hub's cache of this machine counts."""
    monkeypatch.setenv(fetching.VARIABLE, str(tmp_path / "sets"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def parti(folder: Path, n: int) -> Path:
    rows = ["Prompt\tCategory\tChallenge\tNote"]
    rows += [f'"A {i}" on a wall, painted\tFood & Beverage\tWriting & Symbols\t' for i in range(n)]
    (folder / "PartiPrompts.tsv").write_text("\n".join(rows) + "\n")
    return folder / "PartiPrompts.tsv"


def hpdv2(folder: Path, n: int) -> Path:
    for style in HPD_STYLES:
        (folder / f"{style}.json").write_text(json.dumps([f"{style} of {i}" for i in range(n // 4)]))
    return folder


def pickapic(folder: Path, n: int) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"caption": f"caption {i}", "label_0": 1.0, "label_1": 0.0, "image_0_uid": str(k),
         "jpg_0": {"bytes": b"no image is looked at", "path": None}}
        for i in range(n) for k in range(2)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "test-00000-of-00001-0123456789abcdef.parquet")
    return folder / "test-00000-of-00001-0123456789abcdef.parquet"


def geneval(folder: Path, n: int) -> Path:
    rows = [
        {"tag": "two_object", "include": [{"class": "cat", "count": i}], "prompt": f"a photo of {i} cats"}
        | ({"exclude": [{"class": "cat", "count": i + 1}]} if i % 2 else {})
        for i in range(n)
    ]
    (folder / "evaluation_metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "evaluation_metadata.jsonl"


def drawbench(folder: Path, n: int) -> Path:
    with (folder / "DrawBench.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(
            [("Prompts", "Category"), *((f"A {i}, in red.", "Gary Marcus et al. ") for i in range(n))]
        )
    return folder / "DrawBench.csv"


WRITERS: dict[str, Callable[[Path, int], Path]] = {
    "parti": parti, "hpdv2": hpdv2, "pickapic-test": pickapic, "geneval": geneval, "drawbench": drawbench,
}  # fmt: skip
TAGS = {
    "parti": ("food-beverage", "writing-symbols"), "hpdv2": ("anime",), "pickapic-test": (),
    "geneval": ("two_object",), "drawbench": ("gary-marcus-et-al.",),
}  # fmt: skip
EACH = pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)


def test_the_sets_are_those_and_of_those_sizes() -> None:
    assert {known.name: known.size for known in KNOWN} == KNOWN_SIZES
    assert KNOWN_SIZES.keys() <= set(registry.names())
    assert WRITERS.keys() == KNOWN_SIZES.keys()


@EACH
def test_a_copy_is_known_by_its_layout_and_gives_the_same_set_by_name(
    known: KnownSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sets" / known.name
    folder.mkdir(parents=True)
    file = WRITERS[known.name](folder, known.size)
    found = load_prompt_set(str(file))
    assert (found.name, len(found), found.licence) == (known.name, known.size, known.licence)
    assert found.prompts[0].tags == TAGS[known.name]
    assert load_prompt_set(str(folder)) == found
    assert load_prompt_set(known.name) == load_prompt_set(known.name.upper()) == found
    assert load_prompt_set(f"{known.name}(path={str(file)!r})") == found
    assert load_prompt_set(f"{known.name}(path={str(tmp_path / 'sets')!r})") == found
    # A folder of that name here is not what the name means.
    monkeypatch.chdir(tmp_path)
    (tmp_path / known.name).mkdir()
    assert load_prompt_set(known.name) == found


@EACH
def test_a_copy_of_another_size_is_a_set_of_its_own_and_no_published_one(
    known: KnownSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = WRITERS[known.name](tmp_path, 8)
    found = load_prompt_set(str(file))
    assert (len(found), found.name, found.licence) == (8, file.stem, "")
    assert f"has 8 prompts and {known.title} has {known.size:,}" in capsys.readouterr().err
    with pytest.raises(UserError, match=rf"has {known.size:,} prompts, and .* has 8; `--prompts .*`"):
        load_prompt_set(f"{known.name}(path={str(file)!r})")


@EACH
def test_a_set_that_is_nowhere_names_its_file_its_place_and_its_command(
    known: KnownSet, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        load_prompt_set(known.name, offline=True)
    said = str(caught.value)
    assert str(tmp_path / "sets" / known.name) in said
    assert "--offline forbids to fetch it" in said
    assert (
        f"hf download {known.home.repository}" in said
        if isinstance(known.home, fetching.Hub)
        else "curl" in said
    )
    with pytest.raises(UserError, match=r"no copy of"):
        load_prompt_set(f"{known.name}(path={str(tmp_path / 'gone')!r})")


def test_a_file_of_the_hubs_cache_is_found_without_a_network(tmp_path: Path) -> None:
    known = next(known for known in KNOWN if known.name == "parti")
    assert isinstance(known.home, fetching.Hub)
    cache = tmp_path / "hub" / f"datasets--{known.home.repository.replace('/', '--')}"
    (cache / "snapshots" / "abc").mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc")
    parti(cache / "snapshots" / "abc", known.size)
    assert load_prompt_set("parti", offline=True).name == "parti"


def test_what_is_on_no_hub_is_fetched_once_and_only_if_it_is_what_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    there = geneval(tmp_path, 553)
    right = fetching.Link(there.as_uri(), sha256_bytes(there.read_bytes()))
    (file,) = fetching.fetched(right, "GenEval", tmp_path / "sets", offline=False)
    assert file.read_bytes() == there.read_bytes()
    with pytest.raises(UserError, match="is not the file that was published"):
        fetching.fetched(fetching.Link(right.url, "0" * 64), "GenEval", tmp_path / "sets", offline=False)
    with pytest.raises(
        UserError, match=r"cannot be fetched \(URLError\); `curl -L --create-dirs -o .*gone\.jsonl"
    ):
        fetching.fetched(fetching.Link(f"{right.url}/gone.jsonl", ""), "GenEval", tmp_path, offline=False)


def test_a_folder_of_several_sets_must_be_told_apart_and_one_of_none_says_which_there_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no prompt set that is known by name; allowed: parti, hpdv2"):
        load_prompt_set(str(tmp_path / "empty"))
    parti(tmp_path, 3)
    geneval(tmp_path, 3)
    with pytest.raises(
        UserError, match=r"holds the prompt sets parti, geneval; say which: --prompts \"parti\(path="
    ):
        load_prompt_set(str(tmp_path))


def test_a_column_may_be_named_in_any_case_and_only_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("Subject,prompt\na cat,x\na dog,y\n")
    assert [p.text for p in load_prompt_set(str(file), column="subject")] == ["a cat", "a dog"]
    assert [p.text for p in load_prompt_set(str(file))] == ["x", "y"]
    with pytest.raises(UserError, match=r"has no `words`; it has subject, prompt"):
        load_prompt_set(str(file), column="words")
    with pytest.raises(UserError, match="--prompt-column is for a file of prompts"):
        load_prompt_set("shapes-core", column="words")


def test_json_and_parquet_files_of_prompts(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "list.json").write_text('["a cat", "a dog"]')
    assert [p.text for p in load_prompt_set(str(tmp_path / "list.json"))] == ["a cat", "a dog"]
    (tmp_path / "styles.json").write_text('{"ink": ["a cat"], "oil paint": ["a dog"]}')
    assert [p.tags for p in load_prompt_set(str(tmp_path / "styles.json"))] == [("ink",), ("oil-paint",)]
    table = pa.table({"Caption": ["a cat", "a cat"], "id": ["x", "y"], "image": [b"1", b"2"]})
    pq.write_table(table, tmp_path / "table.parquet")
    assert [(p.id, p.text) for p in load_prompt_set(str(tmp_path / "table.parquet"))] == [
        ("x", "a cat"),
        ("y", "a cat"),
    ]


def test_they_are_listed_with_size_source_and_licence_and_nothing_is_fetched() -> None:
    from benchmark.cli.app import app

    done = CliRunner().invoke(app, ["list", "prompts"])
    assert done.exit_code == 0
    for known in KNOWN:
        assert known.summary in done.stdout
        assert f"{known.size:,} prompts" in known.summary
        assert f"licence {known.licence}" in known.summary


@pytest.mark.parametrize("command", ["eval", "pairs"])
def test_a_known_file_and_a_named_column_go_through_the_commands(command: str, tmp_path: Path) -> None:
    from benchmark.cli.app import app

    words = [
        command,
        "--prompts",
        str(parti(tmp_path, 3)),
        "--scorers",
        "clip",
        "--out",
        str(tmp_path / "o"),
        "--dry-run",
    ]
    for more, code in (([], 0), (["--prompt-column", "PROMPT"], 0), (["--prompt-column", "words"], 2)):
        done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code == code, done.output
    assert "has no `words`" in done.stderr

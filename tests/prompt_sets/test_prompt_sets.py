"""Every committed set is what its card says; a user's file becomes a set, or one line says why not."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.core import resources
from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.hashing import sha256_file
from benchmark.core.store import write_json
from benchmark.prompt_sets import committed, load_prompt_set, registry

Write = Callable[[str, str], Path]


def test_every_committed_set_loads_and_is_what_its_card_says() -> None:
    names = sorted(path.stem for path in resources.prompts_folder().glob("*.json"))
    assert names, "no prompt set is committed"
    for entry in (entry for entry in registry if entry.name in names):
        found = load_prompt_set(entry.name)
        assert len(found) > 0
        assert found.name == entry.name
        assert found.licence
        assert found.source
        assert entry.describe()


def test_every_file_of_prompts_has_a_card() -> None:
    folder = resources.prompts_folder()
    assert {p.stem for p in folder.glob("*.jsonl")} == {p.stem for p in folder.glob("*.json")}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.txt", "a red star\n\n  two moons \n"),
        ("p.csv", 'prompt,tags\na red star,"colour;shape"\ntwo moons,count\n'),
        (
            "p.jsonl",
            '{"text": "a red star", "tags": ["colour", "shape"]}\n{"prompt": "two moons", "tags": "count"}\n',
        ),
        ("p.txt", "\ufeffa red star\r\ntwo moons\r\n"),
        ("p.csv", '\ufeffPrompt;Tags\r\na red star;"colour shape"\r\ntwo moons;count\r\n'),
        ("p.tsv", "TEXT\ttags\na red star\tcolour shape\ntwo moons\tcount\n"),
        ("p.csv", "caption\ttags\na red star\tcolour shape\ntwo moons\tcount\n"),
        (
            "p.json",
            '[{"Text": "a red star", "tags": "colour shape"}, {"text": "two moons", "tags": ["count"]}]',
        ),
    ],
)
def test_a_users_file_becomes_a_set(write: Write, name: str, text: str) -> None:
    found = load_prompt_set(str(write(name, text)))
    assert [(p.id, p.text) for p in found] == [("0000", "a red star"), ("0001", "two moons")]
    if not name.endswith(".txt"):
        assert [p.tags for p in found] == [("colour", "shape"), ("count",)]


def test_rows_keep_their_id_style_and_facts(write: Write) -> None:
    path = write("p.jsonl", '{"id": "x-1", "text": "a\\u2028b", "style": "winter", "facts": {"n": 2}}\n')
    prompt = load_prompt_set(str(path)).prompts[0]
    assert (prompt.id, prompt.style, prompt.facts) == ("x-1", "winter", {"n": 2})


def test_a_csv_cell_may_hold_a_line_break(write: Write) -> None:
    found = load_prompt_set(str(write("p.csv", 'text\n"a red\nstar"\nmoon\n')))
    assert [p.text for p in found] == ["a red\nstar", "moon"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.txt", "\n", "it holds no prompt"),
        ("p.jsonl", '{"text": "a"}\n{"text": \n', "line 2:"),
        ("p.jsonl", '"a"\n', "line 1 is not an object"),
        ("p.jsonl", '{"words": "a"}\n', "prompt 1 has no `text`, `prompt` or `caption`; it has words"),
        ("p.csv", "id,prompt\n1,a circle\n2,a circle, left\n", "line 3 has 3 cells, the header 2"),
        ("p.csv", "prompt,Prompt\na,b\n", "'Prompt' in two spellings"),
        ("p.jsonl", '{"id": "1", "text": "a", "text": "b"}\n', "line 1: the key 'text' stands twice"),
        ("p.json", '["a", 3]', "entry 2 is neither a text nor an object"),
        ("p.json", '{"a": 1}', "neither a list of prompts nor {style: texts}"),
        ("p.parquet", "no parquet", "it is no parquet"),
        ("p.txt", "a\0b\n", "zero byte"),
        ("p.csv", "id,text\n1,a\n1,b\n", "two prompts have the id '1'"),
        ("p.jsonl", '{"id": "../a", "text": "a"}\n', "usable as a file name"),
        (
            "p.jsonl",
            '{"text": "a", "tags": 5}\n',
            "prompt 1 (line 1) has tags that are neither a text nor a list",
        ),
        ("p.jsonl", '{"text": "a", "tags": {"b": 1}}\n', "neither a text nor a list"),
        ("p.jsonl", '{"text": "a", "style": 5}\n', "has a style that is no text"),
        *(
            ("p.jsonl", f'{{"text": "a", "id": "b", {field}}}\n'.replace("?", r"\ud83d"), "a lone surrogate")
            for field in (
                '"prompt": "", "tags": "a?"',
                '"tags": ["?"]',
                '"style": "?"',
                '"attribute": "?", "values": ["c", "d"]',
                '"attribute": "b", "values": ["?", "d"]',
            )
        ),
        ("p.jsonl", r'{"text": "a\ud83d"}', "a lone surrogate"),
        ("p.jsonl", r'{"text": "a", "id": "\ud83d"}', "a lone surrogate"),
    ],
)
def test_a_file_that_is_no_prompt_set_says_why(write: Write, name: str, text: str, said: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        load_prompt_set(str(write(name, text)))
    assert said in str(caught.value)


def test_a_parquet_file_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.Table.from_arrays([["a"], ["b"]], names=["text", "text"]), path)
    with pytest.raises(UnreadableFileError, match="two columns are called 'text'"):
        load_prompt_set(str(path))


def test_a_missing_file_and_an_unknown_name_are_told_apart(write: Write) -> None:
    with pytest.raises(UserError, match=r"no prompt file at .*did you mean p\.txt\?"):
        load_prompt_set(str(write("p.txt", "a").with_name("q.txt")))
    with pytest.raises(UserError, match="unknown prompt set 'no-such-set'"):
        load_prompt_set("no-such-set")


def test_a_part_is_never_taken_for_the_whole(write: Write) -> None:
    path = str(write("p.txt", "a\nb\nc\n"))
    whole, part = load_prompt_set(path), load_prompt_set(path, limit=2)
    assert len(part) == 2
    assert part.version != whole.version
    assert part.sha256 != whole.sha256
    assert load_prompt_set(path, limit=3) == whole
    with pytest.raises(UserError, match="--limit is 0"):
        load_prompt_set(path, limit=0)


def test_prompts_that_changed_do_not_keep_their_version(write: Write) -> None:
    rows = write("set.jsonl", '{"text": "a"}\n')
    card = rows.with_suffix(".json")
    write_json(card, {"version": 1, "source": "us", "licence": "Apache-2.0", "sha256": sha256_file(rows)})
    assert committed.read_committed(card).version == "1"
    rows.write_text('{"text": "b"}\n')
    with pytest.raises(UserError, match="has changed"):
        committed.read_committed(card)


def test_a_card_states_where_its_prompts_come_from(write: Write) -> None:
    with pytest.raises(UnreadableFileError, match="look at: source, licence, sha256"):
        committed.read_card(write("set.json", '{"version": 1}'))

"""A table's rows come back as they were written, or one line names the row that cannot be."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.core.strict import table_rows

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAMES = ("id", "prompt", "tags")
ROWS = st.lists(st.tuples(*[CELL.filter(str.strip) for _ in NAMES]), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("suffix", "delimiter"), [(".csv", ","), (".csv", ";"), (".csv", "\t"), (".tsv", "\t"), (".tsv", ",")]
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@settings(max_examples=25)
@given(rows=ROWS)
def test_what_a_writer_of_tables_wrote_comes_back(
    suffix: str, delimiter: str, ending: str, rows: list[tuple[str, ...]]
) -> None:
    out = io.StringIO()
    # All cells in quotes: only then line ends and quotes in them are the writer's on every reader's word.
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
    out.write(delimiter.join(NAMES) + ending)
    writer.writerows(rows)
    assert [tuple(row.values()) for _, row in table_rows(out.getvalue(), suffix)] == rows


@given(
    rows=st.lists(
        st.tuples(*[CELL.filter(lambda c: c.strip() and not set(c) & set('"\r\n\t')) for _ in NAMES]),
        max_size=5,
    )
)
def test_a_tab_separated_file_without_quotes_is_what_it_looks_like(rows: list[tuple[str, ...]]) -> None:
    text = "".join("\t".join(row) + "\n" for row in (NAMES, *rows))
    assert [tuple(row.values()) for _, row in table_rows(text, ".tsv")] == rows


@given(rows=st.lists(st.dictionaries(CELL, CELL, max_size=3), max_size=5))
def test_jsonl_comes_back(rows: list[dict[str, str]]) -> None:
    for ascii_only in (True, False):
        text = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
        assert [row for _, row in table_rows(text, ".jsonl")] == rows


def test_quotes_of_a_text_in_a_tab_separated_file_stay() -> None:
    text = 'Prompt\tNote\n"O N E" on a wall\tx\nplain\ty\n'
    assert [row["Prompt"] for _, row in table_rows(text, ".tsv")] == ['"O N E" on a wall', "plain"]
    quoted = 'Prompt\tNote\n"""O N E"" on a wall"\tx\nplain\ty\n'
    assert [row["Prompt"] for _, row in table_rows(quoted, ".tsv")] == ['"O N E" on a wall', "plain"]


@pytest.mark.parametrize(
    ("suffix", "text", "said"),
    [
        (".csv", 'id,prompt\n1,"a circle, left"\n2,a circle, left\n', "line 3 has 3 cells, the header 2"),
        (".csv", "prompt\na circle\na circle, left\n", "line 3 has 2 cells, the header 1 .*in quotes"),
        (".csv", "id,prompt,tags\n1,a,b\n2,a\n", "line 3 has 2 cells, the header 3"),
        (".csv", "id,prompt,prompt\n1,a,b\n", "two columns are called 'prompt'"),
        (".csv", 'id,prompt\n1,"a"b\n', "line 2: "),
        (".csv", 'id,prompt\n1,a\n2,"a\n', "line 3: "),
        (".csv", "id,prompt\n1,a\0b\n", "line 2 has a zero byte"),
        (".csv", "id;prompt\n1;a;b\n", "line 2 has 3 cells, the header 2"),
        (".tsv", "id\tprompt\n1\ta\tb\n", "line 2 has 3 cells, the header 2"),
        (".jsonl", '{"id": 1}\n{"id": 1, "id": 2}\n', "line 2: the key 'id' stands twice"),
        (".jsonl", '{"id": 1}\n[1]\n', "line 2 is not an object"),
    ],
)
def test_a_row_that_cannot_be_read_whole_is_named(suffix: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        table_rows(text, suffix)


def test_what_spreadsheets_leave_is_no_row() -> None:
    text = "id, prompt\n1,a\n,\n\n2,b\n , \n"
    assert table_rows(text, ".csv") == [(2, {"id": "1", "prompt": "a"}), (5, {"id": "2", "prompt": "b"})]

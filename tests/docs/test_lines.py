"""Lines of the pages that are written from the code."""

from tools.docs.lines import WIDTH, table_row, wrapped


def test_text_is_wrapped_between_words_and_never_within_code_or_formulas() -> None:
    code = "`fbench score a --name b --scorers c`"
    text = f"{'word ' * 18}{code} and {'word ' * 12}$a + b$ end"
    lines = wrapped(text, "* ").splitlines()
    assert " ".join(" ".join(lines).split()) == f"* {text}"
    assert all(len(line) <= WIDTH for line in lines)
    assert any(code in line for line in lines)
    assert [line[:2] for line in lines] == ["* ", *["  "] * (len(lines) - 1)]


def test_no_line_begins_as_an_item_of_a_list() -> None:
    lines = wrapped("x - " * 80).splitlines()
    assert len(lines) > 2
    assert not any(line.startswith("- ") for line in lines)


def test_a_bar_in_a_cell_is_escaped() -> None:
    assert table_row("`a|b`", "c") == "| `a\\|b` | c |"

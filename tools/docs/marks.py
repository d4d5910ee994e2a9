"""Pages written by hand with places for what a command writes: figures of a measurement, tables."""

from collections.abc import Mapping
from pathlib import Path

from benchmark.core import store
from benchmark.core.errors import UserError


def between_marks(page: Path, name: str, text: str) -> str:
    """A page with other text between its marks ``<!-- name -->`` and ``<!-- end of name -->``.

    Raises:
        UserError: if it lacks them.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    content = page.read_text(encoding="utf-8")
    if begin not in content or end not in content:
        raise UserError(f"{page} has no place for {name}", allowed=f"{begin} and {end}")
    head, _, rest = content.partition(begin)
    return f"{head}{begin}\n{text}\n{end}{rest.partition(end)[2]}"


def write_texts(page: Path, texts: Mapping[str, str]) -> None:
    """Puts texts between the marks of their names.

    Raises:
        UserError: if the page lacks one.
    """
    for name, text in texts.items():
        store.write_text(page, between_marks(page, name, text))

"""Writes ``docs/scorers.md`` from the registry: ``python -m tools.docs.scorers_page docs/scorers.md``.

With other packages' scorers installed these stand on the page as well.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmark.core.registry import Entry
from benchmark.scorers import FAMILIES
from benchmark.scorers.base import Scorer, scorers
from tools.docs.lines import table_row, wrapped

_HEAD = """# Scorers

Written by `python -m tools.docs.scorers_page docs/scorers.md` from what the scorers say of themselves; a test
keeps it so.

A scorer gives one number in one direction about an image, about the images of one prompt, or about a whole
set. `fbench eval` and `fbench score` take them by name, with options in brackets:

```sh
fbench eval --checkpoint base --scorers "true_reward,clip(precision='bf16'),lpips"
```

Every number carries its scorer's version, which holds the hash of weights and references: numbers of
different versions are never in one table. Where there is no number there is a row with the reason: see
[what becomes of bad inputs](scoring-your-images.md#what-becomes-of-bad-inputs). Published weights are fetched
once: see [weights](weights.md). To add a scorer of your own, see [adding a scorer](adding-a-scorer.md).

A scorer is *in-domain* for a checkpoint that was trained on data the scorer was trained on or selected by;
the leaderboard marks it. Where a scorer states a bf16 tolerance, `precision='bf16'` moves its numbers by no
more than that, and is another version.

| scorer | about | axis | better | scale | what |
|:--|:--|:--|:--|:--|:--|
"""


def markdown(entries: Iterable[Entry[Scorer]] = scorers) -> str:
    """The whole page.

    Args:
        entries: The scorers on it; those of other packages are imported.
    """
    kinds = [entry.load() for entry in entries]
    families = [
        f"`--scorers {name}` stands for {', '.join(f'`{member}`' for member in members)}."
        for name, members in FAMILIES.items()
    ]
    table = "\n".join(_row(kind) for kind in kinds)
    return "\n".join([_HEAD + table + "\n", *families, "", *(_section(kind) for kind in kinds)])


def _row(kind: Any) -> str:
    better = "higher" if kind.higher_is_better else "lower"
    link = f"[`{kind.name}`](#{kind.name})"
    return table_row(link, kind.unit, kind.axis, better, kind.scale, _paragraphs(kind)[0])


def _section(kind: Any) -> str:
    lines = [f"## `{kind.name}` {{#{kind.name}}}\n"]
    lines += [f"{wrapped(text)}\n" for text in _paragraphs(kind)]
    lines += [wrapped(fact, "* ") for fact in _facts(kind)]
    return "\n".join(lines) + "\n"


def _facts(kind: Any) -> Iterator[str]:
    yield f"version: {kind.version}"
    if kind.in_domain_for:
        yield f"in-domain for: {', '.join(kind.in_domain_for)}"
    if tolerance := getattr(kind, "bf16_tolerance", None):
        yield f"bf16 tolerance: {tolerance:g}"
    yield from _weights(kind)
    if kind.reference:
        yield f"source: {kind.reference}"
    for name, default, text in _options(kind):
        yield f"`{name}`, default `{default}`: {text}"


def _weights(kind: Any) -> Iterator[str]:
    for options, releases in getattr(kind, "published", {}).items():
        call = f" with `{options}`" if options else ""
        names = ", ".join(f"`{name}`" for name in releases)
        yield f"published weights{call}: {names or 'none are needed'}"


def _paragraphs(kind: Any) -> list[str]:
    """The docstring before its sections, each paragraph in one line."""
    text = re.split(r"^(?:Args|Attributes|Raises):$", _doc(kind), maxsplit=1, flags=re.MULTILINE)[0]
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _options(kind: Callable[..., Any]) -> Iterator[tuple[str, str, str]]:
    """Name, default and meaning of each argument, as the docstring says it."""
    said = re.search(r"^Args:\n(.*?)(?:^\S|\Z)", _doc(kind), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(
        r"^    (\w+): (.*?)(?=^    \w+: |\Z)", said[1] if said else "", re.MULTILINE | re.DOTALL
    )
    meaning = {name: " ".join(text.split()) for name, text in found}
    for name, parameter in inspect.signature(kind).parameters.items():
        if name in meaning:
            yield name, repr(parameter.default), meaning[name]


def _doc(kind: object) -> str:
    return inspect.getdoc(kind) or ""


if __name__ == "__main__":
    from benchmark.core.store import write_text

    write_text(Path(sys.argv[1]), markdown())

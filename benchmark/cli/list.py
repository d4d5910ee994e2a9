"""``fbench list``: what there is, from the registries, one line each."""

from collections.abc import Callable
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say_json, say_table
from benchmark.core.errors import UnknownNameError
from benchmark.core.registry import Registry

app = typer.Typer(add_completion=False, rich_markup_mode="rich")

Fact = str | bool | list[str]
Listed = list[dict[str, Fact]]

_SCORER_FACTS = ("axis", "unit", "higher_is_better", "version", "scale", "in_domain_for", "reference")


def _divergences() -> Listed:
    from trainers.divergences import divergences

    return _entries(divergences)


def _objectives() -> Listed:
    from trainers.objectives import objectives

    return _entries(objectives)


def _prompts() -> Listed:
    from benchmark.prompt_sets import registry

    return _entries(registry)


def _models() -> Listed:
    from benchmark.models import models

    return _entries(models)


def _scorers() -> Listed:
    from benchmark.scorers import scorers

    return _entries(scorers, _SCORER_FACTS)


def _presets() -> Listed:
    from trainers.presets import PRESETS

    return [
        {"name": found.name, "summary": found.summary, "source": found.source, "expected": found.gives}
        for found in PRESETS.values()
    ]


_KINDS: dict[str, Callable[[], Listed]] = {
    "divergences": _divergences,
    "objectives": _objectives,
    "scorers": _scorers,
    "prompts": _prompts,
    "models": _models,
    "presets": _presets,
}


@app.command("list")
def list_names(
    kind: Annotated[str, typer.Argument(metavar="|".join(_KINDS), help="What to list.")],
    as_json: options.AsJson = False,
) -> None:
    """Lists what can be named on the command line.

    Examples:
      fbench list divergences
      fbench list scorers --json
    """
    if kind not in _KINDS:
        raise UnknownNameError("list", kind, _KINDS)
    listed = _KINDS[kind]()
    if as_json:
        say_json(listed)
        return
    rows = [_line(facts) for facts in listed]
    width = max(map(len, rows), default=0)
    # What another package's entry would say of itself is not known before it is imported.
    say_table([[row[0], *["-"] * (width - len(row)), *row[1:]] for row in rows])


def _entries(registry: Registry, facts: tuple[str, ...] = ()) -> Listed:  # type: ignore[type-arg]  # of any kind
    found: Listed = []
    for entry in registry:
        line: dict[str, Fact] = {"name": entry.name, "summary": entry.describe()}
        # Another package's entry is not imported only to be listed.
        maker = None if entry.lazy else entry.load()
        for fact in facts if maker is not None else ():
            value = getattr(maker, fact)
            line[fact] = list(value) if isinstance(value, tuple) else value
        found.append(line)
    return found


def _line(facts: dict[str, Fact]) -> list[str]:
    """The columns for people: a scorer's facts stand before its summary, a preset's source after it."""
    words = [str(facts["name"])]
    if "axis" in facts:
        better = "higher" if facts["higher_is_better"] else "lower"
        words += [str(facts["axis"]), str(facts["unit"]), better]
    words.append(str(facts["summary"]))
    return [*words, f"[{facts['source']}]"] if "source" in facts else words

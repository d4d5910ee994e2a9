"""The study's part of docs/diversity.md."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

BEGIN: Final = "<!-- begin: python -m tools.studies.diversity -->"
END: Final = "<!-- end -->"


def with_block(page: str, block: str) -> str:
    """The page with its generated part replaced.

    Raises:
        ValueError: if the page has no place for it.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{block}{END}{after}"


def block(findings: Mapping[str, Any]) -> str:
    """The tables.

    Args:
        findings: As read from the JSON file.
    """
    scorers = list(findings["sets"][0]["means"])
    controls = list(dict.fromkeys(c["control"] for c in findings["controls"]))
    lines = [
        "",
        f"`{findings['command']}`",
        "",
        f"{findings['suite']}",
        "",
        "### Agreement with the truth",
        "",
        "Spearman's rank correlation with `true_diversity` over image sets, with its 95 % interval:",
        "",
        *_agreement(findings["agreement"]),
        "",
        "### What fools them",
        "",
        "Paired difference to the base's images, with its 95 % interval. None of these changes makes images",
        "more varied, so a scorer that rises is fooled (**bold**). A dash: too few prompts keep two accepted",
        "images.",
        "",
        f"| scorer | base | {' | '.join(controls)} |",
        f"| :-- | --: |{' --: |' * len(controls)}",
        *(_control_line(scorer, findings["controls"]) for scorer in scorers),
        "",
        "### The image sets",
        "",
        "Means over the prompts that have a number; `prompts` counts those with a `true_diversity`.",
        "",
        f"| images | prompts | {' | '.join(f'`{s}`' for s in scorers)} |",
        f"| :-- | --: |{' --: |' * len(scorers)}",
        *(_set_line(row, scorers) for row in findings["sets"]),
        "",
    ]
    return "\n".join(lines) + "\n"


def _agreement(found: Sequence[Mapping[str, Any]]) -> list[str]:
    among = {a["among"]: a["sets"] for a in found}
    cells = {(a["scorer"], a["among"]): a for a in found}
    lines = [
        f"| scorer | {' | '.join(f'{what} ({sets} sets)' for what, sets in among.items())} |",
        f"| :-- |{' --: |' * len(among)}",
    ]
    for scorer in dict.fromkeys(a["scorer"] for a in found):
        shown = " | ".join(_interval(cells[scorer, what], "rho", ".2f") for what in among)
        lines.append(f"| `{scorer}` | {shown} |")
    return lines


def _control_line(scorer: str, controls: Sequence[Mapping[str, Any]]) -> str:
    mine = [c for c in controls if c["scorer"] == scorer]
    cells = [_interval(c, "difference", "+.3f") for c in mine]
    shown = [f"**{cell}**" if c["fooled"] else cell for c, cell in zip(mine, cells, strict=True)]
    return f"| `{scorer}` | {_value(mine[0]['base'])} | {' | '.join(shown)} |"


def _set_line(row: Mapping[str, Any], scorers: Sequence[str]) -> str:
    return f"| {row['name']} | {row['prompts']} | {' | '.join(_value(row['means'][s]) for s in scorers)} |"


def _interval(cell: Mapping[str, Any], name: str, form: str) -> str:
    value, lo, hi = cell[name], cell["lo"], cell["hi"]
    if value is None:
        return "–"
    return format(value, form) + ("" if lo is None else f" [{lo:{form}}, {hi:{form}}]")


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

"""The committed figures of the simulations, and their block in the guide."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.special import ndtri

from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.store import read_json, write_text
from tools.simulations.cases import Outcome
from tools.simulations.running import CaseResult

BEGIN: Final = "<!-- simulations: made by `python -m tools.simulations`, not by hand -->"
END: Final = "<!-- simulations: end -->"


def wilson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    r"""Interval of a share.

    $(\hat p + z^2/2n \pm z \sqrt{\hat p (1 - \hat p)/n + z^2/4n^2}) / (1 + z^2/n)$.

    Source:
        Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).
    """
    z, p = float(ndtri((1 + level) / 2)), hits / n
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    middle = p + z * z / (2 * n)
    return float((middle - half) / (1 + z * z / n)), float((middle + half) / (1 + z * z / n))


def kept_its_word(outcome: Outcome, level: float = 0.95) -> bool | None:
    """Whether the share seen is as asked, chance allowed for; None where nothing is asked.

    The interval of the share must reach into what is asked: with few tables that says little, with 4,000
    the one of 95 % is within 0.7 points.

    Args:
        outcome: What was seen.
        level: Of the interval.
    """
    if outcome.least <= 0 and outcome.most >= 1:
        return None
    lo, hi = wilson(outcome.hits, outcome.n, level)
    return lo <= outcome.most and hi >= outcome.least


def record(results: Sequence[CaseResult], tables: int, resamples: int, command: str) -> dict[str, Any]:
    """What ``results/simulations.json`` holds."""
    return {
        "command": command,
        "tables": tables,
        "resamples": resamples,
        "cases": [
            {
                "case": result.case,
                "tables": tables,
                "setting": result.setting,
                "seconds": result.seconds,
                "outcomes": [_outcome(o) for o in result.outcomes],
            }
            for result in results
        ],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    if outcome.total is not None:
        mean = round(outcome.total / outcome.n, 4)
        return {
            "row": outcome.row,
            "column": outcome.column,
            "n": outcome.n,
            "mean": mean,
            "asked": [0.0, 1.0],
        }
    lo, hi = wilson(outcome.hits, outcome.n)
    return {
        "row": outcome.row,
        "column": outcome.column,
        "n": outcome.n,
        "share": round(outcome.hits / outcome.n, 4),
        "lo": round(lo, 4),
        "hi": round(hi, 4),
        "asked": [round(outcome.least, 4), round(outcome.most, 4)],
        "kept": kept_its_word(outcome),
    }


def beside_others(study: dict[str, Any], results: Path, order: Sequence[str]) -> dict[str, Any]:
    """A study of some cases with the others as they are recorded: what the whole command would give.

    Args:
        study: As of :func:`record`; its cases may have another number of tables than the others.
        results: The JSON file of a whole study; where there is none, the study stays alone.
        order: Of the cases.

    Raises:
        UserError: If the recorded ones have another number of resamples.
    """
    if not results.is_file():
        return study
    known = read_json(results, "figures of simulations")
    if known["resamples"] != study["resamples"]:
        raise UserError(
            f"some cases are asked for with {study['resamples']} resamples",
            allowed=f"{known['resamples']}, as {results} has",
            do="give --resamples, or leave --only out",
        )
    cases = {case["case"]: case for case in (*known["cases"], *study["cases"])}
    return {**known, "cases": [cases[name] for name in order if name in cases]}


def markdown(study: dict[str, Any]) -> str:
    """The tables of a recorded study, one a case."""
    lo, hi = (_percent(end) for end in wilson(round(0.95 * study["tables"]), study["tables"]))
    size = f"{study['tables']:,} tables a setting unless said otherwise, {study['resamples']:,} resamples"
    how = f"Shares in per cent, what is asked in brackets; 95 is known here as {lo} to {hi}."
    parts = [f"Made by `{study['command']}`: {size}. {how}"]
    for case in study["cases"]:
        # Studies of before a case could have a number of its own do not say it.
        tables = case.get("tables", study["tables"])
        own = f" {tables:,} tables." if tables != study["tables"] else ""
        parts += ["", f"### {case['case']}", "", case["setting"] + own, "", *_table(case["outcomes"])]
    return "\n".join(parts)


def _table(outcomes: Sequence[dict[str, Any]]) -> list[str]:
    """One line a row; what is asked stands in the head where a whole column is asked the same."""
    columns = list(dict.fromkeys(o["column"] for o in outcomes))
    asked = {c: {_asked(*o["asked"]) for o in outcomes if o["column"] == c} for c in columns}
    heads = [f"{c} ({_only(asked[c])})" if _only(asked[c]) else c for c in columns]
    lines = [f"| | {' | '.join(heads)} |", f"| :-- |{' --: |' * len(columns)}"]
    cells = {(o["row"], o["column"]): _cell(o, alone=len(asked[o["column"]]) > 1) for o in outcomes}
    rows = dict.fromkeys(o["row"] for o in outcomes)
    return lines + [f"| {row} | {' | '.join(cells.get((row, c), '') for c in columns)} |" for row in rows]


def _only(asked: set[str]) -> str:
    return next(iter(asked)) if len(asked) == 1 else ""


def _cell(outcome: dict[str, Any], *, alone: bool) -> str:
    if "mean" in outcome:
        return f"{outcome['mean']:+.3f}"
    asked = _asked(*outcome["asked"])
    word = f" ({asked})" if alone and asked else ""
    return f"{_percent(outcome['share'])}{word}{' ✗' if outcome['kept'] is False else ''}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _asked(least: float, most: float) -> str:
    if least <= 0 and most >= 1:
        return ""
    if most >= 1:
        return f"≥ {100 * least:g}"
    return f"≤ {100 * most:g}" if least <= 0 else f"{100 * least:g} to {100 * most:g}"


def write(study: dict[str, Any], results: Path, page: Path | None) -> None:
    """Writes the figures, and their block in the page.

    Args:
        study: As of :func:`record`.
        results: The JSON file.
        page: Holds a block between the two marks; None to leave the guide alone.

    Raises:
        UnreadableFileError: If the page has no block.
    """
    write_text(results, json.dumps(study, indent=1, ensure_ascii=False) + "\n")
    if page is None:
        return
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UnreadableFileError(page, "a page with a block of simulations", f"it lacks {BEGIN} or {END}")
    write_text(page, f"{before}{BEGIN}\n\n{markdown(study)}\n\n{END}{after}")

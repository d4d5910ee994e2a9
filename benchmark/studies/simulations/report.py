"""The committed figures of the simulations, and their block in the guide."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.special import ndtri

from benchmark.core.errors import UnreadableFileError
from benchmark.core.store import write_text
from benchmark.studies.simulations.cases import Outcome
from benchmark.studies.simulations.running import CaseResult

BEGIN: Final = "<!-- simulations: made by `python -m benchmark.studies.simulations`, not by hand -->"
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


def kept_its_word(outcome: Outcome) -> bool | None:
    """Whether the share seen is as asked, chance allowed for; None where nothing is asked.

    The 95 % interval of the share must reach into what is asked: with few tables that says little, with
    4,000 it is within 0.7 points.
    """
    if outcome.least <= 0 and outcome.most >= 1:
        return None
    lo, hi = wilson(outcome.hits, outcome.n)
    return lo <= outcome.most and hi >= outcome.least


def record(results: Sequence[CaseResult], resamples: int, command: str) -> dict[str, Any]:
    """What ``results/simulations.json`` holds."""
    return {
        "command": command,
        "resamples": resamples,
        "cases": [
            {
                "case": result.case,
                "setting": result.setting,
                "seconds": result.seconds,
                "outcomes": [_outcome(o) for o in result.outcomes],
            }
            for result in results
        ],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    lo, hi = wilson(outcome.hits, outcome.n)
    return {
        "label": outcome.label,
        "tables": outcome.n,
        "share": round(outcome.hits / outcome.n, 4),
        "lo": round(lo, 4),
        "hi": round(hi, 4),
        "asked": [round(outcome.least, 4), round(outcome.most, 4)],
        "kept": kept_its_word(outcome),
    }


def markdown(study: dict[str, Any]) -> str:
    """The tables of a recorded study, one a case."""
    parts = [
        f"Made by `{study['command']}`, {study['resamples']:,} resamples each; shares with 95 % intervals."
    ]
    for case in study["cases"]:
        parts += ["", f"**{case['case']}.** {case['setting']}", ""]
        parts += ["| what | share | asked | tables |", "| :-- | --: | --: | --: |"]
        parts += [_line(o) for o in case["outcomes"]]
    return "\n".join(parts)


def _line(outcome: dict[str, Any]) -> str:
    share = f"{_percent(outcome['share'])} [{_percent(outcome['lo'])}, {_percent(outcome['hi'])}]"
    mark = " ✗" if outcome["kept"] is False else ""
    return f"| {outcome['label']} | {share}{mark} | {_asked(*outcome['asked'])} | {outcome['tables']:,} |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _asked(least: float, most: float) -> str:
    if least <= 0 and most >= 1:
        return ""
    if most >= 1:
        return f"≥ {_percent(least)}"
    return f"≤ {_percent(most)}" if least <= 0 else f"{_percent(least)} to {_percent(most)}"


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

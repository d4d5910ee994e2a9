"""The findings as a page of words, tables and figures."""

from collections.abc import Sequence
from typing import Final

from benchmark.leaderboard.same_method import seeds_for_a_claim
from tools.studies.styles.figure import SEEN
from tools.studies.styles.findings import ALL
from tools.studies.styles.records import Change, Claim, Findings, Reading

FIGURE: Final = "style-against-content.png"
_SHOWN: Final = {
    "true_style": "read as the style",
    "oracle": "oracle",
    "scene_rate": "scene rate",
    "true_diversity": "true diversity",
    "style_fd": "style_fd",
    "style_cosine": "style_cosine",
}
"""Scorers of the table and the headings of their columns."""
_CLAIMED: Final = ("Diffusion-DPO", "SFT")
"""Whom the paper says RPO beats."""


def markdown(found: Findings) -> str:
    """The whole page.

    Args:
        found: What to write.
    """
    lines = [
        "# Style alignment in the embedded world",
        "",
        *verdict_lines(found.claims),
        "",
        f"![style against content]({FIGURE})",
        "",
        "## The claim: RPO aligns style better than Diffusion-DPO and SFT",
        "",
        "RPO less the other method, where both have lost equally much content (`oracle`), at 25, 50 and 75 %",
        "of the range that the two have reached; below, the content of RPO less the other's where both show",
        "the style equally often. 95 % intervals over training seeds and prompts.",
        *(line for reading in _readings(found.claims) for line in ("", *claim_table(found.claims, reading))),
        "",
        _few_seeds(found.seeds),
        "",
        "## What the presets gain and lose",
        "",
        "From the base to the policies of the last step, with the paired difference and its 95 % interval",
        "over training seeds and prompts. In bold: the style is read in at least",
        f"{100 * SEEN:.0f} % of the pictures.",
        "",
        *_table(_change_rows(found.changes)),
        "",
        "A policy loses content where `oracle` falls. References of `style_fd` and `style_cosine` are the",
        "preferred images of the pairs that the policies learn from.",
        "",
        "## Pictures",
        "",
        "The base model and one policy of each method, that of the first training seed at the last step.",
        "",
        *(f"![{style}]({style}/sheet.png)" for style in found.suites),
        "",
        f"Made by `{found.command}`.",
        "",
        *(
            f"- {style}: {found.suites[style]}. Signature: `{found.signatures[style]}`"
            for style in found.suites
        ),
        "",
    ]
    return "\n".join(lines)


def verdict_lines(claims: Sequence[Claim]) -> list[str]:
    """The claim in words, against each method that the paper names, over all styles that there are."""
    styles = list(dict.fromkeys(claim.style for claim in claims))
    style = ALL if ALL in styles else styles[0]
    lines = []
    for against in _CLAIMED:
        words = {
            reading: in_words(
                [c for c in claims if (c.style, c.against, c.reading) == (style, against, reading)]
            )
            for reading in _readings(claims)
        }
        said = "; ".join(f"{reading}: {word}" for reading, word in words.items())
        lines.append(f"* **RPO aligns style better than {against}** ({style.replace('_', ' ')}): {said}.")
    return lines


def in_words(claims: Sequence[Claim]) -> str:
    """What one contrast says at its levels: one word where it says the same at all of them."""
    words = list(dict.fromkeys(claim.word for claim in claims))
    if words == ["no overlap"]:
        return "no overlap, nothing is said"
    if len(words) == 1:
        return f"{words[0]} at all levels"
    at = {word: [f"{100 * claim.share:.0f} %" for claim in claims if claim.word == word] for word in words}
    return ", ".join(f"{word} at {_and(levels)}" for word, levels in at.items())


def claim_table(claims: Sequence[Claim], reading: Reading) -> list[str]:
    """A line for each style and method, a column a level."""
    own = [claim for claim in claims if claim.reading == reading]
    levels = list(dict.fromkeys(claim.share for claim in own))
    rows = [[reading, "RPO less", *(f"at {100 * share:.0f} %" for share in levels), "in words"]]
    for style, against in dict.fromkeys((claim.style, claim.against) for claim in own):
        mine = [claim for claim in own if (claim.style, claim.against) == (style, against)]
        rows.append([style, against, *(_claim_cell(claim) for claim in mine), in_words(mine)])
    return _table(rows)


def _claim_cell(claim: Claim) -> str:
    if claim.difference is None or claim.lo is None or claim.hi is None or claim.level is None:
        return "–"
    what = "lost" if claim.reading == "style at equal content" else "read"
    return f"{claim.difference:+.3f} [{claim.lo:+.3f}, {claim.hi:+.3f}] ({claim.level:.3f} {what})"


def _change_rows(changes: Sequence[Change]) -> list[list[str]]:
    scorers = [name for name in _SHOWN if any(change.scorer == name for change in changes)]
    rows = [["style", "method", "steps", *(_SHOWN[name] for name in scorers)]]
    for style, method in dict.fromkeys((change.style, change.method) for change in changes):
        own = {
            change.scorer: change for change in changes if (change.style, change.method) == (style, method)
        }
        step = next(iter(own.values())).step
        rows.append([style, method, str(step), *(_change_cell(own[name]) for name in scorers)])
    return rows


def _change_cell(change: Change) -> str:
    if change.base is None or change.mean is None or change.difference is None:
        return "–"
    text = f"{change.base:.3f} → {change.mean:.3f}"
    if change.scorer == "true_style" and change.mean >= SEEN:
        text = f"**{text}**"
    if change.lo is None or change.hi is None:
        return f"{text}, {change.difference:+.3f}"
    return f"{text}, {change.difference:+.3f} [{change.lo:+.3f}, {change.hi:+.3f}]"


def _few_seeds(seeds: Sequence[int]) -> str:
    needed = seeds_for_a_claim("shapes")
    if len(seeds) >= needed:
        return f"{len(seeds)} training seeds."
    return (
        f"{len(seeds)} training seed{'s' * (len(seeds) > 1)}, where a claim about methods in this world asks"
        f" for {needed}: this is said of these runs."
    )


def _readings(claims: Sequence[Claim]) -> list[Reading]:
    return list(dict.fromkeys(claim.reading for claim in claims))


def _and(parts: Sequence[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A heading and its rows; the first two columns are names, the others centred."""
    head, *body = rows
    rule = [":--", ":--", *(":-:" for _ in head[2:])]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *body)]

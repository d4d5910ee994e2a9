"""Verdicts as Markdown."""

from collections.abc import Iterator, Sequence

from tools.studies.seeds.verdict import CHANCE_LOSS, Finding, SeedVerdict, Verdict


def verdict_markdown(verdicts: Sequence[Verdict]) -> str:
    """One row an arm, then one table an arm with a row a seed, and the rules.

    Args:
        verdicts: Of one evaluation.

    Returns:
        The text of `verdict.md`.
    """
    first = verdicts[0]
    return "\n".join([
        "# Trained policies against the base model",
        "",
        *(f"* {line}" for verdict in verdicts for line in _outcome(verdict)),
        "",
        *_table([["", *(f"Δ {scorer}" for scorer in first.rules)], *(_summary(v) for v in verdicts)]),
        "",
        "Means over the training seeds of the paired difference to the base; in brackets the least and the",
        "greatest of them.",
        "",
        *_learned(verdicts),
        *(line for verdict in verdicts for line in _seeds(verdict)),
        "Paired differences to the base on the same prompts and noise, with 95 % intervals over prompts; p",
        "is adjusted by Holm over all checkpoints; ✗ marks what does not hold. The rules, fixed before the",
        "data:",
        "",
        *(f"- `{scorer}`: {words}." for scorer, words in first.rules.items()),
        f"- held-out preference loss: below log 2 = {CHANCE_LOSS:.4f}.",
        "",
        f"Evaluated: {first.suite}. Signature: `{first.signature}`",
        "",
    ])  # fmt: skip


def arm_name(verdict: Verdict) -> str:
    """A preset with its beta, as a heading says it."""
    return f"`{verdict.preset}`" + ("" if verdict.beta is None else f", beta {verdict.beta:g}")


def _outcome(verdict: Verdict) -> Iterator[str]:
    rising = sum(seed.rises for seed in verdict.seeds)
    yield (
        f"**{arm_name(verdict)}: taste rises in {rising} of {len(verdict.seeds)} training seeds**,"
        f" content and scenes are kept in {verdict.keeps}."
    )


def _summary(verdict: Verdict) -> list[str]:
    cells = [arm_name(verdict)]
    for i in range(len(verdict.rules)):
        found = [seed.findings[i].difference for seed in verdict.seeds]
        known = [value for value in found if value is not None]
        cells.append(
            f"{sum(known) / len(known):+.3f} ({min(known):+.3f}, {max(known):+.3f})" if known else "–"
        )
    return cells


def _learned(verdicts: Sequence[Verdict]) -> Iterator[str]:
    rows = [
        [
            arm_name(verdict),
            f"`{one.scorer}` {one.difference:+.3g}",
            f"`{one.truth}` {one.true_difference:+.3g}",
            one.words(),
        ]
        for verdict in verdicts
        for one in verdict.learned
    ]
    if rows:
        yield "## The learned scorers beside the truth"
        yield ""
        yield from _table([["", "learned", "truth", "direction"], *rows])
        yield ""
        yield "Means over the training seeds of the differences to the base. A seed's direction is the side"
        yield "of zero on which the whole 95 % interval lies; where that of the scorer or of the truth holds"
        yield "zero, it is open."
        yield ""


def _seeds(verdict: Verdict) -> Iterator[str]:
    head = ["seed", *(f"Δ {scorer}" for scorer in verdict.rules), "held-out loss"]
    means = ["base (mean)", *(_number(mean, 3) for mean in verdict.base.values()), f"{CHANCE_LOSS:.4f}"]
    yield f"## {arm_name(verdict)}"
    yield ""
    yield from _table([head, means, *(_row(seed) for seed in verdict.seeds)])
    yield ""


def _row(seed: SeedVerdict) -> list[str]:
    loss = _number(seed.held_out_loss, 4) + ("" if seed.loss_passed else " ✗")
    return [str(seed.seed), *(_cell(finding) for finding in seed.findings), loss]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = rows
    return [f"| {' | '.join(cells)} |" for cells in (head, [":--", *("--:" for _ in head[1:])], *body)]


def _cell(finding: Finding) -> str:
    if finding.difference is None:
        return "– ✗" if finding.passed is False else "–"
    text = f"{finding.difference:+.3f}"
    if finding.lo is not None and finding.hi is not None:
        text += f" [{finding.lo:+.3f}, {finding.hi:+.3f}]"
    if finding.scorer == "true_taste" and finding.p is not None:
        text += f" p {finding.p:.2g}"
    return text + (" ✗" if finding.passed is False else "")


def _number(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}f}"

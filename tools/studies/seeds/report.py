"""A verdict as Markdown."""

from tools.studies.seeds.verdict import CHANCE_LOSS, Finding, Verdict


def verdict_markdown(verdict: Verdict) -> str:
    """One row a seed, the base's means, the rules, and how many seeds pass.

    Args:
        verdict: What to write.

    Returns:
        The text of `verdict.md`.
    """
    scorers = list(verdict.rules)
    head = ["seed", *(f"Δ {scorer}" for scorer in scorers), "held-out loss", "verdict"]
    rows = [["base (mean)", *(_number(verdict.base[s], 3) for s in scorers), "0.6931", ""]]
    for one in verdict.seeds:
        loss = _number(one.held_out_loss, 4) + ("" if one.loss_passed else " ✗")
        cells = [_cell(finding) for finding in one.findings]
        rows.append([str(one.seed), *cells, loss, "passes" if one.passed else "fails"])
    listed = [head, [":--", *("--:" for _ in head[1:])], *rows]
    outcome = f"{verdict.n_passed} of {len(verdict.seeds)} training seeds pass, {verdict.n_needed} must: "
    outcome += "the claim holds" if verdict.passed else "the claim does not hold"
    lines = [
        f"# `{verdict.preset}` against the base model",
        "",
        f"**{outcome}.**",
        "",
        *(f"| {' | '.join(cells)} |" for cells in listed),
        "",
        "Paired differences to the base on the same prompts and noise, with 95 % intervals over prompts; ✗",
        "marks what fails. The rules, fixed before the data:",
        "",
        *(f"- `{scorer}`: {words}." for scorer, words in verdict.rules.items()),
        f"- held-out preference loss: below log 2 = {CHANCE_LOSS:.4f}.",
        "",
        f"Evaluated: {verdict.suite}. Signature: `{verdict.signature}`",
        "",
    ]
    return "\n".join(lines)


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

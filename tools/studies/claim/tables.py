"""The tables of docs/claim.md."""

from collections.abc import Sequence
from typing import Final

from tools.studies.claim.analysis import MARGIN
from tools.studies.claim.design import REFERENCE
from tools.studies.claim.questions import DIVERSITY, HALF, LEARNED_ALONE, OPEN, QUESTIONS, TASTE, TREND
from tools.studies.claim.records import Answer, Findings, Gain

SHOWN: Final = (TASTE, DIVERSITY, "oracle", "scene_rate", "true_taste_heldout", "path_kl")


def whole_block(found: Findings) -> str:
    """The tables of the study."""
    parts = [
        *_origin(found),
        "",
        "### Hypotheses",
        "",
        *_verdicts(found),
        "",
        f"Intervals of the first and the last hold together at 95 % for the four; M is {MARGIN:g}.",
        "",
        "### At equal taste, and at equal distance",
        "",
        *_answers(found, ("taste", "path", "path taste"), f"less {REFERENCE}"),
        "",
        "![Diversity at equal taste](pictures/claim-equal-taste.png)",
        "",
        *_components(found),
        "",
        "### Against the optimum of its own divergence",
        "",
        *_answers(found, ("closed form",), "less its optimum"),
        "",
        "### Is it another beta?",
        "",
        *_explained(found),
        "",
        "### With the learned scorers alone",
        "",
        *_answers(found, LEARNED_ALONE, f"less {REFERENCE}"),
        "",
        *_same_answer(found),
        "",
        "### Does it hold elsewhere?",
        "",
        *_answers(
            found, ("held-out taste", "taste transferred", "content", "scenes", *OPEN, "along training"),
            f"less {REFERENCE}",
        ),
        "",
        "### Other objectives, and no training",
        "",
        *_answers(found, ("beside",), f"less {REFERENCE}'s curve"),
        "",
        "### What each method gained and lost",
        "",
        *_gains(found.gains),
        "",
        "### How many seeds and prompts",
        "",
        *_needed(found),
        "",
        _diverged(found),
    ]  # fmt: skip
    return "\n".join(parts)


def block_elsewhere(found: Findings) -> str:
    """The tables of another base model, with two divergences and no word on the hypotheses."""
    parts = [
        *_origin(found),
        "",
        *_answers(
            found, ("taste", "held-out taste", "content", "scenes", *LEARNED_ALONE), f"less {REFERENCE}"
        ),
        "",
        *_gains(found.gains),
        "",
        _diverged(found),
    ]
    return "\n".join(parts)


def _origin(found: Findings) -> list[str]:
    seeds = ", ".join(map(str, found.seeds))
    return [
        f"{found.suite}, training seeds {seeds}, made on {found.device}. From the committed members, by",
        f"`{found.command}`. Signature:",
        f"`{found.signature}`",
    ]


def _verdicts(found: Findings) -> list[str]:
    body = [[verdict.hypothesis, f"**{verdict.word}**", verdict.why] for verdict in found.verdicts]
    return _table([["", "", "at half of the common range"], *body])


def _answers(found: Findings, questions: Sequence[str], heading: str) -> list[str]:
    """A line a question and method, a column a share of the common range."""
    own = [a for a in found.answers if a.question in questions]
    shares = sorted({a.share for a in own})
    rows = [["", heading, *(f"at {share:.0%}" for share in shares)]]
    for question, name in dict.fromkeys((a.question, a.name) for a in own):
        at = {a.share: a for a in own if (a.question, a.name) == (question, name)}
        words = QUESTIONS[question].words if question in QUESTIONS else question
        rows.append([words, f"`{name}`", *(_cell(at[share]) if share in at else "" for share in shares)])
    return _table(rows) if len(rows) > 1 else ["Not known yet."]


def _cell(answer: Answer) -> str:
    if answer.difference is None or answer.level is None:
        return answer.note
    text = f"{answer.difference:+.3f} [{answer.lo:+.3f}, {answer.hi:+.3f}]"
    return f"**{text}** ({answer.level:.3f})" if answer.sign else f"{text} ({answer.level:.3f})"


def _components(found: Findings) -> list[str]:
    """What the errors at half are made of, as standard deviations of one seed, one prompt, one cell."""
    rows = [["standard deviation, at half", "between seeds", "between prompts", "the rest"]]
    for a in found.answers:
        if a.question == "taste" and a.share == HALF and a.components is not None:
            parts = (a.components.seeds, a.components.prompts, a.components.rest)
            rows.append([f"`{a.name}`", *(f"{part**0.5:.3f}" for part in parts)])
    trend = [a for a in found.answers if a.question == TREND]
    words = "; ".join(f"{_cell(a)} at {a.share:.0%}" for a in trend)
    return [*_table(rows), "", f"Along theory's order diversity changes by a rank by {words}."]


def _explained(found: Findings) -> list[str]:
    rows = [
        ["", "at equal beta", "at equal taste", "explained by an effective beta", "beta of reverse KL for"]
    ]
    for one in found.explained:
        share = "–" if one.share is None else f"{one.share:.0%}"
        share += "" if one.lo is None or one.hi is None else f" [{one.lo:.0%}, {one.hi:.0%}]"
        betas = zip(one.betas, one.effective, strict=True)
        effective = ", ".join(f"{own:g}: {'–' if its is None else f'{its:.2g}'}" for own, its in betas)
        rows.append(
            [
                f"`{one.divergence}`",
                f"{one.at_equal_beta:+.3f}",
                f"{one.at_equal_taste:+.3f}",
                share,
                effective,
            ]
        )
    return _table(rows) if len(rows) > 1 else ["No divergence has a beta in common with reverse KL."]


def _same_answer(found: Findings) -> list[str]:
    """Whether a study without the truth says what the truth says, contrast by contrast."""
    truth = {(a.name, a.share): a.sign for a in found.answers if a.question == "taste"}
    rows = [
        [
            "learned scorers",
            "as the truth",
            "open where the truth is not",
            "a difference where it is open",
            "against it",
        ]
    ]
    for question in LEARNED_ALONE:
        pairs = [(a.sign, truth[a.name, a.share]) for a in found.answers if a.question == question]
        if pairs:
            counts = (
                sum(learned == true for learned, true in pairs),
                sum(learned == 0 != true for learned, true in pairs),
                sum(learned != 0 == true for learned, true in pairs),
                sum(learned * true < 0 for learned, true in pairs),
            )
            rows.append([QUESTIONS[question].words, *(f"{count} of {len(pairs)}" for count in counts)])
    return _table(rows) if len(rows) > 1 else []


def _gains(gains: Sequence[Gain]) -> list[str]:
    scorers = [name for name in SHOWN if any(gain.scorer == name for gain in gains)]
    base = {gain.scorer: gain.base for gain in gains}
    rows = [["", "beta", *(f"`{name}` (base {base[name]:.3f})" for name in scorers)]]
    for name, beta in dict.fromkeys((gain.method, gain.beta) for gain in gains):
        own = {g.scorer: g for g in gains if (g.method, g.beta) == (name, beta)}
        cells = [f"{own[s].difference:+.3f} [{own[s].lo:+.3f}, {own[s].hi:+.3f}]" for s in scorers]
        rows.append([f"`{name}`", "–" if beta is None else f"{beta:g}", *cells])
    return _table(rows)


def _needed(found: Findings) -> list[str]:
    prompts = list(dict.fromkeys(one.prompts for one in found.needed))
    rows = [["smallest difference found with 80 %", *(f"{n} prompts" for n in prompts)]]
    for seeds in dict.fromkeys(one.seeds for one in found.needed):
        own = {one.prompts: one.detectable for one in found.needed if one.seeds == seeds}
        rows.append([f"{seeds} training seeds", *(f"{own[n]:.3f}" for n in prompts)])
    return _table(rows)


def _diverged(found: Findings) -> str:
    if not found.diverged:
        return "No run was marked as diverged."
    return f"Marked as diverged, and in all numbers: {', '.join(f'`{id_}`' for id_ in found.diverged)}."


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = rows
    rule = [":--", *(":--" for _ in head[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *body)]

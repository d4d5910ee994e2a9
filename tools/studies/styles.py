"""`python -m tools.studies.styles`: do f-DPO and RPO on style pairs move the model to each style?

Two worker processes: one trains f-DPO towards each style, the other RPO. Then each style is asked of the base
model and of its two policies, on prompts that leave the style open. The same command again resumes.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmark.core import store
from benchmark.core.console import finish
from benchmark.core.records import Leaderboard, LeaderboardCell
from benchmark.evaluate.config import EvalConfig
from benchmark.leaderboard import ScoreTable, read_score_table
from benchmark.prompt_sets import load_prompt_set
from benchmark.workflows.workers import Share, run_workers, train_and_prepare
from trainers.config import TrainConfig

STYLES: Final = ("van_gogh", "sketch", "winter")
OBJECTIVES: Final = ("f-dpo", "rpo")
PROMPTS: Final = "shapes-style"
IMAGES_PER_PROMPT: Final = 8
SCORERS: Final = ("style_fd", "style_cosine", "oracle", "scene_rate", "true_diversity")
SHOWN: Final = 6
"""Prompts on a sheet."""
MARGIN: Final = 0.02
"""What `oracle` may lose: the margin of the committed evaluations."""


@dataclass(frozen=True)
class StyleFinding:
    """One scorer's paired difference of a policy to the base model.

    Attributes:
        style: Towards which it was trained.
        checkpoint: Which policy.
        scorer: Its name.
        base: The base model's mean.
        mean: The policy's.
        difference: Of the means.
        lo: Lower end of its 95 % interval.
        hi: Upper end.
        passed: Whether what is asked holds; None where nothing is asked.
    """

    style: str
    checkpoint: str
    scorer: str
    base: float | None
    mean: float | None
    difference: float | None
    lo: float | None
    hi: float | None
    passed: bool | None


def run_styles(
    styles: Sequence[str],
    out: Path,
    results: Path,
    *,
    images_per_prompt: int = IMAGES_PER_PROMPT,
    device: str = "cpu",
) -> list[StyleFinding]:
    """Trains, evaluates, judges and draws.

    Args:
        styles: Towards which.
        out: Runs, images and scores; not committed.
        results: The small files to commit.
        images_per_prompt: K.
        device: Where.

    Raises:
        UserError: for anything a user can put right.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    run_workers(
        _work, [(objective, tuple(styles), out, images_per_prompt, device) for objective in OBJECTIVES]
    )
    from benchmark.evaluate.finished import read_image_sets
    from benchmark.evaluate.run import evaluate
    from benchmark.report.figures import picture_sheet

    findings: list[StyleFinding] = []
    for style in styles:
        specs = ("base", *(str(run_config(style, objective, out, device).out) for objective in OBJECTIVES))
        result = evaluate(eval_config(style, specs, out, images_per_prompt, device))
        assert result.leaderboard is not None
        findings += judge(style, result.leaderboard)
        for name in ("leaderboard.csv", "leaderboard.md", "scores.parquet"):
            store.write_bytes(results / style / name, (result.folder / name).read_bytes())
        picture_sheet(
            results / style / "sheet.png",
            read_image_sets(result.folder),
            prompt_ids=most_moved(read_score_table(result.folder)),
            seeds=range(min(4, images_per_prompt)),
        )
    store.write_text(results / "README.md", markdown(findings))
    store.write_json(results / "findings.json", findings)
    return findings


def run_config(style: str, objective: str, out: Path, device: str = "cpu") -> TrainConfig:
    """The run of a preset."""
    preset = f"style-{objective}-{style.replace('_', '-')}"
    return TrainConfig.resolve(None, {"preset": preset, "device": device, "out": out / "train" / preset})


def eval_config(
    style: str, checkpoints: Sequence[str], out: Path, images_per_prompt: int, device: str = "cpu"
) -> EvalConfig:
    """The evaluation of a style's policies: every prompt asks for that style."""
    file = out / f"{PROMPTS}-{style}.jsonl"
    if not file.is_file():
        asked = [replace(prompt, style=style) for prompt in load_prompt_set(PROMPTS)]
        rows = [
            {"id": p.id, "text": p.text, "tags": list(p.tags), "style": p.style, "facts": p.facts}
            for p in asked
        ]
        store.write_text(file, "".join(json.dumps(row) + "\n" for row in rows))
    return EvalConfig(
        checkpoint=tuple(checkpoints), prompts=str(file), images_per_prompt=images_per_prompt,
        scorers=SCORERS, out=out / "eval" / style, device=device,
    )  # fmt: skip


def judge(style: str, leaderboard: Leaderboard) -> list[StyleFinding]:
    """What is asked: `style_fd` falls and `style_cosine` rises, intervals off zero, and `oracle` holds."""
    base = next(row for row in leaderboard.rows if row.checkpoint.id == leaderboard.reference)
    means = {cell.scorer: cell.mean for cell in base.cells}
    return [
        StyleFinding(
            style, row.checkpoint.id, cell.scorer, means[cell.scorer], cell.mean, cell.difference,
            cell.difference_lo, cell.difference_hi, _passed(cell),
        )
        for row in leaderboard.rows
        if row is not base
        for cell in row.cells
    ]  # fmt: skip


def most_moved(table: ScoreTable, count: int = SHOWN) -> list[str]:
    """The prompts whose `style_cosine` rose most from the base, on average over the policies."""
    rows = table.rows[(table.rows["scorer"] == "style_cosine") & table.rows["value"].notna()]
    means = rows.pivot_table(index="prompt_id", columns="checkpoint", values="value")
    base = table.checkpoints[0].id
    rise = means.drop(columns=base).mean(axis=1) - means[base]
    return [str(prompt) for prompt in rise.sort_values(ascending=False).index[:count]]


def _passed(cell: LeaderboardCell) -> bool | None:
    if cell.scorer not in ("style_fd", "style_cosine", "oracle"):
        return None
    lo, hi = cell.difference_lo, cell.difference_hi
    if lo is None or hi is None:
        return False
    return {"style_fd": hi < 0, "style_cosine": lo > 0, "oracle": lo > -MARGIN}[cell.scorer]


def markdown(findings: Sequence[StyleFinding]) -> str:
    """The findings as a page: a row a policy, a column a scorer."""
    scorers = list(dict.fromkeys(f.scorer for f in findings))
    rows = [["style", "policy", *scorers], [":--", ":--", *("--:" for _ in scorers)]]
    for style, checkpoint in dict.fromkeys((f.style, f.checkpoint) for f in findings):
        own = {f.scorer: f for f in findings if (f.style, f.checkpoint) == (style, checkpoint)}
        rows.append([style, f"`{checkpoint}`", *(_cell(own[scorer]) for scorer in scorers)])
    asked = [f for f in findings if f.passed is not None]
    lines = [
        "# Style alignment in the embedded world",
        "",
        f"**{sum(bool(f.passed) for f in asked)} of {len(asked)} of what is asked holds.**",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        "Base, and the paired difference to it on the same prompts and noise with its 95 % interval; ✗ marks",
        "what fails. Asked: `style_fd` falls and `style_cosine` rises, intervals off zero; the interval of",
        f"`oracle` stays above -{MARGIN:g}. The prompts leave the style open. The references of both style",
        "scorers are the preferred images of the pairs that the policies learn from.",
        "",
        f"Each sheet shows the {SHOWN} prompts whose `style_cosine` rose most.",
        "",
        *(f"![{style}]({style}/sheet.png)" for style in dict.fromkeys(f.style for f in findings)),
        "",
    ]
    return "\n".join(lines)


def _cell(finding: StyleFinding) -> str:
    if finding.base is None or finding.difference is None or finding.lo is None or finding.hi is None:
        return "–" + (" ✗" if finding.passed is False else "")
    text = f"{finding.base:.3f} {finding.difference:+.3f} [{finding.lo:+.3f}, {finding.hi:+.3f}]"
    return text + (" ✗" if finding.passed is False else "")


def _work(job: tuple[str, tuple[str, ...], Path, int, str]) -> None:
    """Trains one objective towards every style; the first one's worker takes the base model too."""
    objective, styles, out, k, device = job
    for style in styles:
        run = run_config(style, objective, out, device)
        specs = [*(["base"] if objective == OBJECTIVES[0] else []), str(run.out)]
        train_and_prepare(Share((run,), eval_config(style, specs, out, k, device)))


def main() -> None:
    """Parses the command line and runs the study."""
    parser = argparse.ArgumentParser(prog="python -m tools.studies.styles", description=__doc__)
    parser.add_argument("--styles", default=",".join(STYLES), help="towards which, such as sketch,winter")
    parser.add_argument("--out", type=Path, default=Path("runs/styles"))
    parser.add_argument("--results", type=Path, default=Path("results/style-alignment"))
    parser.add_argument("--images-per-prompt", type=int, default=IMAGES_PER_PROMPT)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    args = parser.parse_args()
    findings = run_styles(
        args.styles.split(","),
        args.out,
        args.results,
        images_per_prompt=args.images_per_prompt,
        device=args.device,
    )
    print(markdown(findings))


if __name__ == "__main__":
    finish(main)

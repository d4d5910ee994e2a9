"""`python -m tools.studies.styles`: how far four methods move the model to each style, and what it costs.

Fine-tuning, Diffusion-DPO, f-DPO under Jensen-Shannon and Diffusion-RPO learn from the same style pairs, in
two processes. Each checkpoint draws the same prompts, which leave the style open. The same command again
resumes.
"""

import argparse
from pathlib import Path
from typing import Any, Final

from benchmark.core import store
from benchmark.core.config import parse_settings
from benchmark.core.console import finish, typed
from benchmark.workflows.regress.study import parse_seeds
from tools.studies.styles.page import FIGURE, markdown
from tools.studies.styles.records import Findings
from tools.studies.styles.runs import (
    IMAGES_PER_PROMPT,
    LIMIT,
    PROMPTS,
    STYLES,
    Study,
    train_and_evaluate,
)

NAME: Final = "tools.studies.styles"
SHOWN: Final = 6
"""Prompts on a sheet."""


def run_study(study: Study, results: Path, command: str = "") -> Findings:
    """Trains, evaluates, compares and draws.

    Args:
        study: What to do.
        results: Folder for the small files to commit.
        command: As typed.

    Raises:
        UserError: for anything a user can put right.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    evaluations = train_and_evaluate(study)
    from benchmark.leaderboard import read_score_table
    from tools.studies.styles.figure import style_against_content
    from tools.studies.styles.findings import findings

    tables = {style: read_score_table(result.folder) for style, result in evaluations.items()}
    found = findings(command, tables, study.seeds)
    for style, result in evaluations.items():
        store.write_bytes(results / style / "scores.parquet", (result.folder / "scores.parquet").read_bytes())
        draw_sheet(results / style / "sheet.png", study, result.folder)
    style_against_content(results / FIGURE, found)
    store.write_text(results / "README.md", markdown(found))
    store.write_json(results / "findings.json", found)
    return found


def draw_sheet(path: Path, study: Study, folder: Path) -> None:
    """Pictures of the base and of each method's first run at its last step, of the first prompts.

    Args:
        path: Where to.
        study: Whose.
        folder: Of the evaluation.
    """
    from benchmark.evaluate.finished import read_image_sets
    from benchmark.leaderboard.names import objective_and_divergence
    from benchmark.report.figures import picture_sheet

    base, *others = read_image_sets(folder)
    last = {}
    for images in others:
        # Their steps rise, so that the last one of a method stays.
        if images.checkpoint.hyperparameters.get("seed") == study.seeds[0]:
            last[objective_and_divergence(images.checkpoint)] = images
    ids = [prompt.id for prompt in base.prompt_set][:SHOWN]
    picture_sheet(path, [base, *last.values()], prompt_ids=ids, seeds=sorted(base.seeds)[:4])


def main() -> None:
    """Parses the command line and runs the study."""
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    add = parser.add_argument
    add("--styles", default=",".join(STYLES), help="towards which, such as sketch,winter")
    add("--seeds", default="0-2", help="training seeds, such as 0-2 or 0,5 (default 0-2)")
    add("--steps", type=_counts, default=(), metavar="A,B", help="evaluated steps (default the presets')")
    add("--prompts", default=PROMPTS, help=f"prompt set; those that leave the style open ({PROMPTS})")
    add("--limit", type=int, default=LIMIT, help=f"only the first so many prompts ({LIMIT})")
    add("--images-per-prompt", type=int, default=IMAGES_PER_PROMPT, help=f"K ({IMAGES_PER_PROMPT})")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of training; repeatable")
    add("--out", type=Path, default=Path("runs/styles"), help="runs, images and scores")
    add("--results", type=Path, default=Path("results/style-alignment"), help="the small files to commit")
    add("--device", default="cpu", help="cpu, or cuda")
    args = parser.parse_args()
    size: dict[str, Any] = {"limit": args.limit, "images_per_prompt": args.images_per_prompt}
    study = Study(
        seeds=parse_seeds(args.seeds),
        out=args.out,
        styles=tuple(args.styles.split(",")),
        prompts=args.prompts,
        steps=args.steps,
        settings=parse_settings(args.set),
        evaluation=size,
        device=args.device,
    )
    print(markdown(run_study(study, args.results, typed(NAME))))


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(part) for part in text.split(","))
    if min(counts) < 1:
        raise ValueError(text)
    return counts


if __name__ == "__main__":
    finish(main)

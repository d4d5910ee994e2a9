"""`python -m tools.studies.seeds`: the committed evaluation of presets, over betas and training seeds.

With `--choose` its settings are chosen first, on validation prompts alone. The same command again resumes.
"""

import argparse
from pathlib import Path
from typing import Any

from benchmark.core.config import parse_settings
from benchmark.core.console import finish, typed
from benchmark.core.errors import ConfigError
from benchmark.workflows.regress.study import parse_seeds
from benchmark.workflows.workers import WORKERS
from tools.studies.seeds import choose
from tools.studies.seeds.report import verdict_markdown
from tools.studies.seeds.runs import Study, parse_also, run_study

NAME = "tools.studies.seeds"


def main() -> None:
    """Parses the command line, trains, evaluates and judges."""
    args = _parser().parse_args()
    sizes = {"prompts": args.prompts, "images_per_prompt": args.images_per_prompt, "limit": args.limit}
    evaluation: dict[str, Any] = {key: value for key, value in sizes.items() if value is not None}
    if args.scorers:
        evaluation["scorers"] = tuple(args.scorers.split(","))
    study = Study(
        presets=tuple(args.preset),
        seeds=parse_seeds(args.seeds),
        out=args.out or Path("runs/choose" if args.choose else "runs/seeds"),
        betas=() if args.choose else tuple(args.betas),
        also=tuple(parse_also(text) for text in args.also),
        settings=parse_settings(args.set),
        evaluation=evaluation,
        workers=args.workers,
    )
    if args.choose:
        _choose(study, args)
    else:
        print(verdict_markdown(run_study(study, args.results)))
        print(f"wrote {args.results}")


def _choose(study: Study, args: argparse.Namespace) -> None:
    if len(study.presets) != 1:
        raise ConfigError(f"--choose of {len(study.presets)} presets", allowed="one --preset")
    [preset] = study.presets
    steps = args.steps or [study.run(preset, "own", seed=study.seeds[0]).steps]
    choice = choose.choose(study, args.betas, args.rates, steps)
    entry = choose.log_entry(choice, typed(NAME))
    new = choose.append_to_log(args.log, f"Settings of {preset}, on validation prompts", entry)
    print(entry)
    print(f"{'added to' if new else 'is already in'} {args.log}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {NAME}", description=__doc__)
    add = parser.add_argument
    add("--preset", required=True, action="append", help="a recipe that is judged; repeatable")
    add("--seeds", default="0-4", help="training seeds, such as 0-4 or 0,2; --choose takes the first")
    add("--out", type=Path, help="runs, images and scores (default runs/seeds, or runs/choose)")
    add("--prompts", help="prompt set (default shapes-core; with --choose shapes-validation)")
    add("--images-per-prompt", type=int, help="K (default 8; with --choose 4)")
    add("--limit", type=int, help="only the first so many prompts")
    add("--scorers", metavar="A,B", help="only these (default all; --choose takes the truth's)")
    add("--also", action="append", default=[], metavar="PRESET:SEED", help="evaluated beside it; repeatable")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of training; repeatable")
    add("--workers", type=int, default=WORKERS, help="processes of one thread")
    add("--results", type=Path, default=Path("results/evaluation"), help="the small files to commit")
    add("--choose", action="store_true", help="choose settings on validation prompts")
    add("--betas", type=_numbers, default=[], metavar="A,B", help="every preset at each (default its own)")
    add("--rates", type=_numbers, default=[], metavar="A,B", help="--choose: learning rates, likewise")
    add("--steps", type=_counts, default=[], metavar="A,B", help="--choose: multiples of the smallest")
    add("--log", type=Path, default=Path("results/LOG.md"), help="--choose: where the table is added")
    return parser


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _counts(text: str) -> list[int]:
    counts = [int(part) for part in text.split(",")]
    if min(counts) < 1:
        raise ValueError(text)
    return counts


if __name__ == "__main__":
    finish(main)

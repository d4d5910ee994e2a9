"""``fbench regress``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options, verdict
from benchmark.cli.output import say, say_plan

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("regress")
def regress(
    divergence: Annotated[
        str | None,
        typer.Option(metavar="D", help="NAME, NAME(a=0.5), mine.py:Name or expr: f, as in `fbench train`."),
    ] = None,
    baseline: Annotated[
        str, typer.Option(metavar="NAME", help="Committed runs to hold it against, or a folder of one's own.")
    ] = "reverse_kl",
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="0-3",
            help="Training seeds, at least three; more give more power. (default 0-3; of a baseline 0-7)",
        ),
    ] = None,
    scorers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Scorers to gate on. (default true_taste, oracle, true_diversity and scene_rate)",
        ),
    ] = None,
    margin: verdict.Margin = None,
    junit: verdict.Junit = None,
    markdown: verdict.Markdown = None,
    inconclusive: verdict.Inconclusive = "error",
    unchecked: Annotated[
        bool,
        typer.Option("--unchecked", help="Train a divergence that breaks the laws, to see what it does."),
    ] = False,
    make_baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Make a baseline of one's own instead, for --baseline: a folder in DIR."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes of one thread.")] = 2,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Runs and images. (default a folder in runs/regress)")
    ] = None,
    offline: options.Offline = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Trains a divergence on the embedded world and gates it against committed training runs.

    Minutes on two cores. Both sides have the same budget, data and slope at the start, so what differs is the
    divergence. The same command again goes on where it was. Exit code 0: pass; 1: regression; 2: it cannot be
    trained or compared, such as a formula that is not convex; 3: inconclusive.

    Examples:
      fbench regress --divergence "expr: u*log(u) - (u+1)*log((u+1)/2)"
      fbench regress --divergence mine.py:Mine --junit gate.xml --markdown gate.md
      fbench regress --divergence "alpha(a=0.3)" --baseline jensen_shannon --seeds 0-7
    """
    options.forbid_network(offline=offline)
    from benchmark.core.errors import UserError

    if not divergence:
        raise UserError("--divergence is missing", do='name one, such as --divergence "alpha(a=0.3)"')
    margins = verdict.parse_margins(margin)
    verdict.check_verdict_files(junit, markdown)
    from benchmark.scorers import split_scorers
    from benchmark.workflows.regress import baselines, study

    if make_baseline is not None:
        idle = {
            "--dry-run": dry_run, "--unchecked": unchecked, "--scorers": scorers, "--margin": margin,
            "--junit": junit, "--markdown": markdown, "--json": as_json,
            "--baseline": baseline != "reverse_kl",
        }  # fmt: skip
        _make_baseline(divergence, make_baseline, seeds, out, workers, idle)
        return
    what = study.Regress(
        divergence,
        out or Path("runs/regress") / baselines.folder_name(divergence),
        baseline=baseline,
        seeds=study.parse_seeds(seeds) if seeds else baselines.SEEDS,
        scorers=tuple(split_scorers(scorers)) if scorers else baselines.SCORERS,
        margins=margins,
        unchecked=unchecked,
        workers=workers,
        offline=offline,
    )
    if dry_run:
        say_plan(study.check(what), as_json=as_json)
        return
    report = study.regress(what)
    more = f"report.html, a leaderboard of the runs and one of the methods (methods/) are in {what.out}"
    verdict.tell_verdict(
        report, junit=junit, markdown=markdown, inconclusive=inconclusive, more=more, as_json=as_json
    )


def _make_baseline(
    divergence: str,
    results: Path,
    seeds: str | None,
    out: Path | None,
    workers: int,
    idle: Mapping[str, object],
) -> None:
    """Trains and evaluates a baseline; `idle` are options that it goes without, as they were given."""
    from benchmark.core.errors import UserError
    from benchmark.workflows.regress import baselines, study

    for option in (option for option, given in idle.items() if given):
        raise UserError(f"--make-baseline goes without {option}", do="leave one of them out")
    if results.exists() and not results.is_dir():
        raise UserError(f"--make-baseline is {results}, a file", allowed="a folder, or a place for one")
    own = study.parse_seeds(seeds) if seeds else baselines.BASELINE_SEEDS
    (folder,) = baselines.make_baselines(
        [divergence], out or Path("runs/baselines"), results, seeds=own, workers=workers
    )
    say(f"wrote {folder}")

"""``fbench frontier``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json, say_next, say_plan, say_table

if TYPE_CHECKING:
    from benchmark.core.records import Plane
    from benchmark.workflows.frontier import FrontierResult

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("frontier")
def frontier(
    context: typer.Context,
    evaluation: Annotated[
        Path,
        typer.Argument(
            metavar="EVAL", help="A folder of `fbench eval`: whose base, prompts, images and sampling."
        ),
    ],
    scales: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...|none",
            help="Guidance scales, at least 1. (default seven from half to three times the evaluation's)",
        ),
    ] = None,
    best_of: Annotated[
        str | None,
        typer.Option(metavar="N,M,...|none", help="The n of best of n, from 2 to 16. (default 2,4,8,16)"),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="SCORER",
            help="Who chooses the best. (default the first learned preference scorer, primary ones first)",
        ),
    ] = None,
    scorers: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Only these of the evaluation's. (default all but path_kl)"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the result. (default EVAL/frontier)")
    ] = None,
    weights_folder: options.WeightsFolder = None,
    config: options.Config = None,
    device: options.Device = None,
    offline: options.Offline = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Measures what the base model reaches without training: other guidance, best of n.

    Same prompts, same seeds as the evaluation, so that all is paired with it. Best of n chooses each image
    from n of the base; `--dry-run` says how many images that takes. The same command again resumes. The
    result is drawn where it is asked for with `--frontier`, and never ranked.

    Examples:
      fbench frontier runs/eval
      fbench frontier runs/eval --by pickscore --best-of 2,4,8 --dry-run
      fbench frontier runs/eval --scales 1,1.5,2,3,4,6 --best-of none --scorers hps,lpips
      fbench plot trade-off runs/eval --frontier runs/eval/frontier
    """
    from benchmark.workflows.frontier import FrontierConfig, make_frontier, plan_frontier

    options.forbid_network(offline=offline)
    options.use_weights_folder(weights_folder)
    settings = FrontierConfig.resolve(config, options.settings_of(context, out=str(evaluation / "frontier")))
    plan = plan_frontier(settings)
    if dry_run:
        say_plan(plan.lines(), as_json=as_json)
        return
    options.use_free_threads()
    typer.echo(f"images {plan.cost}", err=True)
    _say(make_frontier(settings), evaluation, as_json=as_json)


def _say(result: "FrontierResult", evaluation: Path, *, as_json: bool) -> None:
    """The points in the first plane, where the table lies, and how it is drawn.

    Raises:
        MissingRowsError: if rows have no value; the command then ends with exit code 4.
    """
    planes = _planes(result)
    if as_json:
        say_json({"folder": result.folder, "n_missing": result.n_missing, "planes": planes})
    else:
        for plane in planes[:1]:
            say_table([["", plane.across, "n", plane.upward, "n"], *_rows(plane)])
            say("")
        say(f"scores.parquet is in {result.folder}")
        say_next("fbench", "plot", "trade-off", evaluation, "--frontier", result.folder)
    result.raise_if_missing()


def _planes(result: "FrontierResult") -> "list[Plane]":
    from benchmark.core.records import Plane
    from benchmark.leaderboard.frontiers import plane_with_frontiers
    from benchmark.leaderboard.trade_off_plane import primary_pairs

    pairs = primary_pairs(result.table.columns)
    return [plane_with_frontiers(Plane(*pair, points=()), [result.table]) for pair in pairs]


def _rows(plane: "Plane") -> list[list[str]]:
    return [
        [
            f"{frontier.name}: {point.label}",
            f"{point.x:.4g}",
            str(point.n_x),
            f"{point.y:.4g}",
            str(point.n_y),
        ]
        for frontier in plane.frontiers
        for point in frontier.points
    ]

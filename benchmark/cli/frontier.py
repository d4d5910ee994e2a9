"""``fbench frontier``."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from benchmark.cli import options
from benchmark.cli.output import say, say_json, say_next, say_plan, say_table
from benchmark.core.words import number_of

if TYPE_CHECKING:
    from benchmark.core.records import Plane
    from benchmark.workflows.frontier.run import FrontierResult

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@app.command("frontier", cls=options.command_of("benchmark.workflows.frontier.config:FrontierConfig"))
def frontier(
    context: typer.Context,
    weights_folder: options.WeightsFolder = None,
    config: options.Config = None,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Measures what the base model reaches without training: other guidance, best of n, the optimum.

    Same prompts, same seeds as the evaluation, so that all is paired with it. Best of n chooses each image
    from n of the base; `--dry-run` says how many images that takes. With `--closed-form` each divergence's
    own optimum is computed, as weights on a pool of the base's images: what it would do if training were
    perfect. The same command again resumes. The result is drawn where it is asked for with `--frontier`,
    and never ranked.

    Examples:
      fbench frontier runs/eval
      fbench frontier runs/eval --by pickscore --best-of 2,4,8 --dry-run
      fbench frontier runs/eval --scales 1,1.5,2,3,4,6 --best-of none --scorers hps,lpips
      fbench frontier runs/eval --closed-form --by pickscore --pool 32
      fbench frontier runs/eval --closed-form --divergence reverse_kl --divergence "expr: (u-1)**2/(u+1)"
      fbench plot trade-off runs/eval --frontier runs/eval/frontier --frontier runs/eval/closed-form
    """
    from benchmark.core.config import load_config_file
    from benchmark.workflows.frontier.config import FrontierConfig

    options.use_weights_folder(weights_folder)
    of_file = load_config_file(config) if config else {}
    closed_form = context.params["closed_form"] or of_file.get("closed_form")
    out = Path(context.params["evaluation"], "closed-form" if closed_form else "frontier")
    settings = FrontierConfig.resolve(config, options.settings_of(context, out=str(out)))
    options.forbid_network(offline=settings.offline)
    from benchmark.workflows.frontier.plan import plan_frontier
    from benchmark.workflows.frontier.run import make_frontier

    plan = plan_frontier(settings)
    if dry_run:
        say_plan(plan.lines(), as_json=as_json)
        return
    options.use_free_threads()
    typer.echo(f"images {plan.cost}", err=True)
    _say(make_frontier(settings), settings.evaluation, plan.by, as_json=as_json)


def _say(result: "FrontierResult", evaluation: Path, by: str, *, as_json: bool) -> None:
    """The points in the first plane, where the table lies, and how it is drawn.

    Raises:
        MissingRowsError: if rows have no value; the command then ends with exit code 4.
    """
    planes = _planes(result, evaluation, by)
    if as_json:
        say_json({
            "folder": result.folder, "n_missing": result.n_missing, "betas": result.betas,
            "n_dropped": result.n_dropped, "planes": planes,
        })  # fmt: skip
    else:
        if result.betas:
            _say_pool(result)
        for plane in planes[:1]:
            if result.betas:
                _say_optima(result, plane, evaluation)
            else:
                say_table([["", plane.across, "n", plane.upward, "n"], *_rows(plane)])
            say("")
        say(f"scores.parquet is in {result.folder}")
        axes = _axes(evaluation, planes[0]) if planes else []
        say_next("fbench", "plot", "trade-off", evaluation, "--frontier", result.folder, *axes)
    result.raise_if_missing()


def _say_pool(result: "FrontierResult") -> None:
    """The grid, and what is not in the pool."""
    from benchmark.leaderboard.optimum_lines import optimum_lines

    reward = optimum_lines(result.table)[0].reward
    betas = ", ".join(f"{beta:.3g}" for beta in result.betas)
    say(f"{number_of(len(result.betas), 'beta')}, in units of {reward}: {betas}")
    if result.n_dropped:
        total = sum(len(images) for images in result.image_sets)
        say(f"{result.n_dropped} of {number_of(total, 'image')} without {reward}: not in the pool")


def _say_optima(result: "FrontierResult", plane: "Plane", evaluation: Path) -> None:
    """What lines reach before they are hollow, their order, how far checkpoints are away."""
    from benchmark.leaderboard import read_score_table
    from benchmark.leaderboard.line_contrasts import contrast_rows, line_contrasts
    from benchmark.leaderboard.line_distance import distance_lines
    from benchmark.leaderboard.optimum_lines import HOLLOW_BELOW

    reward = plane.upward
    rows = [["optimum under", "last full point", "share", plane.across, reward]]
    for line in plane.frontiers:
        last = [point for point in line.points if not point.hollow][-1]
        share = f"{last.effective_share:.2f}"
        rows.append([line.divergence, last.label, share, f"{last.x:.4g}", f"{last.y:.4g}"])
    say_table(rows)
    say(f"share: effective sample size over that of the pool; points below {HOLLOW_BELOW:g} are hollow")
    contrasts = contrast_rows(*line_contrasts(result.table, plane.across, reward), plane.across, reward)
    if contrasts:
        say("")
        say_table(contrasts)
    for text in distance_lines(plane, read_score_table(evaluation).checkpoints):
        say(text)


def _axes(evaluation: Path, plane: "Plane") -> list[str]:
    """The options that show a plane in the evaluation's figure, where it would show another one."""
    from benchmark.leaderboard import read_score_table
    from benchmark.leaderboard.trade_off_plane import primary_pairs

    columns = read_score_table(evaluation).columns
    can_be_shown = {column.name for column in columns if column.axis != "texture"}
    shown = primary_pairs(columns)[:1]
    words = list[str]()
    for option, name in (("--diversity", plane.across), ("--preference", plane.upward)):
        if name in can_be_shown and name not in {scorer for pair in shown for scorer in pair}:
            words += [option, name]
    return words


def _planes(result: "FrontierResult", evaluation: Path, by: str) -> "list[Plane]":
    """The planes of the result; those of the scorer that chose, or whose optimum it is, come first."""
    from benchmark.core.records import Plane
    from benchmark.leaderboard import read_score_table
    from benchmark.leaderboard.frontiers import plane_with_frontiers
    from benchmark.leaderboard.optimum_lines import optimum_lines
    from benchmark.leaderboard.trade_off_plane import primary_pairs

    pairs = primary_pairs(result.table.columns)
    if by in {column.name for column in result.table.columns}:
        pairs = tuple(dict.fromkeys([*((across, by) for across, _ in pairs), *pairs]))
    scores = read_score_table(evaluation) if optimum_lines(result.table) else None
    return [plane_with_frontiers(Plane(*pair, points=()), [result.table], scores) for pair in pairs]


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

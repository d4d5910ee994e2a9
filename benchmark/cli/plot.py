"""``fbench plot``."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options
from benchmark.cli.app import Group
from benchmark.cli.output import say, say_json, say_table

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode="rich")


def _figure_file(path: Path | None) -> Path | None:
    """Refuses another format before anything is read."""
    if path is not None:
        from benchmark.report.figures.style import check_ending

        check_ending(path)
    return path


Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="A .png, .pdf or .svg. (default figures/ of the first folder)",
        callback=_figure_file,
    ),
]  # fmt: skip
Folders = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Evaluation folders.")]
Reference = Annotated[
    str | None,
    typer.Option(help="Id of the checkpoint that the others are compared with. (default the base model)"),
]


@app.callback()
def plot() -> None:
    """Draws the figures of an evaluation, of training runs, of divergences.

    Examples:
      fbench plot trade-off runs/eval --output trade-off.pdf
      fbench plot iso-reward runs/sweep-eval
      fbench plot win-rates runs/eval
      fbench plot sheet runs/eval --seed 0 --seed 1
      fbench plot curves runs/js runs/kl
      fbench plot gradient-field reverse_kl jensen_shannon
    """


@app.command("trade-off")
def trade_off(
    folders: Folders,
    preference: Annotated[
        str | None, typer.Option(help="Scorer of the vertical axis. (default the first primary one)")
    ] = None,
    diversity: Annotated[
        str | None, typer.Option(help="Scorer of the horizontal axis. (default the first primary one)")
    ] = None,
    frontier: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="What `fbench frontier` wrote, drawn as a line; once for each."),
    ] = None,
    reference: Reference = None,
    output: Output = None,
    as_json: options.AsJson = False,
) -> None:
    """Draws preference against diversity: joint 95 % regions, the Pareto front, the base model as a star.

    The title is the finding. A pale point is off the front: outside its 95 % confidence set. With --json also
    the numbers, and the support: how often a resample of prompts has a checkpoint on the front.

    Examples:
      fbench plot trade-off runs/eval
      fbench plot trade-off runs/eval --preference hps --diversity lpips --output hps.svg
      fbench plot trade-off runs/eval --frontier runs/eval/frontier --output frontier.pdf
    """
    from benchmark.leaderboard import build_leaderboard, join_tables, read_score_table
    from benchmark.leaderboard.frontiers import read_frontiers, with_frontiers
    from benchmark.leaderboard.line_distance import distance_lines
    from benchmark.leaderboard.trade_off_plane import with_plane
    from benchmark.report import figures

    tables, frontiers = [read_score_table(folder) for folder in folders], read_frontiers(frontier or ())
    asked = (preference, diversity) if preference and diversity else ()
    board = build_leaderboard(tables, reference=reference, scorers=asked)
    across, upward = figures.axes_of(board, preference, diversity)
    scores = join_tables(tables, asked)
    board = with_plane(board, scores, across, upward)
    board = with_frontiers(board, frontiers, scores)
    place = output or _figures(folders[0]) / "trade-off.png"
    drawn = figures.trade_off(place, board, preference=upward, diversity=across)
    plane = next((p for p in board.planes if (p.across, p.upward) == (across, upward)), None)
    if plane and not as_json:
        for line in distance_lines(plane, scores.checkpoints):
            say(line)
    _done(drawn, as_json=as_json, plane=plane)


@app.command("iso-reward")
def iso_reward(
    folders: Folders,
    level: Annotated[
        str | None,
        typer.Option(
            help="Scorer that is held equal, such as path_kl. (default the first primary one of preference)"
        ),
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option(help="Scorer that is compared. (default the first primary one of diversity)"),
    ] = None,
    along: Annotated[
        str | None,
        typer.Option(metavar="beta|step", help="The sweep parameter. (default beta if it varies, else step)"),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Method that the others are compared with. (default the one of reverse_kl, or the first)"
        ),
    ] = None,
    frontier: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="What `fbench frontier --closed-form` wrote: a line a divergence; once for each.",
        ),
    ] = None,
    output: Output = None,
    as_json: options.AsJson = False,
) -> None:
    """Draws what methods keep of diversity where they have reached the same reward.

    One curve a method: a sweep's points up to its highest reward; those past it are hollow and not used.
    Below, the differences at 25, 50 and 75 % of the range that all curves have reached, with 95 % intervals
    over training seeds and prompts. Without such a range the answer is `no overlap`.

    Examples:
      fbench plot iso-reward runs/sweep-eval
      fbench plot iso-reward runs/sweep-eval --level path_kl --outcome true_diversity --output iso-kl.pdf
      fbench plot iso-reward runs/js-eval runs/kl-eval --along step --method "f_dpo reverse_kl"
      fbench plot iso-reward runs/sweep-eval --frontier runs/sweep-eval/closed-form
    """
    from benchmark.leaderboard import join_tables, read_score_table
    from benchmark.leaderboard.equal_level import contrast_lines, equal_level
    from benchmark.leaderboard.frontiers import read_frontiers, with_lines
    from benchmark.report import figures

    asked = (level, outcome) if level and outcome else ()
    table = join_tables([read_score_table(folder) for folder in folders], asked)
    frontiers = read_frontiers(frontier or ())
    found = equal_level(table, level=level, outcome=outcome, along=along, reference=method)
    found = with_lines(found, table, frontiers)
    drawn = figures.iso_reward(output or _figures(folders[0]) / "iso-reward.png", found)
    if not as_json:
        say_table(contrast_lines(found))
    _done(drawn, as_json=as_json, equal_level=found)


@app.command("win-rates")
def win_rates(
    folders: Folders,
    scorers: Annotated[
        str | None,
        typer.Option(help="Comma-separated, of single images. (default all; the first eight are drawn)"),
    ] = None,
    reference: Reference = None,
    output: Output = None,
    as_json: options.AsJson = False,
) -> None:
    """Draws how often each checkpoint beats the reference on the same prompt and seed, scorer by scorer.

    Examples:
      fbench plot win-rates runs/eval
      fbench plot win-rates runs/eval --scorers pickscore,hps --reference base --output wins.pdf
    """
    from benchmark.leaderboard import join_tables, read_score_table, signature_about
    from benchmark.leaderboard.win_rate_table import rate_lines, win_rates_of
    from benchmark.report import figures

    table = join_tables([read_score_table(folder) for folder in folders], _words(scorers) or ())
    rates = win_rates_of(table, reference=reference, scorers=_words(scorers))
    signature = signature_about(table.signature, table.columns, {rate.scorer for rate in rates})
    place = output or _figures(folders[0]) / "win-rates.png"
    drawn = figures.win_rate_bars(place, rates, table.checkpoints, signature=signature)
    if not as_json:
        say_table(rate_lines(rates))
    _done(drawn, as_json=as_json, win_rates=rates)


@app.command("sheet")
def sheet(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An evaluation folder with its images.")],
    prompt: Annotated[
        list[str] | None, typer.Option(help="Id of a prompt to show; once for each. (default eight)")
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(help="Which of a prompt's K images; once for each. (default the first four)"),
    ] = None,
    output: Output = None,
    as_json: options.AsJson = False,
) -> None:
    """Draws what the checkpoints made of the same prompts from the same noise.

    Examples:
      fbench plot sheet runs/eval
      fbench plot sheet runs/eval --seed 0 --seed 1 --seed 2 --seed 3 --output variety.png
    """
    from benchmark.core.errors import UserError
    from benchmark.evaluate.finished import read_image_sets
    from benchmark.report.figures import picture_sheet

    place = output or _figures(folder) / "sheet.png"
    sets = read_image_sets(folder)
    if not any(images.ok for images in sets):
        raise UserError(
            f"none of the pictures of {folder} is in {folder / 'images'}",
            allowed="a folder of `fbench eval` with its images",
            do="name the one where they were made, or evaluate again",
        )
    _done(picture_sheet(place, sets, prompt_ids=prompt or None, seeds=seed or None), as_json=as_json)


@app.command("curves")
def curves(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of training runs.")],
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated: loss, held-out-loss, accuracy, held-out-accuracy, log-ratios, slope, "
            "knee, grad-norm, lr, or keys of metrics.jsonl. (default all there are)"
        ),
    ] = None,
    smoothing: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Lines are means over N steps. (default a 25th of the steps)"),
    ] = None,
    output: Output = None,
    as_json: options.AsJson = False,
) -> None:
    """Draws what runs logged: losses, accuracy, log-ratios, slope, knee, gradient norm, learning rate.

    The level in the held-out loss is its value at the reference; a cross marks a run that `diverged`.

    Examples:
      fbench plot curves runs/js
      fbench plot curves runs/js runs/kl --metrics held-out-loss,log-ratios --output curves.pdf
      fbench plot curves runs/js --metrics heldout/t4/winner/s_mean
    """
    from benchmark.report import figures
    from benchmark.workflows.run_figures import read_curves

    chosen = None if metrics is None else _words(metrics) or []
    place = output or _figures(folders[0]) / "curves.png"
    drawn = figures.curves(place, read_curves(folders), metrics=chosen, smoothing=smoothing)
    _done(drawn, as_json=as_json)


@app.command("gradient-field")
def gradient_field(
    divergences: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIVERGENCE...]",
            help="NAME, NAME(args), path.py:Name or expr:FORMULA, side by side. (default the run's)",
            show_default=False,
        ),
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help="Weight of the divergence. (default the run's, or 1)")
    ] = None,
    axes: Annotated[
        str, typer.Option(metavar="log-ratio|ratio", help="s in nats, or the density ratios u.")
    ] = "log-ratio",
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Draw this run's held-out pairs on top.")
    ] = None,
    step: Annotated[int | None, typer.Option(help="Which checkpoint of it. (default the last)")] = None,
    limit: Annotated[
        float | None,
        typer.Option(metavar="X", help="Where the axes end. (default 4 nats, 3, or the run's pairs)"),
    ] = None,
    slope_matched: Annotated[
        bool, typer.Option("--slope-matched", help="Divide beta by f''(1), so that all start alike.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A .png, .pdf or .svg. (default gradient-field.png, in the run's figures/)",
            callback=_figure_file,
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Draws where the loss of one pair pushes its log-ratios, under any divergence.

    Arrows are the direction of steepest descent, their colour is the gradient's norm, and the dashed line is
    that of equal margin.

    Examples:
      fbench plot gradient-field reverse_kl forward_kl jensen_shannon --output fields.pdf
      fbench plot gradient-field "alpha(a=0.3)" mine.py:Mine --axes ratio --beta 0.5
      fbench plot gradient-field --run runs/js
    """
    from benchmark.workflows import run_figures

    place = output or (Path("gradient-field.png") if run is None else _figures(run) / "gradient-field.png")
    drawn = run_figures.draw(
        divergences or [], place, run=run, step=step, beta=beta, axes=axes, limit=limit,
        slope_matched=slope_matched,
    )  # fmt: skip
    _done(drawn, as_json=as_json)


def _figures(folder: Path) -> Path:
    return (folder if folder.is_dir() else folder.parent) / "figures"


def _words(listed: str | None) -> list[str] | None:
    """What stands between commas; None for nothing."""
    return [word.strip() for word in (listed or "").split(",") if word.strip()] or None


def _done(path: Path, *, as_json: bool, **numbers: object) -> None:
    if as_json:
        say_json({"path": path, **numbers})
    else:
        say(f"wrote {path}")

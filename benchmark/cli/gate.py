"""``fbench gate``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli import options, verdict

app = typer.Typer(add_completion=False, rich_markup_mode="rich")


def _example(folders: Sequence[Path]) -> str:
    """A whole command; of two folders alone it is plain what they are."""
    old, new = folders if len(folders) == 2 else ("runs/eval-old", "runs/eval-new")
    return f"such as: fbench gate --baseline {old} --candidate {new}"


_WHO = (
    "An evaluation folder, a checkpoint's id or its beginning, or a method such as reverse_kl, which is all "
    "its training runs."
)


@app.command("gate")
def gate(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR...]", help="Evaluation folders in which ids are looked for."),
    ] = None,
    baseline: Annotated[list[str] | None, typer.Option(metavar="B", help=_WHO)] = None,
    candidate: Annotated[list[str] | None, typer.Option(metavar="C", help=_WHO)] = None,
    scorers: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Scorers to gate on. (default in shapes true_taste, oracle, true_diversity and scene_rate, "
            "else the primary ones)",
        ),
    ] = None,
    margin: verdict.Margin = None,
    junit: verdict.Junit = None,
    markdown: verdict.Markdown = None,
    inconclusive: verdict.Inconclusive = "error",
    as_json: options.AsJson = False,
) -> None:
    """Says whether a candidate may take the baseline's place.

    Two checkpoints are compared on the same prompts and noise. An evaluation folder stands for its trained
    checkpoints: with one on each side these are compared, with at least 8 against 3 the two methods that they
    are runs of. Signatures must agree. Exit code 0: pass; 1: regression; 2: not comparable; 3: inconclusive.

    Examples:
      fbench gate --baseline runs/eval-old --candidate runs/eval-new
      fbench gate --baseline base --candidate f_dpo-jensen_shannon runs/eval --margin oracle=0.02
      fbench gate --baseline reverse_kl --candidate jensen_shannon runs/eval
      fbench gate --baseline runs/eval-old --candidate runs/eval-new --scorers hps --junit gate.xml
    """
    from benchmark.core.errors import UserError

    for option, given in (("--baseline", baseline), ("--candidate", candidate)):
        if not given:
            raise UserError(
                f"{option} is missing",
                allowed="an evaluation folder; an id or a method where folders stand after the options",
                do=_example(folders or ()),
            )
    margins = verdict.parse_margins(margin)
    verdict.check_verdict_files(junit, markdown)
    from benchmark.gate import gate_evaluations
    from benchmark.scorers import split_scorers

    report = gate_evaluations(
        baseline or (),
        candidate or (),
        folders or (),
        scorers=tuple(split_scorers(scorers)) if scorers else (),
        margins=margins,
    )
    verdict.tell_verdict(report, junit=junit, markdown=markdown, inconclusive=inconclusive, as_json=as_json)

"""The figure and the table."""

from collections.abc import Mapping
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.report.figures.style import MUTED, PAGE_INCHES, writer_of
from benchmark.report.palette import dark, look
from tools.studies.growth.records import Run

_PANELS: Final[Mapping[str, tuple[str, str]]] = {
    "evaluation": ("making and scoring", "images"),
    "results": ("tables, figures and page", "images"),
    "sweep": ("training together", "policies"),
}


def draw_growth(runs: Mapping[str, Run]) -> Figure:
    """Draws seconds and memory over size, a panel for each thing that grows; all axes logarithmic.

    Args:
        runs: By name.
    """
    figure = Figure(figsize=(PAGE_INCHES, 2.4), layout="constrained")
    panels = figure.subplots(1, len(_PANELS), squeeze=False)[0]
    for (kind, (title, unit)), axes in zip(_PANELS.items(), panels, strict=True):
        own = [run for run in runs.values() if run.kind == kind]
        _draw(axes, [run.size for run in own], [run.seconds for run in own], 0, "seconds")
        memory = axes.twinx()
        memory.spines["right"].set_visible(True)
        _draw(memory, [run.size for run in own], [run.peak_gb for run in own], 1, "GB")
        axes.set(title=title, xlabel=unit)
        axes.title.set_fontsize(8)
        axes.set_xticks([run.size for run in own], [f"{run.size:,}" for run in own])
        axes.minorticks_off()
    return figure


def _draw(axes: Axes, sizes: list[int], values: list[float], index: int, label: str) -> None:
    colour, marker = look(index)
    axes.plot(sizes, values, color=colour, marker=marker, ms=4, mec=dark(colour), mew=0.7, lw=1.4)
    axes.set(xscale="log", yscale="log", ylim=(0.7 * min(values), 1.6 * max(values)))
    axes.set_ylabel(label, color=dark(colour))
    axes.tick_params(axis="y", colors=MUTED, which="both")
    axes.set_yticks(values, [f"{value:.3g}" for value in values])
    axes.minorticks_off()


growth_figure = writer_of(draw_growth, dpi=200)


def growth_table(runs: Mapping[str, Run]) -> str:
    """The table of the page: one line a command."""
    if not runs:
        return "Not measured yet."
    names = {"evaluation": "evaluation", "resumed": "the same again", "results": "results", "sweep": "sweep"}
    return "\n".join(
        [
            "| | seconds | memory at the peak |",
            "|:--|--:|--:|",
            *(
                f"| {names[run.kind]}: {run.words} | {run.seconds:.1f} | {run.peak_gb:.2f} GB |"
                for run in runs.values()
            ),
        ]
    )

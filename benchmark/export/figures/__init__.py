"""Figures for papers: the trade-off plot and the picture sheet, as PNG, PDF or SVG by the file's ending."""

from benchmark.export.figures.sheet import picture_sheet
from benchmark.export.figures.trade_off import trade_off

__all__ = ["picture_sheet", "trade_off"]

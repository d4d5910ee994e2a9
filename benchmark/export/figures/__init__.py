"""Figures for papers and for a look at a run, as PNG, PDF or SVG by the file's ending."""

from benchmark.export.figures.curves import curves
from benchmark.export.figures.gradient_field import gradient_field
from benchmark.export.figures.iso_reward import iso_reward
from benchmark.export.figures.sheet import picture_sheet
from benchmark.export.figures.trade_off import trade_off
from benchmark.export.figures.trade_off_points import axes_of
from benchmark.export.figures.win_rates import win_rates

__all__ = ["axes_of", "curves", "gradient_field", "iso_reward", "picture_sheet", "trade_off", "win_rates"]

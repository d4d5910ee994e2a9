"""Figures for papers and for a look at a run, as PNG, PDF or SVG by the file's ending."""

from benchmark.report.figures.curves import curves
from benchmark.report.figures.gradient_field import gradient_field
from benchmark.report.figures.iso_reward import iso_reward
from benchmark.report.figures.picture_sheet import picture_sheet
from benchmark.report.figures.trade_off import trade_off
from benchmark.report.figures.trade_off_points import axes_of
from benchmark.report.figures.win_rate_bars import win_rate_bars

__all__ = ["axes_of", "curves", "gradient_field", "iso_reward", "picture_sheet", "trade_off", "win_rate_bars"]

"""The report page: one HTML file with leaderboard, trade-off, pictures, gaps and manifests, no network.

    write_page(PageSource(leaderboard, table, image_sets, manifests), Path("report.html"))

The page is plain: a template, CSS and a few scripts in `assets/`, put into the file as they are. Whatever
comes from outside (prompts, names, notes) travels as JSON and reaches the page as text nodes alone.
"""

from benchmark.report.page.content import PageSource
from benchmark.report.page.pictures import PICTURE_MEGABYTES
from benchmark.report.page.render import page_html, write_page
from benchmark.report.page.training import TrainingRun

__all__ = ["PICTURE_MEGABYTES", "PageSource", "TrainingRun", "page_html", "write_page"]

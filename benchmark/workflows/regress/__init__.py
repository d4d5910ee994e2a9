"""`fbench regress`: a divergence trained on the embedded world, and held against committed training runs.

`recipe` is the budget that candidate and baseline share, `baselines` the committed runs and the program that
makes them (``python -m benchmark.workflows.regress``), `study` the comparison.
"""

from benchmark.workflows.regress.recipe import SCORERS, folder_name
from benchmark.workflows.regress.study import Regress, check, regress

__all__ = ["SCORERS", "Regress", "check", "folder_name", "regress"]

"""`fbench regress`: a divergence trained on the embedded world, and held against committed training runs.

`recipe` is the budget that candidate and baseline share, `baselines` the committed runs and the program that
makes them (``python -m benchmark.studies.regress``), `study` the comparison.
"""

from benchmark.studies.regress.recipe import SCORERS, folder_name
from benchmark.studies.regress.study import Regress, check, regress

__all__ = ["SCORERS", "Regress", "check", "folder_name", "regress"]

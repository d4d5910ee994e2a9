"""What the base model of an evaluation reaches by sampling alone: guidance scales, best of n.

    result = make_frontier(FrontierConfig(evaluation="runs/eval", by="pickscore", out="runs/eval/frontier"))

Its table is drawn beside the trained checkpoints and never ranked with them; importing this needs no torch.
"""

from benchmark.workflows.frontier.config import FrontierConfig
from benchmark.workflows.frontier.plan import FrontierPlan, plan_frontier
from benchmark.workflows.frontier.run import FrontierResult, make_frontier
from benchmark.workflows.frontier.selection import best_of

__all__ = ["FrontierConfig", "FrontierPlan", "FrontierResult", "best_of", "make_frontier", "plan_frontier"]

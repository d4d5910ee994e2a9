"""``fbench pairs``: preference data from a checkpoint's own images, labelled by scorers or by people."""

from benchmark.workflows.pairs.config import PairsConfig
from benchmark.workflows.pairs.run import PairsResult, make_pairs, plan_pairs

__all__ = ["PairsConfig", "PairsResult", "make_pairs", "plan_pairs"]

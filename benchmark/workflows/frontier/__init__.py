"""What the base model of an evaluation reaches by sampling alone: guidance scales, best of n.

    result = make_frontier(FrontierConfig(evaluation="runs/eval", by="pickscore", out="runs/eval/frontier"))

Its table is drawn beside the trained checkpoints and never ranked with them; importing this needs no torch.
"""

"""Generate, score, rank, all under one manifest; importing this room needs no torch.

    result = evaluate(EvalConfig(checkpoint=("base", "runs/dpo"), prompts="shapes-core", out="runs/eval"))

The same call again resumes; with everything there it only rebuilds the leaderboard.
"""

from benchmark.evaluate.config import EvalConfig, ScoreConfig
from benchmark.evaluate.plan import EvalPlan, plan
from benchmark.evaluate.results import EvalResult
from benchmark.evaluate.run import evaluate, prepare
from benchmark.evaluate.score_folder import plan_score, score_folder

__all__ = [
    "EvalConfig", "EvalPlan", "EvalResult", "ScoreConfig", "evaluate", "plan", "plan_score", "prepare",
    "score_folder",
]  # fmt: skip

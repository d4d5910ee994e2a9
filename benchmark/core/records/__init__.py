"""The few records that flow between the stages: frozen, documented, without torch.

Nothing else passes from one stage to the next: no bare dicts, no tuples whose order one must know.
"""

from benchmark.core.records.checkpoints import EXTERNAL, Checkpoint, Hyperparameter
from benchmark.core.records.images import ImageRecord, ImageSet, Sampler
from benchmark.core.records.leaderboards import (
    Cost,
    Frontier,
    FrontierPoint,
    Gap,
    Leaderboard,
    LeaderboardCell,
    LeaderboardRow,
    LineDistance,
    Plane,
    PlanePoint,
    ScorerColumn,
    TagCell,
    WorkerSpeed,
)
from benchmark.core.records.prompts import ImageRef, OpenAttribute, PreferencePair, Prompt, PromptSet
from benchmark.core.records.scores import UNDEFINED, Axis, ScoreRow, Status, Unit

__all__ = [
    "EXTERNAL",
    "UNDEFINED",
    "Axis",
    "Checkpoint",
    "Cost",
    "Frontier",
    "FrontierPoint",
    "Gap",
    "Hyperparameter",
    "ImageRecord",
    "ImageRef",
    "ImageSet",
    "Leaderboard",
    "LeaderboardCell",
    "LeaderboardRow",
    "LineDistance",
    "OpenAttribute",
    "Plane",
    "PlanePoint",
    "PreferencePair",
    "Prompt",
    "PromptSet",
    "Sampler",
    "ScoreRow",
    "ScorerColumn",
    "Status",
    "TagCell",
    "Unit",
    "WorkerSpeed",
]

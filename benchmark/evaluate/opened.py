"""``fbench.load``: what a command wrote into a folder, as tables and records."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.core.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.core.records import Leaderboard
    from benchmark.leaderboard import ScoreTable


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """An evaluation's folder; each part is read when it is asked for first.

    Attributes:
        folder: Where it is.
        manifest: What was run, with what, and how it ended.
    """

    folder: Path
    manifest: Manifest

    def __repr__(self) -> str:
        """What it is and where, in a line."""
        return f"<{self.manifest.kind} in {self.folder}: {self.manifest.status}>"

    @cached_property
    def table(self) -> "ScoreTable":
        """All rows of ``scores.parquet`` with the facts beside them.

        Raises:
            MissingFileError: if the folder holds no scores, such as that of a training.
            UnreadableFileError: if they are damaged.
        """
        from benchmark.leaderboard import read_score_table

        return read_score_table(self.folder)

    @property
    def scores(self) -> "pd.DataFrame":
        """The scores, one row a number: a plain mean by checkpoint and scorer is right.

        Columns: ``checkpoint, scorer, scorer_version, prompt_id, seed, value, status, note``, see
        docs/python-api.md. The rows of the jackknife are left out; `jackknife` has them.
        """
        from benchmark.stats.jackknife import LEAVE_OUT

        rows = self.table.rows
        return rows[~rows["prompt_id"].str.startswith(LEAVE_OUT, na=False)].reset_index(drop=True)

    @property
    def jackknife(self) -> "pd.DataFrame":
        """The numbers of whole sets with one of the groups of prompts left out, for their intervals.

        Columns: ``checkpoint, scorer, scorer_version, group, value, status, note``; ``group`` counts from 0.
        """
        from benchmark.stats.jackknife import LEAVE_OUT

        rows = self.table.rows
        left = rows[rows["prompt_id"].str.startswith(LEAVE_OUT, na=False)].reset_index(drop=True)
        group = left["prompt_id"].str.removeprefix(LEAVE_OUT).astype("int64")
        left.insert(3, "group", group)
        return left.drop(columns=["prompt_id", "seed"])

    @cached_property
    def leaderboard(self) -> "Leaderboard":
        """The leaderboard with its tests and intervals, built anew from the scores."""
        from benchmark.leaderboard import build_leaderboard

        return build_leaderboard([self.table], reference=self.manifest.config.get("reference"))

    def to_pandas(self) -> "pd.DataFrame":
        """The leaderboard with the columns of ``leaderboard.csv``, one row a checkpoint."""
        import pandas as pd

        from benchmark.report.data_files import flat_row

        return pd.DataFrame([flat_row(self.leaderboard, row) for row in self.leaderboard.rows])


def load(path: str | Path) -> Evaluation:
    """Opens the folder of an evaluation, or of any other run for its manifest.

    Args:
        path: The folder, or a file in it.

    Raises:
        MissingFileError: if there is no run.
        UnreadableFileError: if its manifest cannot be read.
    """
    place = Path(path).expanduser()
    folder = place.parent if place.is_file() else place
    return Evaluation(folder, read_manifest(folder))

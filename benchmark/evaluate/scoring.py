"""Scores what is missing: rows are kept by what was scored and by whom."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.core import store
from benchmark.core.errors import UnreadableFileError
from benchmark.core.hashing import sha256_json
from benchmark.core.recording import call_of
from benchmark.core.records import ImageSet, ScoreRow
from benchmark.generate import Progress
from benchmark.scorers import Scorer
from benchmark.scorers._shown import forget

FOLDER = ".scores"


class ScoreCache:
    """Rows of finished scorers.

    A file is named by image set, scorer, version and options, and by the images' own hashes.

    Args:
        out: The evaluation's folder.
    """

    def __init__(self, out: Path) -> None:
        self._folder = out / FOLDER

    def has_any(self, image_set_id: str, scorer: Scorer) -> bool:
        """Whether the scorer has seen this image set, as far as its id tells."""
        return any((self._folder / image_set_id).glob(f"{self._name(scorer)}.*.parquet"))

    def read(self, images: ImageSet, scorer: Scorer) -> list[ScoreRow] | None:
        """The rows for exactly these images; None if there are none."""
        path = self._path(images, scorer)
        try:
            return store.read_scores(path) if path.is_file() else None
        except UnreadableFileError:
            return None

    def write(self, images: ImageSet, scorer: Scorer, rows: Sequence[ScoreRow]) -> None:
        """Keeps rows, unless the scorer failed: then the same command tries again."""
        if not any(row.status == "error" for row in rows):
            store.write_scores(self._path(images, scorer), rows)

    def _path(self, images: ImageSet, scorer: Scorer) -> Path:
        seen = [(r.prompt_id, r.seed, r.sha256 or str(r.path), r.status) for r in images]
        return self._folder / images.id / f"{self._name(scorer)}.{sha256_json(seen)[:8]}.parquet"

    @staticmethod
    def _name(scorer: Scorer) -> str:
        made = sha256_json([str(call_of(scorer) or type(scorer).__name__), scorer.scorer_version])
        return f"{scorer.name}-{made[:12]}"


class Loaded:
    """Scorers that are loaded once, and only if they have something to do.

    Args:
        device: Where they compute.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._ready: set[str] = set()

    def load(self, scorers: Iterable[Scorer]) -> None:
        """Loads those that are not loaded yet.

        Raises:
            UserError: if weights are missing or unreadable.
        """
        for scorer in scorers:
            if scorer.name not in self._ready:
                scorer.load(self._device)
                self._ready.add(scorer.name)


def score_all(
    images: ImageSet, scorers: Sequence[Scorer], loaded: Loaded, cache: ScoreCache, tell: Progress
) -> list[ScoreRow]:
    """The rows of all scorers for one image set.

    Args:
        images: What to score.
        scorers: By whom.
        loaded: Loads those that have something to do.
        cache: What is in it is not scored again.
        tell: Told after each scorer.
    """
    rows: list[ScoreRow] = []
    tell(0, len(scorers))
    for i, scorer in enumerate(scorers):
        known = cache.read(images, scorer)
        if known is None:
            loaded.load([scorer])
            known = _score(scorer, images)
            cache.write(images, scorer, known)
        rows += known
        tell(i + 1, len(scorers))
    forget(images)
    return rows


def _score(scorer: Scorer, images: ImageSet) -> list[ScoreRow]:
    """What a scorer says; one that raises, against its contract, still takes nobody along."""
    try:
        return scorer.score(images)
    except Exception as error:  # noqa: BLE001
        return [scorer.row(images, error, *where) for where in expected_rows(scorer, images)]


def expected_rows(scorer: Scorer, images: ImageSet) -> list[tuple[str | None, int | None]]:
    """The (prompt, k) of the rows that a scorer of this unit owes."""
    if scorer.unit == "set":
        return [(None, None)]
    if scorer.unit == "prompt":
        return [(prompt.id, None) for prompt in images.prompt_set]
    return [(record.prompt_id, record.seed) for record in images]

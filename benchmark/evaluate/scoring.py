"""Scores what is missing: rows are kept by what was scored and by whom."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmark.core import store
from benchmark.core.console import doing
from benchmark.core.environment import own_packages
from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.records import ImageSet, ScoreRow
from benchmark.core.sealed import read_sealed, sealed_file
from benchmark.evaluate.conformance import ensure
from benchmark.evaluate.toy_weights import warn_of_strangers
from benchmark.generate import Progress
from benchmark.scorers import Scorer
from benchmark.scorers.base import ImageScorer, PromptScorer, SetScorer, attempt, expected
from benchmark.scorers.engine.cache import Cache
from benchmark.scorers.engine.images import Shown, forget, parts, shown, source_of
from benchmark.scorers.engine.isolation import isolated

FOLDER = ".scores"
KEPT = ".features"


class ScoreCache:
    """Rows of finished scorers.

    A file is named by image set, scorer, version and options, and by the contents of prompts and images; it
    is sealed, and scored again where it is damaged.
    Beside them features and values are kept by each image's content: more prompts or scorers need only what
    is new.

    Args:
        out: The evaluation's folder.
    """

    def __init__(self, out: Path) -> None:
        self._folder = out / FOLDER
        self.kept = Cache(out / KEPT)

    def has_any(self, image_set_id: str, scorer: Scorer) -> bool:
        """Whether the scorer has seen this image set, as far as its id tells."""
        return any((self._folder / image_set_id).glob(f"{scorer.identity}.*.parquet"))

    def read(self, images: ImageSet, scorer: Scorer) -> list[ScoreRow] | None:
        """The rows for exactly these images; None if there are none."""
        path = self._path(images, scorer)
        try:
            rows = store.read_scores(path, read_sealed(path, "kept scores"))
        except UnreadableFileError:
            return None
        # Kept by content: the same images may be called otherwise by now.
        return rows and [replace(row, checkpoint=images.checkpoint.id) for row in rows]

    def write(self, images: ImageSet, scorer: Scorer, rows: Sequence[ScoreRow]) -> None:
        """Keeps rows, unless the scorer failed: then the same command tries again."""
        if not any(row.status == "error" for row in rows):
            with sealed_file(self._path(images, scorer)) as temporary:
                store.write_scores(temporary, rows)

    def _path(self, images: ImageSet, scorer: Scorer) -> Path:
        # The set's id does not follow what a prompt says besides its text, such as its open attribute.
        prompts = tuple(images.prompt_set)
        seen = [(r.prompt_id, r.seed, r.sha256 or str(r.path), r.status) for r in images]
        return self._folder / images.id / f"{scorer.identity}.{sha256_json([prompts, seen])[:8]}.parquet"


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
            UserError: if a scorer cannot be loaded, needs packages that cannot live here, or does not give
                the golden images the scores that it should.
        """
        for scorer in scorers:
            if scorer.name not in self._ready:
                if scorer.packages and tuple(sorted(scorer.packages)) != own_packages():
                    raise UserError(
                        f"scorer {scorer.name} needs packages of its own: {', '.join(scorer.packages)}",
                        do="give --ray (or --ray local), which makes an environment with them",
                    )
                with doing(f"loading {scorer.name}"), isolated(scorer):
                    expected(f"scorer {scorer.name} cannot be loaded", partial(scorer.load, self._device))
                    ensure(scorer)
                self._ready.add(scorer.name)


def score_all(
    images: ImageSet, scorers: Sequence[Scorer], loaded: Loaded, cache: ScoreCache, tell: Progress
) -> list[ScoreRow]:
    """The rows of all scorers for one image set.

    The set is gone through once, a part at a time, and every scorer sees a part before the next one is
    decoded. Values and features are kept by content, so that a killed run goes on where it was.

    Args:
        images: What to score.
        scorers: By whom.
        loaded: Loads those that have something to do.
        cache: What is in it is not scored again.
        tell: Told of images after each part.
    """
    warn_of_strangers(images, scorers)
    known = {scorer.name: cache.read(images, scorer) for scorer in scorers}
    due = [scorer for scorer in scorers if known[scorer.name] is None]
    tell(0 if due else len(images), len(images))
    if due:
        loaded.load(due)
        found = _score_due(images, due, cache.kept, tell)
        for scorer in due:
            cache.write(images, scorer, found[scorer.name])
        known |= found
    return [row for scorer in scorers for row in known[scorer.name] or ()]


def score_part(
    images: ImageSet, scorers: Sequence[Scorer], kept: Cache, tell: Progress
) -> dict[str, list[ScoreRow]]:
    """The rows of loaded scorers for some prompts of a set; of scorers of the whole set the features alone.

    Args:
        images: Of these prompts, as of :meth:`benchmark.core.records.ImageSet.of`.
        scorers: By whom.
        kept: Values and features by content.
        tell: Told of images after each part.

    Returns:
        By scorer, in the set's order.
    """
    with _looking(images, kept):
        return _in_parts(images, scorers, tell)


def _score_due(
    images: ImageSet, scorers: Sequence[Scorer], kept: Cache, tell: Progress
) -> dict[str, list[ScoreRow]]:
    with _looking(images, kept):
        found = _in_parts(images, scorers, tell)
        whole = shown(images)
        for scorer in scorers:
            if isinstance(scorer, SetScorer):
                found[scorer.name] += _rows(scorer, whole)
    return found


@contextmanager
def _looking(images: ImageSet, kept: Cache) -> Iterator[None]:
    source_of(images, kept)
    try:
        yield
    finally:
        kept.write()
        forget(images)


def _in_parts(images: ImageSet, scorers: Sequence[Scorer], tell: Progress) -> dict[str, list[ScoreRow]]:
    found: dict[str, list[ScoreRow]] = {scorer.name: [] for scorer in scorers}
    done = 0
    for part in parts(images):
        for scorer in scorers:
            if isinstance(scorer, SetScorer):
                # What fails here fails again with the whole set, where it becomes a row.
                with isolated(scorer), suppress(Exception):
                    attempt(partial(scorer.look, part))
            else:
                found[scorer.name] += _rows(scorer, part)
        done += len(part) + len(part.faults)
        tell(done, len(images))
    return found


def _rows(scorer: Scorer, seen: Shown) -> list[ScoreRow]:
    """The rows of a scorer; one that raises, against its contract, still takes nobody along."""
    try:
        with isolated(scorer):
            return attempt(partial(scorer.rows, seen))
    except Exception as error:  # noqa: BLE001
        return [scorer.row(seen, error, *where) for where in expected_rows(scorer, seen)]


def owed_rows(scorer: Scorer, images: ImageSet, why: str) -> list[ScoreRow]:
    """Error rows in the place of those that a scorer owes for images which it could not look at."""
    where = (images.checkpoint.id, scorer.name, scorer.scorer_version)
    concerned = images.prompt_set if isinstance(scorer, PromptScorer) else ()
    places: list[tuple[str | None, int | None]] = [(prompt.id, None) for prompt in concerned]
    if isinstance(scorer, ImageScorer):
        places += [(r.prompt_id, r.seed) for r in images if scorer.concerns(images.prompt(r))]
    if isinstance(scorer, SetScorer):
        places.append((None, None))
    return [ScoreRow(*where, prompt_id, k, None, "error", why) for prompt_id, k in places]


def expected_rows(scorer: Scorer, seen: Shown) -> list[tuple[str | None, int | None]]:
    """The (prompt, k) of the rows that a scorer of this unit owes."""
    if scorer.unit == "set":
        return [(None, None)]
    if scorer.unit == "prompt":
        return [(prompt.id, None) for prompt in seen.asked]
    records = [*seen.records, *(fault.record for fault in seen.faults)]
    return sorted((record.prompt_id, record.seed) for record in records)

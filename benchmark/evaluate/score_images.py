"""``fbench.score``: scores of pictures that a program holds, without a command and without a folder."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

from benchmark.core.devices import choose_device
from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import ImageSet, ScorerColumn, ScoreRow
from benchmark.core.words import number_of
from benchmark.evaluate.config import PUBLISHED_SCORERS
from benchmark.evaluate.external_images import image_set
from benchmark.evaluate.scoring import Loaded, ScoreCache, score_all
from benchmark.scorers import Scorer, make_scorers, split_scorers
from benchmark.scorers.requirements import require_weights

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from PIL.Image import Image

Picture: TypeAlias = Union["Image", "np.ndarray", Path, str]
"""A Pillow image, an array of uint8 in (height, width, 3) or (height, width), or the path of a file."""


@dataclass(frozen=True)
class Scores:
    """What scorers say of some pictures.

    Attributes:
        rows: One for each picture, prompt or set, by the scorers' units; failures are rows with a status.
        columns: The scorers' facts, in their order.
        prompts: The text of each picture, in the order given.
        places: For (prompt_id, k) of a row the position of its picture.
        texts: For the prompt_id of a row its text.
    """

    rows: tuple[ScoreRow, ...]
    columns: tuple[ScorerColumn, ...]
    prompts: tuple[str, ...]
    places: dict[tuple[str | None, int | None], int]
    texts: dict[str | None, str]

    def values(self, scorer: str) -> list[float | None]:
        """One number a picture, in the order given; None where there is none.

        Args:
            scorer: Name of one whose unit is the image.

        Raises:
            UserError: if nobody was asked of that name, or its numbers are about prompts or the set.
        """
        column = self._column(scorer)
        if column.unit != "image":
            raise UserError(
                f"{scorer} has one number a {column.unit}, not one an image",
                do=f"see .to_pandas(), or .mean({scorer!r})",
            )
        found: list[float | None] = [None] * len(self.prompts)
        for row in self._rows_of(scorer):
            found[self.places[row.prompt_id, row.seed]] = row.value
        return found

    def mean(self, scorer: str) -> float | None:
        """The mean over what has a number; of a scorer of whole sets its number; None if nothing has one.

        Raises:
            UserError: if nobody was asked of that name.
        """
        self._column(scorer)
        known = [row.value for row in self._rows_of(scorer) if row.value is not None]
        return fmean(known) if known else None

    def to_pandas(self) -> "pd.DataFrame":
        """A long table: ``scorer, unit, image, prompt, value, status, note``.

        ``scorer`` is the name, with ``(embedded)`` behind it where toy weights stand for published ones.
        ``image`` is the position of the picture, and empty for a number about a prompt or the whole set; so
        is ``prompt`` for one about the set. ``value`` is ``NaN`` where ``status`` is not ``ok``, and ``note``
        then says why.
        """
        import pandas as pd

        table = pd.DataFrame(
            {
                "scorer": [self._column(row.scorer).label for row in self.rows],
                "unit": [self._column(row.scorer).unit for row in self.rows],
                "image": pd.array(
                    [self.places.get((row.prompt_id, row.seed)) for row in self.rows], dtype="Int64"
                ),
                "prompt": [self.texts.get(row.prompt_id) for row in self.rows],
                "value": pd.array([row.value for row in self.rows], dtype="float64"),
                "status": [row.status for row in self.rows],
                "note": [row.note for row in self.rows],
            }
        )
        order = {column.label: i for i, column in enumerate(self.columns)}
        return table.sort_values(
            ["scorer", "image"], key=lambda c: c.map(order) if c.name == "scorer" else c, ignore_index=True
        )

    def _rows_of(self, scorer: str) -> Iterable[ScoreRow]:
        return (row for row in self.rows if row.scorer == scorer)

    def _column(self, scorer: str) -> ScorerColumn:
        by_name = {column.name: column for column in self.columns}
        if scorer not in by_name:
            raise UnknownNameError("scorer of these scores", scorer, by_name)
        return by_name[scorer]


def score(
    images: Picture | Sequence[Picture],
    prompts: str | Sequence[str],
    scorers: str | Sequence[str] = PUBLISHED_SCORERS,
    *,
    weights: str = "published",
    device: str = "auto",
    precision: str = "fp32",
) -> Scores:
    """Scores pictures, as ``fbench score`` scores those of a folder.

    Pictures of equal text are of one prompt, in their order. Networks stay loaded until other scorers, other
    weights or another device are asked for, so that a loop may call this at every step.

    Args:
        images: Pillow images, uint8 arrays or paths, or one image or path; each is scored as its pixels are.
        prompts: What each was made for; one text for all of them will do.
        scorers: Of ``fbench list scorers``, as on the command line: ``["clip", "hps(version='v2.0')"]``.
        weights: ``published``, or ``embedded``, the embedded world's toy models; for scorers that name none.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        precision: ``fp32`` or ``bf16``: what scorers' networks compute in.

    Returns:
        One row a number. What cannot be scored is a row with a status, and no exception.

    Raises:
        UserError: if numbers of pictures and prompts differ, all pictures are texts at which no file is, one
            is of no known kind, a scorer is not known, or its weights are not here.
    """
    one = isinstance(images, str | Path) or not hasattr(images, "__len__")
    pictures = [images] if one else list(cast(Sequence[Picture], images))
    texts = [prompts] * len(pictures) if isinstance(prompts, str) else list(prompts)
    if len(texts) != len(pictures) or not texts:
        raise UserError(
            f"{number_of(len(pictures), 'image')} and {number_of(len(texts), 'prompt')}",
            allowed="one prompt an image, or one text for all",
        )
    if all(isinstance(image, str) and not _is_file(image) for image in pictures):
        raise UserError(
            f"there is no picture at {str(pictures[0])[:80]}"
            + (", nor at any other place" if len(pictures) > 1 else ""),
            do="pictures come first, then prompts: score(images, prompts)",
        )
    names = tuple(split_scorers(scorers)) if isinstance(scorers, str) else tuple(scorers)
    made = make_scorers(names, weights, precision)
    require_weights(made)
    asked, loaded = _loaded(made, choose_device(device))
    with TemporaryDirectory(prefix="fbench-") as folder:
        found = _as_set(pictures, texts, Path(folder))
        rows = score_all(found, asked, loaded, ScoreCache(Path(folder) / "cache"), lambda *_: None)
    texts_by_id: dict[str | None, str] = {prompt.id: prompt.text for prompt in found.prompt_set}
    positions: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        positions.setdefault(text, []).append(i)
    return Scores(
        # What belongs to the interval of a set's number is no score.
        rows=tuple(row for row in rows if row.prompt_id is None or row.prompt_id in texts_by_id),
        columns=tuple(scorer.column() for scorer in asked),
        prompts=tuple(texts),
        places={(r.prompt_id, r.seed): positions[texts_by_id[r.prompt_id]][r.seed] for r in found},
        texts=texts_by_id,
    )


_LAST: dict[tuple[str, ...], tuple[list[Scorer], Loaded]] = {}
"""The scorers of the last call, by what they are, their weights included."""


def _loaded(made: list[Scorer], device: str) -> tuple[list[Scorer], Loaded]:
    key = (device, *(scorer.identity for scorer in made))
    if key not in _LAST:
        _LAST.clear()
        _LAST[key] = (made, Loaded(device))
    return _LAST[key]


def _as_set(images: Sequence[Any], texts: Sequence[str], folder: Path) -> ImageSet:
    rows = [
        {"prompt": text, "image_path": str(_file_of(image, i, folder))}
        for i, (image, text) in enumerate(zip(images, texts, strict=True))
    ]
    try:
        return image_set(rows, folder, "images")
    except (TypeError, ValueError) as error:
        raise UserError(f"prompts cannot be used: {error}") from error


def _is_file(text: str) -> bool:
    """Whether a file is there; of a text too long for a path the system says more than that."""
    try:
        return Path(text).expanduser().exists()
    except (OSError, RuntimeError):
        return False


def _file_of(image: Any, position: int, folder: Path) -> Path:
    """Where the picture lies as a file; one in memory is written, without loss."""
    if isinstance(image, str | Path):
        return Path(image).expanduser().absolute()
    path = folder / f"{position:06d}.png"
    _as_pillow(image, position).save(path, compress_level=1)
    return path


def _as_pillow(image: Any, position: int) -> "Image":
    import numpy as np
    from PIL import Image

    if isinstance(image, Image.Image):
        return image
    allowed = "Pillow images, paths, or arrays of uint8 in (height, width, 3) or (height, width)"
    array = np.asarray(image) if hasattr(image, "__array__") else None
    if array is None:
        raise UserError(f"image {position} is of type {type(image).__name__}", allowed=allowed)
    if (
        array.dtype != np.uint8
        or array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in (3, 4))
    ):
        raise UserError(
            f"image {position} is an array of {array.dtype} in {array.shape}",
            allowed=allowed,
            do="of numbers in 0..1 it is (255 * array).round().astype('uint8')",
        )
    return Image.fromarray(array)

"""Where the styles' reference images are: the embedded style data, or a user's folder. No torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmark.core import resources, store
from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.pixels import decode_rgb
from benchmark.core.records import Prompt
from benchmark.scorers._reference import Files, image_files
from benchmark.scorers._weights import EMBEDDED, short_hash

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

STYLES: Final = ("van_gogh", "sketch", "winter")
"""Of the embedded world."""

_FILE: Final = "shapes-style-"


def style_places(scorer: str, references: str, *, embedded: bool) -> Mapping[str, Path]:
    """Where the images of each style are, by its name.

    Args:
        scorer: Whose, for messages.
        references: ``embedded``; or a folder: of ``shapes-style-STYLE.parquet`` files, of a folder of images
            for each style, or of one style's images, which it names. Empty: what goes without saying.
        embedded: Whether the embedded world's go without saying.

    Raises:
        UserError: if nothing is named where nothing goes without saying, or no images are there.
    """
    if references == EMBEDDED or (not references and embedded):
        return {style: resources.shapes_data(f"{_FILE}{style}.parquet") for style in STYLES}
    if not references:
        raise UserError(
            f"scorer {scorer} compares with images of the styles, and none are named",
            allowed="a folder with one folder of images for each style",
            do=f"--scorers \"{scorer}(references='FOLDER')\"",
        )
    folder = Path(references).expanduser()
    if not folder.is_dir():
        raise MissingFileError(folder, f"folder of the styles' images for scorer {scorer}")
    tables = {path.stem.removeprefix(_FILE): path for path in sorted(folder.glob(f"{_FILE}*.parquet"))}
    folders = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and image_files(path)}
    found = tables or folders or ({folder.name: folder} if image_files(folder) else {})
    if not found:
        raise UnreadableFileError(
            folder, "images of styles", "neither images nor folders of images are in it"
        )
    return {_name(style): path for style, path in found.items()}


def styles_hash(weights: Path, places: Mapping[str, Path]) -> str:
    """Short hash of a scorer's weights and of the styles that it compares with.

    The styles' names decide which prompts are scored, so they count as well; those of the embedded world go
    without saying.
    """
    known = short_hash(weights, *places.values())
    own = sorted(places)
    return known if own == sorted(STYLES) else sha256_json([known, own])[:8]


def style_of(prompt: Prompt) -> str:
    """The style that a prompt asks for, spelled as the names of `style_places`; empty if none."""
    return _name(prompt.style or "")


def style_images(place: Path) -> "Sequence[RGB]":
    """The images of a style: a folder's, or of style data the preferred one of each pair.

    Raises:
        UserError: if the file is missing or unreadable.
    """
    if place.is_dir():
        return Files(image_files(place))
    table = store.read_parquet(place, ["jpg_0", "jpg_1", "label_0"]).to_pylist()
    if not table:
        raise UnreadableFileError(place, "style data", "it has no pair")
    return [decode_rgb(row["jpg_0"] if row["label_0"] == 1 else row["jpg_1"], place) for row in table]


def _name(style: str) -> str:
    """``Van Gogh`` and ``van-gogh`` are ``van_gogh``."""
    return "_".join(style.lower().replace("-", " ").replace("_", " ").split())

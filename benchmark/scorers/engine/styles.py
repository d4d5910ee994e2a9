"""Where the styles' reference images are: the embedded style data, or a user's folder. No torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmark.core import resources, store
from benchmark.core.errors import MissingFileError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.image_files import counted, find_images
from benchmark.core.pixels import decode_rgb, read_rgb
from benchmark.core.records import Prompt
from benchmark.scorers.engine.images import Pictures
from benchmark.scorers.engine.references import readable_images
from benchmark.weights.locate import EMBEDDED

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
        raise MissingFileError(
            folder,
            f"folder of the styles' images for scorer {scorer}",
            allowed="a folder with one folder of images for each style",
            do=f"--scorers \"{scorer}(references='FOLDER')\"",
        )
    tables = {path.stem.removeprefix(_FILE): path for path in sorted(folder.glob(f"{_FILE}*.parquet"))}
    styles = {} if tables else _folders(folder)
    found = tables or styles or ({folder.name: folder} if find_images(folder).images else {})
    if not found:
        said = find_images(folder).passed_over()
        why = f"neither images nor folders of images are in it{said and ': '}{said}"
        raise UnreadableFileError(folder, "images of styles", why)
    for path in found.values():
        if path.is_dir():
            readable_images(path)
    return {_name(style): path for style, path in found.items()}


def _folders(folder: Path) -> dict[str, Path]:
    """The folders of images in a folder, by their names; two spellings of one style are refused."""
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."}
    styles = {name: path for name, path in found.items() if find_images(path).images}
    for name in styles:
        same = [other for other in styles if _name(other) == _name(name)]
        if len(same) > 1:
            raise UserError(f"{folder} has two folders of one style: {', '.join(same)}", do="make them one")
    return styles


def styles_in_words(places: Mapping[str, Path], counts: Mapping[str, int]) -> str:
    """The styles' references and their sizes, with what lies beside them and is not used.

    Args:
        places: As of `style_places`.
        counts: Images of each style.
    """
    sizes = ", ".join(f"{style} {counts[style]:,}" for style in places)
    folders = [place for place in places.values() if place.is_dir()]
    beside = [find_images(place).passed_over() for place in folders]
    parents = {place.parent for place in folders} if len(folders) > 1 else set()
    for parent in parents:
        loose = [p for p in find_images(parent).images if not any(p.is_relative_to(f) for f in folders)]
        beside.append(counted(loose, parent, "is of no style", "are of no style", "image"))
    return "; ".join(part for part in (f"reference images by style: {sizes}", *beside) if part)


def hash_with_names(known: str, places: Mapping[str, Path]) -> str:
    """A hash of weights and references, and of the styles' names, which decide what prompts are scored.

    Those of the embedded world go without saying.
    """
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
        return Pictures(find_images(place).images, read_rgb)
    table = store.read_parquet(place, ["jpg_0", "jpg_1", "label_0"]).to_pylist()
    if not table:
        raise UnreadableFileError(place, "style data", "it has no pair")
    return [decode_rgb(row["jpg_0"] if row["label_0"] == 1 else row["jpg_1"], place) for row in table]


def _name(style: str) -> str:
    """``Van Gogh`` and ``van-gogh`` are ``van_gogh``."""
    return "_".join(style.lower().replace("-", " ").replace("_", " ").split())

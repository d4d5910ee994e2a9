"""The styles' reference images: the preferred ones of the style data, columns as Pick-a-Pic's."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmark.core import resources, store
from benchmark.core.errors import UnreadableFileError
from benchmark.core.pixels import decode_rgb

if TYPE_CHECKING:
    from benchmark.core.pixels import RGB

STYLES: Final = ("van_gogh", "sketch", "winter")


def style_file(style: str, references: str) -> Path:
    """The parquet file of a style.

    Args:
        style: One of `STYLES`.
        references: ``embedded``, or a folder with such files.

    Raises:
        MissingFileError: if the embedded one has not been built.
    """
    name = f"shapes-style-{style}.parquet"
    return resources.shapes_data(name) if references == "embedded" else Path(references).expanduser() / name


def style_images(style: str, references: str) -> "list[RGB]":
    """The preferred image of each pair.

    Raises:
        UserError: if the file is missing or unreadable.
    """
    path = style_file(style, references)
    table = store.read_parquet(path, ["jpg_0", "jpg_1", "label_0"]).to_pylist()
    if not table:
        raise UnreadableFileError(path, "style data", "it has no pair")
    return [decode_rgb(row["jpg_0"] if row["label_0"] == 1 else row["jpg_1"], path) for row in table]

"""The comparison of the oracle with a person's eye."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.core.errors import ConfigError
from benchmark.shapes.alignment import Seen
from tools.studies.eye import COLUMNS, LINES, TILE, in_words, read_exceptions, sheet, tally

PAIR = Seen(count=2, shape=(0, 3), colour=(1, 2), size=(0, 1), axis=1, background=1, style=2)
SINGLE = Seen(count=1, shape=(4, -1), colour=(1, -1), size=(0, -1), axis=-1, background=0, style=0)
READINGS = [{"scene": "no", **in_words(PAIR)}, {"scene": "yes", **in_words(SINGLE)}]


def test_a_reading_in_words_leaves_out_what_was_not_read() -> None:
    assert READINGS[0]["shape 2"] == "star"
    assert READINGS[0]["axis"] == "stacked"
    assert "shape 2" not in READINGS[1]
    assert "axis" not in READINGS[1]


def test_the_tally_takes_what_cannot_be_told_out_of_the_rest() -> None:
    table = tally(
        [{**r, "scene": "yes"} for r in READINGS], [(0, "shape 1", "cannot_tell"), (1, "shape 1", "wrong")]
    )
    assert "| shape | 3 | 33.3% | 50.0% |" in table
    assert "| count | 2 | 0.0% | 100.0% |" in table
    assert "| all | 16 | 6.2% | 93.3% |" in table


def test_the_tally_leaves_out_what_is_no_scene() -> None:
    table = tally(READINGS, [(0, "shape 1", "wrong"), (1, "shape 1", "wrong")])
    assert "(1 pictures)" in table
    assert "| shape | 1 | 0.0% | 0.0% |" in table
    assert "| all | 6 | 0.0% | 83.3% |" in table


@pytest.mark.parametrize("row", ["2,shape 1,wrong", "0,shape 1,maybe", "1,shape 2,wrong"])
def test_a_row_about_something_unread_is_refused(tmp_path: Path, row: str) -> None:
    path = tmp_path / "exceptions.csv"
    path.write_text(f"image,attribute,verdict\n{row}\n")
    with pytest.raises(ConfigError, match="what was read"):
        list(read_exceptions(path, READINGS))


def test_a_sheet_holds_every_picture_beside_its_reading() -> None:
    images = np.stack([np.full((64, 64, 3), value, np.uint8) for value in (50, 200)])
    out = sheet(images, READINGS, 7)
    assert out.size == (COLUMNS * TILE, TILE + 12 * LINES)
    assert out.getpixel((TILE // 2, TILE // 2)) == (50, 50, 50)
    assert out.getpixel((TILE + TILE // 2, TILE // 2)) == (200, 200, 200)
    below = np.asarray(out)[TILE:, :TILE]
    assert (below < 128).any()

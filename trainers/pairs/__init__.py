"""Preference data: where it is found, how it is read and checked, and what a run gets of it.

Sources are the embedded sets, Pick-a-Pic-style parquet, JSONL listings of image files, and data sets of the
hub. A pair is used if its row has a caption, two images that can be opened and a preference. Bad rows are
counted and named, and too many of them stop the run, because a silent loss of data looks like a result.
"""

from trainers.pairs.load import MAX_HELD_OUT_SHARE, load_pairs
from trainers.pairs.parquet import COLUMNS, read_images
from trainers.pairs.records import (
    BAD_ROWS_FILE,
    BadRow,
    PairSet,
    PreferenceData,
    Ties,
    refuse_bad_rows,
    write_bad_rows,
)
from trainers.pairs.sources import HELD_OUT_NAMES, Source, find_source, is_embedded

__all__ = [
    "BAD_ROWS_FILE",
    "COLUMNS",
    "HELD_OUT_NAMES",
    "MAX_HELD_OUT_SHARE",
    "BadRow",
    "PairSet",
    "PreferenceData",
    "Source",
    "Ties",
    "find_source",
    "is_embedded",
    "load_pairs",
    "read_images",
    "refuse_bad_rows",
    "write_bad_rows",
]

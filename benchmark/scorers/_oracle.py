"""What the scorers of the embedded truth have in common besides the truth itself; no torch."""

from benchmark.core import resources
from benchmark.scorers._weights import short_hash


def truth_hash() -> str:
    """Of the evaluating oracle and of its calibrations.

    Raises:
        MissingFileError: if they have not been built.
    """
    return short_hash(resources.shapes_weights("oracle"), resources.shapes_weights("truth/oracle.json"))


def load_truth() -> None:
    """Reads both, so that a fault shows before the first image."""
    from benchmark.shapes.truth import load_judge

    load_judge()

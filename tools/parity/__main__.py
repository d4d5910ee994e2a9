"""`python -m tools.parity [--only NAME]`: `results/parity.json` and `docs/parity.md`."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.core.console import finish
from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.store import read_json, write_json, write_text
from tools.parity import environments, image_text, pairs, sets
from tools.parity.comparison import Comparison, Row
from tools.parity.layouts import discard, prepare
from tools.parity.page import page

OUT = Path("results/parity.json")
PAGE = Path("docs/parity.md")
COMPARISONS: Sequence[Comparison] = (
    *image_text.COMPARISONS,
    *pairs.COMPARISONS,
    *sets.COMPARISONS,
)


def chosen(only: str | None) -> list[Comparison]:
    """The comparisons of a scorer, or all.

    Raises:
        UnknownNameError: names the close matches.
    """
    names = list(dict.fromkeys(c.scorer for c in COMPARISONS))
    if only and only not in names:
        raise UnknownNameError("comparison", only, names)
    return [c for c in COMPARISONS if not only or c.scorer == only]


def compare(comparisons: Sequence[Comparison], folder: Path, out: Path) -> list[Row]:
    """Runs comparisons one after the other; each row is written as soon as it is known.

    Args:
        comparisons: Those that need the same weights stand together.
        folder: For weights and images; what is written there is deleted again.
        out: The file; rows of other comparisons in it stay.
    """
    rows = []
    for i, comparison in enumerate(comparisons):
        row = _one(comparison, folder)
        later = {name for other in comparisons[i + 1 :] for name in other.needs}
        for name in set(comparison.needs) - later:
            discard(name, folder)
        rows.append(row)
        apart = "" if row.max_abs_diff is None else f"largest difference {row.max_abs_diff:.1e}, "
        print(f"{row.scorer:12} {row.oracle}: {apart}{row.status} ({row.seconds:.0f} s)", flush=True)
        write_rows(out, [row])
    return rows


def _one(comparison: Comparison, folder: Path) -> Row:
    try:
        for name in comparison.needs:
            prepare(name, folder)
    except UserError as error:
        return comparison.not_run(error)
    return comparison.row(folder)


def write_rows(out: Path, rows: Sequence[Row]) -> None:
    """Puts rows in their place among those that the file holds."""
    known: list[dict[str, Any]] = read_json(out, "comparisons") if out.is_file() else []
    found = {(row["scorer"], row["oracle"]): row for row in known}
    found |= {(row.scorer, row.oracle): row.json() for row in rows}
    order = {(c.scorer, c.oracle): i for i, c in enumerate(COMPARISONS)}
    kept = [row for key, row in found.items() if key in order]
    write_json(out, sorted(kept, key=lambda row: order[row["scorer"], row["oracle"]]))


def main() -> None:
    """Parses the command line, compares and writes both files."""
    parser = argparse.ArgumentParser(prog="python -m tools.parity", description=__doc__)
    parser.add_argument("--only", metavar="SCORER", help="one scorer's comparisons")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args()
    comparisons = chosen(args.only)
    environments.FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=environments.FOLDER, prefix="work-") as folder:
        compare(comparisons, Path(folder).resolve(), args.out)
    write_text(args.page, page(read_json(args.out, "comparisons")))
    print(f"wrote {args.out} and {args.page}")


if __name__ == "__main__":
    finish(main)

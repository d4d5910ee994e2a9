"""The figures on the page."""

from pathlib import Path
from typing import Any, Final

from benchmark.core import store
from tools.docs.marks import write_texts
from tools.studies.cluster.faults import Row

RESULTS: Final = Path("results/cluster.json")


def _model(known: dict[str, Any]) -> str:
    """The cost model held against two workers, with the speed that one worker had."""
    one, two = (known[name]["parts"] for name in ("one worker", "two workers"))
    work = "generate and score"
    said = two["start"] + one[work] / 2 + two["rank"]
    took = sum(two.values())
    return (
        f"With {one[work]} s of work for one worker the model gives two of them {said:.0f} s (start "
        f"{two['start']} s, work {one[work] / 2:.0f} s, rank {two['rank']} s); they took {took} s, "
        f"{100 * (took / said - 1):+.0f} %."
    )


def _of_large(large: dict[str, Any]) -> str:
    return (
        f"{large['rows']:,} rows: {large['peak_gb']:.2f} GB at the peak (10^9 bytes, of the whole process), "
        f"{large['seconds']:.0f} s; `scores.parquet` has {large['table_mb']:.0f} MB and `report.html` "
        f'{large["page_mb"]:.0f} MB. The page says: "{large["left_out"]}"'
    )


def figures(known: dict[str, Any]) -> str:
    """The page's figures, from the results."""
    rows = [Row(**one) for one in known.values() if "images" in one]
    more, cost = known["efficiency"], known["overhead"]
    percent = 100 * (cost["ours"] / cost["peer"] - 1)
    return "\n".join(
        [
            "| fault | images equal | rows equal | seconds | begun again | |",
            "|:--|--:|--:|--:|--:|:--|",
            *(
                f"| {row.name} | {row.images} of {row.all_images} | {row.scores:,} of {row.all_scores:,} | "
                f"{row.seconds:.0f} | {row.restarts} | {row.note} |"
                for row in rows
            ),
            "",
            (
                f"Two workers make {more['ours']:.2f} images a second and one {more['peer']:.2f}, "
                f"{more['ratio']:.2f} times as many ({more['note']})."
            ),
            "",
            (
                f"Ray with one worker takes {cost['ours']:.1f} s and the plain command {cost['peer']:.1f} s, "
                f"{percent:.0f} % more ({cost['note']})."
            ),
        ]
    )


def texts(known: dict[str, Any]) -> dict[str, str]:
    """What stands between the marks of the page, by their names."""
    return {"figures": figures(known), "model": _model(known), "large": _of_large(known["large"])}


def write_page(page: Path) -> None:
    """Puts the figures between the page's marks."""
    known = store.read_json(RESULTS, "measurements", do="python -m tools.studies.cluster measure")
    write_texts(page, texts(known))

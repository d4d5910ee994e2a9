"""`python -m tools.docs.speed_page docs/speed.md`: the tables of the page about speed, from the results."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmark.core import store
from benchmark.core.console import finish
from tools.bench.measuring import Measurement
from tools.docs.marks import write_texts
from tools.studies.growth.page import growth_table
from tools.studies.growth.records import read_runs

BENCH: Final = Path("results/bench.json")
_NAMES: Final[Mapping[str, str]] = {
    "train_lora": "training a LoRA",
    "train_full": "training all weights",
    "train_full_compiled": "training all weights, compiled",
    "sweep_lora": "six LoRAs together",
    "sweep_full": "six times all weights together",
    "memory_lora": "memory of training a LoRA",
    "memory_full": "memory of training all weights",
    "memory_full_exact": "the same, no weight changed",
    "memory_full_8bit": "the same, 8-bit moments",
    "generate": "making images",
    "generate_compiled": "making images, compiled",
    "scorer_bundle": "four scorers",
    "scorer_bundle_steady": "four scorers, all loaded",
    "scorer_bundle_equal": "four scorers, all in float32",
    "scorer_bundle_fresh": "four scorers, with loading",
    "lpips": "LPIPS between images of a prompt",
    "frechet": "Fréchet distance",
    "bootstrap": "intervals by the bootstrap",
    "closed_form": "optima of all divergences",
    "cluster_efficiency": "two workers on a cluster",
    "cluster_overhead": "one worker on a cluster",
    "cli_help": "`fbench --help`",
}


def peers_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of what was measured against whom, then what one must know of each line.

    Args:
        rows: As `make bench` writes them.
    """
    known = {row["name"]: Measurement(**row) for row in rows}
    ordered = [known[name] for name in _NAMES if name in known]
    lines = ["| | ours | peer's | ratio | of the machine |", "|:--|--:|--:|--:|--:|"]
    lines += [
        f"| {_NAMES[m.name]} | {m.ours:.3g} {m.unit} | {m.peer:.3g} {m.unit} | {_ratio(m)} | {_share(m)} |"
        for m in ordered
    ]
    notes = [f"* **{_NAMES[m.name]}**: against {m.peer_name}; {m.note}." for m in ordered]
    return "\n".join([*lines, "", *notes])


def _ratio(m: Measurement) -> str:
    # Of memory our share is what counts.
    return f"{m.ratio:.2f} of it" if m.unit == "GiB" else f"{m.ratio:.2f} x"


def _share(m: Measurement) -> str:
    return f"{m.flops / m.limit:.0%}" if m.flops is not None and m.limit is not None else ""


def texts() -> dict[str, str]:
    """What stands between the marks of the page, by their names."""
    rows = store.read_json(BENCH, "measurements", do="make bench")
    return {"peers": peers_table(rows), "growth": growth_table(read_runs())}


def main() -> None:
    """Parses the command line and writes into the page."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.speed_page", description=__doc__)
    parser.add_argument("page", type=Path)
    write_texts(parser.parse_args().page, texts())


if __name__ == "__main__":
    finish(main)

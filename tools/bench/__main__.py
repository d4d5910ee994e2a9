"""`python -m tools.bench [--only NAME]`: ratios on the terminal and in `results/bench.json`."""

import argparse
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benchmark.core.console import finish
from benchmark.core.devices import free_threads
from benchmark.core.errors import UnknownNameError, UserError
from tools.bench import bootstrap, closed_form
from tools.bench.measuring import Measurement, compare, write_measurements

OUT = Path("results/bench.json")
EAGER = "typer, torch, diffusers, transformers, peft"
"""What a training command needs, imported at the top of its file as is usual."""


def _generate(*, compiled: bool = False) -> Measurement:
    from tools.bench import generate

    _use_free_threads()
    return generate.measure(compiled=compiled)


def _lpips() -> Measurement:
    from tools.bench import lpips

    _use_free_threads()
    return lpips.measure()


def _frechet() -> Measurement:
    from tools.bench import frechet

    _use_free_threads()
    return frechet.measure()


def _train(*, full: bool, compiled: bool = False) -> Measurement:
    from tools.bench import train

    return train.measure(full=full, compiled=compiled)


def _memory(*, full: bool, savings: str = "") -> Measurement:
    from tools.bench import memory

    return memory.measure(full=full, savings=savings)


def _sweep(*, full: bool) -> Measurement:
    from tools.bench import sweep

    _use_free_threads()
    return sweep.measure(full=full)


def _scorer_bundle() -> list[Measurement]:
    from tools.bench import scorer_bundle

    return scorer_bundle.measure()


def _cluster_efficiency() -> Measurement:
    from tools.bench import cluster

    return cluster.measure_efficiency()


def _cluster_overhead() -> Measurement:
    from tools.bench import cluster

    return cluster.measure_overhead()


def _cli_help() -> Measurement:
    """How soon `fbench --help` answers, against a command line that imports its libraries first."""

    def start(*words: str) -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    peer = f"the imports of an eager command line ({EAGER})"
    return compare(
        "cli_help",
        lambda: start("-m", "fbench", "--help"),
        {peer: lambda: start("-c", f"import {EAGER}")},
        rounds=5,
        note="a whole process, files in the page cache",
    )


def _use_free_threads() -> None:
    """For ours and for the peer alike."""
    import torch

    torch.set_num_threads(free_threads())


MEASURES: Mapping[str, Callable[[], Measurement | list[Measurement]]] = {
    "train_lora": partial(_train, full=False),
    "train_full": partial(_train, full=True),
    "train_full_compiled": partial(_train, full=True, compiled=True),
    "memory_lora": partial(_memory, full=False),
    "memory_full": partial(_memory, full=True),
    "memory_full_exact": partial(_memory, full=True, savings="_exact"),
    "memory_full_8bit": partial(_memory, full=True, savings="_8bit"),
    "sweep_lora": partial(_sweep, full=False),
    "sweep_full": partial(_sweep, full=True),
    "generate": _generate,
    "generate_compiled": partial(_generate, compiled=True),
    "scorer_bundle": _scorer_bundle,
    "lpips": _lpips,
    "frechet": _frechet,
    "bootstrap": bootstrap.measure,
    "closed_form": closed_form.measure,
    "cluster_efficiency": _cluster_efficiency,
    "cluster_overhead": _cluster_overhead,
    "cli_help": _cli_help,
}
"""Every name; a list has the ratios of one name, and of names that begin with it."""


def chosen(only: str | None) -> list[str]:
    """The names that `--only` means: one, or all that begin with it, such as `train`.

    Raises:
        UnknownNameError: names the close matches.
    """
    word = (only or "").replace("-", "_")
    names = [word] if word in MEASURES else [name for name in MEASURES if name.startswith(word)]
    if not names:
        raise UnknownNameError("measurement", word, MEASURES)
    return names


def bench(names: list[str], out: Path) -> list[Measurement]:
    """Measures what can be measured here; what cannot is a line that says so, and no number.

    Args:
        names: Of `MEASURES`.
        out: The file; measurements of other names in it stay.
    """
    found: list[Measurement] = []
    for name in names:
        try:
            measured = MEASURES[name]()
        except UserError as error:
            print(f"{name:12} not measured: {error}", flush=True)
        else:
            new = measured if isinstance(measured, list) else [measured]
            print(*(m.line() for m in new), sep="\n", flush=True)
            found += new
    if found:
        write_measurements(out, found)
        print(f"wrote {out}")
    return found


def main() -> None:
    """Parses the command line and measures."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help=f"one, or a beginning of: {', '.join(MEASURES)}")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    bench(chosen(args.only), args.out)


if __name__ == "__main__":
    finish(main)

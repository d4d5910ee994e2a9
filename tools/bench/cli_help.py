"""`cli_help`: how soon `fbench --help` answers, against a command line that imports its libraries first."""

import subprocess
import sys

from tools.bench.measuring import Measurement, compare

EAGER = "typer, torch, diffusers, transformers, peft"
"""What a training command needs, imported at the top of its file as is usual."""


def measure(rounds: int = 5) -> Measurement:
    """Starts both as processes of their own.

    Args:
        rounds: Of which the median counts.
    """

    def start(*words: str) -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    peer = f"the imports of an eager command line ({EAGER})"
    return compare(
        "cli_help",
        lambda: start("-m", "fbench", "--help"),
        {peer: lambda: start("-c", f"import {EAGER}")},
        rounds=rounds,
        note="a whole process, files in the page cache",
    )

"""The core and the lists must answer at once, so they must not import torch."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "diffusers", "transformers", "matplotlib", "pandas", "scipy", "numpy", "pyarrow")


@pytest.mark.parametrize(
    "code",
    [
        "import fbench",
        "import fbench; fbench.Prompt, fbench.ScoreRow, fbench.UserError, fbench.Manifest",
        "import benchmark.core.devices, benchmark.core.store, benchmark.core.config",
        "from benchmark.prompt_sets import registry; [e.describe() for e in registry]",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    show = f"{code}; import sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

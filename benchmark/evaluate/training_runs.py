"""The training runs behind an evaluation's checkpoints, from what lies in their folders."""

import json
from contextlib import suppress
from pathlib import Path

from benchmark.core.errors import UserError
from benchmark.core.manifest import FILE_NAME, Manifest, read_manifest
from benchmark.report.curve_panels import Line, RunCurves
from benchmark.report.page import TrainingRun


def training_runs(manifest: Manifest) -> dict[Path, Manifest]:
    """The runs that an evaluation's checkpoints come from, where they still lie there, by their folders."""
    found = dict[Path, Manifest]()
    for spec in manifest.config.get("checkpoint") or ():
        # RUN or RUN@STEP; what is not the folder of a run has none.
        folder = Path(str(spec)) if Path(str(spec)).is_dir() else Path(str(spec).rpartition("@")[0] or ".")
        with suppress(UserError):
            run = read_manifest(folder) if (folder / FILE_NAME).is_file() else None
            found |= {folder: run} if run is not None and run.kind == "train" else {}
    return found


def curves_of(folder: Path, manifest: Manifest) -> TrainingRun:
    """What a run logged; a line that is cut off, and what follows it, is left out."""
    lines = list[Line]()
    with suppress(OSError, ValueError):
        for text in (folder / "metrics.jsonl").read_text("utf-8").splitlines():
            lines.append(json.loads(text))
    method = " ".join(str(v) for name in ("objective", "divergence") if (v := manifest.config.get(name)))
    return TrainingRun(method, RunCurves(folder.name, lines))

"""A list with every kind of bad image, scored from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.core.records import ImageSet
from benchmark.leaderboard import read_score_table

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")

SCORERS = "clip,oracle,lpips,fid"


def test_bad_images_are_rows_and_exit_code_four_until_they_are_mended(
    world: Path, make_set: Callable[..., ImageSet], bad_files: Any, tmp_path: Path
) -> None:
    images = make_set(prompts=20, k=2)
    kinds = [*bad_files.REFUSED, "missing", "directory"]
    whole = [record.path.read_bytes() for record in images]
    for record, kind in zip(images.records[::2], kinds, strict=False):
        bad_files.write(record.path, kind)
    rows = [
        {"id": r.prompt_id, "seed": r.seed, "prompt": images.prompt(r).text, "image_path": str(r.path)}
        for r in images
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["score", str(tmp_path / "mine.jsonl"), "--scorers", SCORERS, "--weights", "embedded"]
    words += ["--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 4, result.output
    table = read_score_table(tmp_path / "out").rows
    failed = {name: set(part["status"]) for name, part in table[table["value"].isna()].groupby("scorer")}
    # Set-level distances are over the rest, and say so.
    assert failed == {"clip": {"missing", "error"}, "oracle": {"missing", "error"}, "lpips": {"missing"}}
    for name in ("clip", "oracle"):
        assert table[table["scorer"] == name]["value"].notna().sum() == 40 - len(kinds)
    assert table[table["scorer"] == "lpips"]["value"].notna().sum() == 20 - len(kinds)
    (note,) = table[(table["scorer"] == "fid") & table["prompt_id"].isna()]["note"]
    assert note.startswith(f"no image for {len(kinds)} of 40: ")

    for record, data in zip(images, whole, strict=True):
        if record.path.is_dir():
            record.path.rmdir()
        record.path.write_bytes(data)
    assert CliRunner().invoke(app, words).exit_code == 0
    assert read_score_table(tmp_path / "out").rows["value"].notna().all()

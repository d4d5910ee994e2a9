"""Parity: the machinery on small weights in this environment; the committed page says what its rows say."""

import json
import math
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.pixels import read_rgb
from benchmark.networks.hf_clip import pickscore_pixels
from tools import virtual_environments as beside
from tools.parity import __main__ as parity
from tools.parity import environments, image_text, layouts, material, pairs, weights
from tools.parity.comparison import RELATIVE, TOLERANCE, Answers, Comparison
from tools.parity.page import page

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"scorer", "oracle", "n", "max_abs_diff", "tolerance", "passed"}
Usage = namedtuple("Usage", "total used free")  # noqa: PYI024


def said(*apart: float) -> Callable[[Path], Answers]:
    """An original that is so far from our numbers."""
    ours = [10.0 + i for i in range(len(apart))]
    return lambda folder: Answers(ours, [a + d for a, d in zip(ours, apart, strict=True)])


def refusing(folder: Path) -> Answers:
    raise UserError("pip failed")


@pytest.mark.parametrize(
    ("run", "relative", "status"),
    [
        (said(0.0, TOLERANCE / 2), False, "passed"),
        (said(0.0, 2 * TOLERANCE), False, "failed"),
        (said(-2 * TOLERANCE, 0.0), False, "failed"),
        (said(math.nan), False, "failed"),
        (said(0.0, math.nan), False, "failed"),
        (said(9 * RELATIVE), True, "passed"),
        (said(11 * RELATIVE), True, "failed"),
        (said(), False, "failed"),
        (refusing, False, "not run: pip failed"),
    ],
)
def test_only_what_was_run_and_stayed_within_has_passed(
    run: Callable[[Path], Answers], relative: bool, status: str, tmp_path: Path
) -> None:
    row = Comparison("hps", "hpsv2", run, relative=relative).row(tmp_path)
    assert row.status == status
    assert row.passed == (status == "passed")
    assert set(row.json()) >= KEYS
    text = page([row.json()])
    assert ("pip failed" in text) == (run is refusing)
    assert f"| {status.partition(':')[0]} |" in text


def test_a_file_keeps_other_rows_and_drops_what_is_no_comparison(tmp_path: Path) -> None:
    out = tmp_path / "parity.json"
    out.write_text(json.dumps([{"scorer": "gone", "oracle": "nobody"}]))
    first, second = parity.COMPARISONS[:2]
    for comparison in (second, first):
        parity.write_rows(out, [comparison.not_run(UserError("no"))])
    assert [(r["scorer"], r["oracle"]) for r in json.loads(out.read_text())] == [
        (c.scorer, c.oracle) for c in (first, second)
    ]


def test_names(tmp_path: Path) -> None:
    assert {c.scorer for c in parity.chosen("clip")} == {"clip"}
    assert parity.chosen(None) == list(parity.COMPARISONS)
    assert len({(c.scorer, c.oracle) for c in parity.COMPARISONS}) == len(parity.COMPARISONS)
    with pytest.raises(UnknownNameError, match="did you mean hps"):
        parity.chosen("hsp")


def test_the_committed_page_is_made_of_the_committed_rows() -> None:
    rows = json.loads((ROOT / "results" / "parity.json").read_text())
    assert page(rows) == (ROOT / "docs" / "parity.md").read_text()
    assert [(r["scorer"], r["oracle"]) for r in rows] == [(c.scorer, c.oracle) for c in parity.COMPARISONS]
    for row in rows:
        assert set(row) >= KEYS
        within = row["max_abs_diff"] is not None and row["max_abs_diff"] <= row["tolerance"]
        assert row["passed"] == within
        if row["passed"]:
            assert row["spread"] > 100 * row["max_abs_diff"]


def test_the_images_and_prompts_are_of_every_kind(tmp_path: Path) -> None:
    cases = material.write_cases(tmp_path)
    assert len(cases) == 32
    opened = [Image.open(case.raw) for case in cases]
    assert {i.mode for i in opened} == {"RGB", "L", "P", "1", "CMYK", "RGBA", "LA", "I;16"}
    assert len({i.size for i in opened}) > 25
    assert max(max(i.size) / min(i.size) for i in opened) >= 4.9
    for case in cases:
        assert np.array_equal(read_rgb(case.decoded), read_rgb(case.raw))
        assert case.given in (case.raw, case.decoded)
    text = " ".join(case.prompt for case in cases)
    assert all(part in text for part in ("&amp;amp;", "🟥", "富士山", "MARS", "“"))
    assert max(len(case.prompt.split()) for case in cases) > 77


def test_pickscore_crops_as_its_processor_does(tmp_path: Path) -> None:
    processor = CLIPImageProcessorPil(do_normalize=False)
    for case in material.write_cases(tmp_path):
        pixels = read_rgb(case.raw)
        official = processor(Image.fromarray(pixels), return_tensors="pt").pixel_values
        assert torch.allclose(pickscore_pixels(pixels, 224)[None], official, atol=1e-6), case


def test_both_libraries_compute_the_same_of_one_state(tmp_path: Path) -> None:
    import open_clip
    from transformers import CLIPModel, CLIPTokenizer

    weights.write_small_open_clip(tmp_path / "open")
    weights.write_clip_model(tmp_path / "hf", small=True)
    one = open_clip.create_model(f"local-dir:{tmp_path / 'open'}").eval()
    other = CLIPModel.from_pretrained(tmp_path / "hf").eval()
    x = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    prompt = "two dogs playing chess"
    ids = CLIPTokenizer.from_pretrained(tmp_path / "hf")(prompt, return_tensors="pt").input_ids
    read = open_clip.SimpleTokenizer()(prompt)
    assert read[0, : ids.shape[1]].tolist() == ids[0].tolist()
    with torch.no_grad():
        seen = one.encode_image(x)
        assert torch.allclose(seen, other.get_image_features(x).pooler_output, atol=1e-4)
        assert torch.allclose(one.encode_text(read), other.get_text_features(ids).pooler_output, atol=1e-4)
    # Lively: images of one kind are told apart.
    cosines = torch.nn.functional.cosine_similarity(seen[0], seen[1:])
    assert cosines.max() < 0.99


def test_a_whole_comparison_through_files_and_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "SIZES", ((65, 97, "RGB"), (64, 64, "L")))
    monkeypatch.setattr(pairs, "K", 3)
    found = pairs.lpips("lpips_pairs", "squeeze", tmp_path)
    assert len(found.ours) == 2
    assert found.ours == pytest.approx(found.theirs, abs=1e-5)
    assert min(found.ours) > 0.01
    assert found.versions["lpips"]


def test_an_original_that_fails_says_so(tmp_path: Path) -> None:
    oracle = tmp_path / "oracle.py"
    oracle.write_text("PACKAGES = ['numpy']\ndef load(by):\n    return lambda x: by / x\n")
    runner = Path(parity.__file__).parent / "originals" / "runner.py"
    request = {"given": {"by": 6}, "calls": [[2], [0], [3]], "passes": 2}
    (tmp_path / "request.json").write_text(json.dumps(request))
    words = [runner, oracle, tmp_path / "request.json", tmp_path / "reply.json"]
    subprocess.run([sys.executable, "-P", *map(str, words)], check=True)
    reply = json.loads((tmp_path / "reply.json").read_text())
    assert reply["values"] == [3, None, 2]
    assert reply["errors"] == {"1": "ZeroDivisionError: division by zero"}
    assert [len(took) for took in reply["seconds"]] == [3, 3]


def test_a_full_disk_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 0, int(9.9e9)))
    with pytest.raises(UserError, match=r"9\.9 GB are free"):
        environments.CURRENT.python(tmp_path / "parity")
    row = parity.compare([Comparison("hps", "hpsv2", refusing, (layouts.HPS,))], tmp_path, tmp_path / "out")
    assert row[0].status.startswith("not run: 9.9 GB are free")


def test_an_environment_is_made_once_and_again_when_its_pins_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []
    folder = tmp_path / "env"

    def run(*command: str) -> None:
        calls.append(command)
        beside.site_packages(folder).mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(beside, "_run", run)
    for packages in (["a==1"], ["a==1"], ["a==2"]):
        python = beside.environment_beside(folder, packages, dependencies=False)
    assert python == folder / "bin" / "python"
    assert [c[-1] for c in calls] == [str(folder), "a==1", str(folder), "a==2"]
    assert "--no-deps" in calls[1]
    (line,) = (beside.site_packages(folder) / "fbench.pth").read_text().splitlines()
    assert Path(line).is_dir()


@pytest.mark.optional
def test_hps_against_hpsv2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = ROOT / environments.FOLDER / environments.CURRENT.name / "complete"
    if not built.is_file():
        pytest.skip("`make parity` builds the environment of hpsv2")
    monkeypatch.chdir(ROOT)
    weights.write_small_open_clip(tmp_path / "folder")
    torch.save({"state_dict": weights.open_clip_weights(small=True)}, tmp_path / layouts.HPS)
    given: dict[str, Any] = {
        "checkpoint": tmp_path / layouts.HPS,
        "config": weights.open_clip_config(small=True),
    }
    scorer = f"hps(weights={str(tmp_path / 'folder')!r})"
    found = image_text.compare_cases(tmp_path, scorer, "hpsv2_score", environments.CURRENT, **given)
    assert found.ours == pytest.approx(found.theirs, abs=TOLERANCE)
    assert np.std(found.ours) > 1

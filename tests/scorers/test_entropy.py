"""Grey-level entropy: its extremes, scipy's word on it, and that it stands on no trade-off plot."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import entropy as scipy_entropy

from benchmark.core.errors import UserError
from benchmark.core.records import ImageSet, Leaderboard
from benchmark.report.figures import trade_off
from benchmark.scorers import make_scorers
from benchmark.scorers.entropy import grey_entropy


def test_one_level_has_none_and_all_levels_evenly_have_eight_bits() -> None:
    flat = np.full((16, 16, 3), 77, np.uint8)
    every = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert grey_entropy(flat) == 0
    assert grey_entropy(every) == pytest.approx(8)
    assert grey_entropy(np.where(np.arange(16)[:, None, None] < 8, flat, flat + 9)) == pytest.approx(1)


def test_it_is_scipys_of_pillows_grey() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    levels = np.asarray(Image.fromarray(image).convert("L"))
    _, counts = np.unique(levels, return_counts=True)
    assert grey_entropy(image) == pytest.approx(scipy_entropy(counts, base=2))
    assert grey_entropy(image[::-1]) == grey_entropy(image)


def test_noise_raises_it_so_it_is_texture_and_needs_no_weights(make_set: Callable[..., ImageSet]) -> None:
    (scorer,) = make_scorers(["entropy"], "embedded")
    scorer.load()
    images = make_set(prompts=2, k=1)
    clean = [row.value or 0.0 for row in scorer.score(images)]
    g = np.random.default_rng(0)
    for record in images:
        noisy = np.clip(images.open(record) + g.normal(0, 60, (64, 64, 3)), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(record.path)
    records = tuple(replace(record, sha256="") for record in images)
    noisy_values = [row.value or 0.0 for row in scorer.score(replace(images, records=records))]
    assert all(after > before for before, after in zip(clean, noisy_values, strict=True))
    assert (scorer.axis, scorer.weights_hash) == ("texture", "")


def test_a_trade_off_plot_refuses_it_by_name(tmp_path: Path) -> None:
    columns = tuple(
        scorer.column() for scorer in make_scorers(["true_reward", "lpips", "entropy"], "embedded")
    )
    board = Leaderboard("suite", (), (), columns)
    with pytest.raises(UserError, match="entropy is of the texture axis"):
        trade_off(tmp_path / "plot.pdf", board, diversity="entropy")

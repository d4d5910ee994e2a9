"""The bundle's ratios, and that both sides are asked for the same."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tools.bench import scorer_bundle
from tools.bench.scorer_bundle import BUNDLE, Ours
from tools.parity.asking import Reply


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Both sides stand still: theirs takes a second an image and another one to load a preset's weights."""
    asked: list[Any] = []

    def ours(scorer: str, folder: Path, passes: int) -> Ours:
        asked.append(scorer)
        seconds = [9.0, 2.0] if "bf16" in scorer else [8.0]
        return Ours([0.5] * 8, (2.0, 1.0), [2 * s for s in seconds[:passes]], seconds[:passes], 2**30)

    def ask(oracle: str, environment: Any, folder: Path, calls: Sequence[Any], **given: Any) -> Reply:
        asked.append((oracle, len(calls), {k: v for k, v in given.items() if k == "preset"}))
        each = 3.0 if oracle == "hpsv2_score" and "preset" not in given else 1.0
        took = [100.0, *[each] * (len(calls) - 1)]
        return Reply([0.5] * len(calls), {}, {}, [5.0, 5.0], [took], [took], 3 * 2**30)

    monkeypatch.setattr(scorer_bundle, "_ours", ours)
    monkeypatch.setattr(scorer_bundle, "ask", ask)
    monkeypatch.setattr(scorer_bundle, "prepare", lambda name, folder: None)
    monkeypatch.setattr(scorer_bundle, "_hash", lambda place: 0.5)
    return asked


def test_the_ratios(asked: list[Any], tmp_path: Path) -> None:
    found: Mapping[str, Any] = {m.name: m for m in scorer_bundle.measure(folder=tmp_path)}
    # Theirs: 8 s each, and 16 s more for the one that reads its weights at every call; ours 2 s and 8 s.
    assert found["scorer_bundle"].ratio == pytest.approx((4 * 8 + 16) / (4 * 2))
    # With loading: theirs 5 s, 100 s for the first image and 7 others; ours 1 s and the first pass of 9 s.
    assert found["scorer_bundle_fresh"].ratio == pytest.approx((4 * (105 + 7) + 2 * 7) / (4 * 10))
    assert found["scorer_bundle_steady"].ratio == pytest.approx(4 * 8 / (4 * 2))
    assert found["scorer_bundle_equal"].ratio == pytest.approx(1)
    assert found["scorer_bundle"].ours == pytest.approx(8 / 8)
    for measured in found.values():
        assert measured.ratio == pytest.approx(measured.ours / measured.peer)
        assert measured.unit == "images/s"
        assert "apart 0.0e+00; peak 3.0 GiB" in measured.note
    assert f"on the wall {found['scorer_bundle'].ratio / 2:.2f} x" in found["scorer_bundle"].note


def test_each_scorer_is_run_in_both_precisions_beside_its_package(asked: list[Any], tmp_path: Path) -> None:
    scorer_bundle.measure(folder=tmp_path)
    texts = [text for text in asked if isinstance(text, str)]
    assert [text.partition("(")[0] for text in texts] == [b.scorer for b in BUNDLE for _ in (1, 2)]
    assert [("bf16" in text, "fp32" in text) for text in texts] == [(True, False), (False, True)] * len(
        BUNDLE
    )
    calls = [call for call in asked if isinstance(call, tuple)]
    assert [oracle for oracle, *_ in calls] == [BUNDLE[0].oracle, *(b.oracle for b in BUNDLE)]
    assert {count for _, count, _ in calls} == {9}
    assert [given for *_, given in calls][:2] == [{"preset": False}, {}]

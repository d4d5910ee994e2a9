"""Golden images and the scores that scorers give them: a scorer that has changed shows before it scores.

For each scorer with embedded weights the scores are committed, beside the images; another score is an error.
For any other weights those of the first run are recorded beside the published weights, by the weights' hash;
other ones later are a warning.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from benchmark.core import resources, store
from benchmark.core.calls import call_of
from benchmark.core.errors import FbenchError, UserError
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, PromptSet, Sampler
from benchmark.scorers import Scorer
from benchmark.scorers.engine.images import source_of
from benchmark.weights.locate import published_folder

FOLDER: Final = "conformance"
EXPECTED: Final = "expected.json"
IMAGES: Final = "images.json"
SIDE: Final = 64
REPEATS: Final = 27
"""How often each image stands in the set for numbers about sets, some of which want many images."""

SHARE_OF_SPREAD: Final = 0.005
SHARE_OF_SIZE: Final = 0.05
LEAST: Final = 0.001
"""The tolerance: a share of the values' standard deviation; of the value itself where there is one only."""
ON_THE_EDGE: Final = 0.1
"""Share of values that may be further off: another processor's rounding may turn a hard decision."""

Verdict = Literal["conforms", "differs", "changed", "recorded", "unknown"]


@dataclass(frozen=True)
class Conformance:
    """A scorer's answer to the golden images.

    Attributes:
        scorer: How it was called, weights and precision apart.
        version: With the weights' hash.
        verdict: ``conforms``; ``differs`` from the committed scores; ``changed`` since its scores were
            recorded; ``recorded`` now; ``unknown``: it has no weights to record scores by, or gives none.
        note: The largest difference, or why nothing is known.
    """

    scorer: str
    version: str
    verdict: Verdict
    note: str = ""


def check(scorer: Scorer) -> Conformance:
    """Scores the golden images, and compares.

    Args:
        scorer: Loaded.

    Raises:
        UserError: if the golden images or the record are damaged.
    """
    key, version = scorer_key(scorer), fp32_version(scorer)
    committed = expected_of(resources.shapes_data(FOLDER) / EXPECTED).get(key)
    if committed is not None and committed["version"] == version:
        found = measure(scorer, REPEATS)
        note = difference(found, committed["values"], _tolerance(scorer, committed["values"]))
        return Conformance(key, scorer.scorer_version, "differs" if note else "conforms", note)
    if not scorer.weights_hash:
        return Conformance(key, scorer.scorer_version, "unknown", "no committed scores, and no weights")
    found = measure(scorer)
    if not found:
        return Conformance(key, scorer.scorer_version, "unknown", "no number about any golden image")
    return _compare_recorded(scorer, f"{key}:{scorer.scorer_version}", found)


_CHECKED: set[tuple[str, str]] = set()


def ensure(scorer: Scorer) -> None:
    """Refuses a scorer that does not give its committed scores, warns of one that changed; once a process.

    Args:
        scorer: Loaded.

    Raises:
        UserError: if a scorer with committed scores gives others.
    """
    this = (scorer_key(scorer), scorer.scorer_version)
    if this in _CHECKED:
        return
    found = check(scorer)
    who = f"scorer {found.scorer} ({found.version})"
    if found.verdict == "differs":
        raise UserError(
            f"{who} does not give the golden images its scores: {found.note}",
            do="`fbench doctor --conformance` says more; a scorer changed on purpose needs a new version and "
            "new golden scores (CONTRIBUTING.md)",
        )
    if found.verdict == "changed":
        sys.stderr.write(
            f"warning: {who} gives the golden images other scores than those recorded in {record_file()}: "
            f"{found.note}\n"
        )
    _CHECKED.add(this)


def measure(scorer: Scorer, repeats: int = 1) -> dict[str, float]:
    """The scores of the golden images, by ``prompt/k``, ``prompt`` or ``set``; what has none is left out.

    Args:
        scorer: Loaded.
        repeats: How often each image stands in the set, for a number about the set.
    """
    images = golden_images(resources.shapes_data(FOLDER))
    if scorer.unit == "set":
        images = _repeated(images, repeats)
    try:
        rows = {(r.prompt_id, r.seed): r.value for r in scorer.score(images) if r.value is not None}
    except Exception:  # noqa: BLE001  # one that raises, against its contract, is told so row by row later
        rows = {}
    # Features stay for other scorers; values may be errors, whose tracebacks would keep this one alive.
    source_of(images).cache.forget(f"values:{scorer.identity}")
    if scorer.unit == "set":
        return {"set": rows[None, None]} if (None, None) in rows else {}
    return {p if k is None else f"{p}/{k}": value for (p, k), value in rows.items() if p is not None}


def difference(found: Mapping[str, float], expected: Mapping[str, float], tolerance: float) -> str:
    """Where scores differ most, in words; empty if all agree but those on the edge.

    What is not expected does not count.
    """
    far = {
        where: abs(found[where] - value) if where in found else float("inf")
        for where, value in expected.items()
    }
    n = sum(distance > tolerance for distance in far.values())
    if n <= ON_THE_EDGE * len(far):
        return ""
    worst = max(far, key=far.__getitem__)
    got = f"{found[worst]:.6g}" if worst in found else "no number"
    return (
        f"{worst} is {got} and should be {expected[worst]:.6g} within {tolerance:.2g} "
        f"({n} of {len(expected)} differ)"
    )


def tolerance(values: Mapping[str, float]) -> float:
    """How far a score may be from its expected value: other processors and kernels round otherwise."""
    numbers = np.array(list(values.values()))
    spread, size = float(numbers.std()), float(np.abs(numbers).max())
    return max(SHARE_OF_SPREAD * spread if len(numbers) > 1 else SHARE_OF_SIZE * size, 1e-5 * size, LEAST)


@lru_cache(maxsize=4)
def golden_images(folder: Path) -> ImageSet:
    """The golden images.

    Raises:
        UserError: if their listing is missing or damaged.
    """
    content = store.read_json(folder / IMAGES, "golden images")
    prompts = tuple(Prompt(p["id"], p["text"], style=p["style"]) for p in content["prompts"])
    records = tuple(
        ImageRecord(r["prompt"], r["k"], folder / r["file"], r["sha256"]) for r in content["images"]
    )
    return _image_set(prompts, records)


@lru_cache(maxsize=4)
def expected_of(path: Path) -> dict[str, Any]:
    """The committed scores by scorer; none if nobody has made them yet."""
    return dict(store.read_json(path, "golden scores")) if path.is_file() else {}


def record_file() -> Path:
    """Where scores with weights that are not embedded are recorded."""
    return published_folder() / "conformance.json"


def _compare_recorded(scorer: Scorer, key: str, found: dict[str, float]) -> Conformance:
    path = record_file()
    known = store.read_json(path, "recorded scores") if path.is_file() else {}
    name = key.partition(":")[0]
    if key in known:
        note = difference(found, known[key], _tolerance(scorer, known[key]))
        return Conformance(name, scorer.scorer_version, "changed" if note else "conforms", note)
    note = "the first run with these weights"
    try:
        store.write_json(path, dict(sorted({**known, key: found}.items())))
    except FbenchError as error:
        # A shared folder of weights that this user may only read: the next run is a first one again.
        note = f"not recorded: {error}"
    return Conformance(name, scorer.scorer_version, "recorded", note)


def _tolerance(scorer: Scorer, values: Mapping[str, float]) -> float:
    return tolerance(values) + (scorer.bf16_tolerance if scorer.precision != "fp32" else 0.0)


def scorer_key(scorer: Scorer) -> str:
    """The scorer with its options, of which weights are in the version and precision is in the tolerance."""
    call = call_of(scorer)
    if call is None:
        return scorer.name
    options = {k: v for k, v in call.keywords.items() if k not in ("weights", "precision")}
    return str(replace(call, keywords=options))


def fp32_version(scorer: Scorer) -> str:
    """The version with the weights' hash, as in float32."""
    return f"{scorer.version}@{scorer.weights_hash}" if scorer.weights_hash else scorer.version


def _repeated(images: ImageSet, times: int) -> ImageSet:
    """Every image of the embedded world's size several times, as images of their own."""
    whole = [record for record in images if images.open(record).shape[:2] == (SIDE, SIDE)]
    k = 1 + max(record.seed for record in whole)
    records = tuple(replace(record, seed=record.seed + k * i) for i in range(times) for record in whole)
    there = {record.prompt_id for record in records}
    prompts = tuple(prompt for prompt in images.prompt_set if prompt.id in there)
    order = {prompt.id: i for i, prompt in enumerate(prompts)}
    return _image_set(prompts, tuple(sorted(records, key=lambda r: (order[r.prompt_id], r.seed))))


def _image_set(prompts: tuple[Prompt, ...], records: tuple[ImageRecord, ...]) -> ImageSet:
    prompt_set, checkpoint, sampler = (
        PromptSet("golden", "1", prompts),
        Checkpoint("golden", "shapes"),
        Sampler(),
    )
    seeds = tuple(sorted({record.seed for record in records}))
    content = ImageSet.content_id(checkpoint, prompt_set, sampler, seeds)
    return ImageSet(content, checkpoint, prompt_set, sampler, seeds, records)

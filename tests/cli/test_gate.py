"""`fbench gate` on score tables as evaluations leave them: verdicts, files, exit codes, refusals."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from benchmark.core.records import Checkpoint, ScorerColumn, ScoreRow
from benchmark.evaluate.config import SHAPES_PRIMARY
from benchmark.gate import SHAPES_GATED
from benchmark.leaderboard import ScoreTable, rows_to_frame, write_score_table

Fbench = Callable[..., Result]
Refused = Callable[..., str]

V = "1@0123abcd"
COLUMNS = (
    ScorerColumn("true_taste", V, "preference", "image", True, primary=True),
    ScorerColumn("oracle", V, "alignment", "image", True, primary=True),
    ScorerColumn("true_diversity", V, "diversity", "prompt", True, primary=True),
    ScorerColumn("scene_rate", V, "alignment", "image", True, primary=True),
    ScorerColumn("lpips", V, "diversity", "prompt", True, in_domain=("js-s0-cafe",)),
)
SIGNATURE = "fbench:1.0|set:mine@1:40x4|sampler:ddim-20|cfg:3.0|seed:0"
N, K = 40, 4
BASE = Checkpoint("base", "shapes", revision="r")


def run(name: str, divergence: str, seed: int = 0, **fields: object) -> Checkpoint:
    made = Checkpoint(
        f"{name}-s{seed}-cafe", "shapes", "f_dpo", divergence, {"seed": seed, "beta": 1.0}, 100
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


def table(
    effects: Mapping[Checkpoint, float],
    noise: float = 0.1,
    columns: Sequence[ScorerColumn] = COLUMNS,
    prompts: int = N,
) -> ScoreTable:
    """Every checkpoint's scores: the prompts' own, moved by its effect. The spread within a prompt is 1."""
    rows = []
    for i, column in enumerate(columns):
        shared = np.random.default_rng(i).normal(size=(prompts, K))
        for checkpoint, effect in effects.items():
            own = np.random.default_rng([i, *checkpoint.id.encode()]).normal(size=(prompts, K))
            values = shared + effect + (0.0 if checkpoint.is_base else noise) * own
            for p in range(prompts):
                cells = [(None, values[p, 0])] if column.unit == "prompt" else list(enumerate(values[p]))
                rows += [
                    ScoreRow.measured(checkpoint.id, column.name, V, v, f"p{p:03d}", k) for k, v in cells
                ]
    return ScoreTable(
        rows_to_frame(rows),
        f"mine@1: {prompts} prompts x {K} images",
        SIGNATURE,
        tuple(effects),
        tuple(columns),
        prompts,
        K,
    )


KL, JS = run("kl", "reverse_kl"), run("js", "jensen_shannon")
FEW = [c for c in COLUMNS if c.name in ("oracle", "true_diversity")]
SD15 = {replace(c, base_model="sd15"): 0.0 for c in (KL, JS)}
TABLES = {
    "old": table({BASE: 0.0, KL: 0.0}),
    "new": table({BASE: 0.0, JS: 0.0}),
    "declined": table({BASE: 0.0, JS: -0.1}),
    "worse": table({BASE: 0.0, JS: -0.5}),
    "noisy": table({BASE: 0.0, JS: 0.0}, noise=3.0),
    "both": table({BASE: 0.0, KL: 0.0, JS: 0.0}),
    "runs": table({BASE: 0.0} | {run("kl", "reverse_kl", s): 0.0 for s in range(8)}),
    "three": table({BASE: 0.0} | {run("js", "jensen_shannon", s): 0.0 for s in range(3)}),
    "three-worse": table({BASE: 0.0} | {run("js", "jensen_shannon", s): -0.6 for s in range(3)}),
    "mixed": table({KL: 0.0, run("kl", "reverse_kl", 1, hyperparameters={"beta": 2.0}): 0.0}),
    "few": table({KL: 0.0}, columns=FEW),
    "few-new": table({JS: 0.0}, columns=FEW),
    "sd15": table(SD15, columns=[replace(c, primary=c.name == "oracle") for c in COLUMNS]),
    "none-primary": table(SD15, columns=[replace(c, primary=False) for c in FEW]),
}
TABLES |= {f"{n}-prompts": table({BASE: 0.0, KL: 0.0, JS: 0.0}, 0.0, prompts=n) for n in (4, 50)}
TABLES["cfg5"] = replace(TABLES["new"], signature=SIGNATURE.replace("cfg:3.0", "cfg:5.0"))


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of evaluations, by name, and a file that is none."""
    folder = tmp_path_factory.mktemp("evaluations")
    for name, made in TABLES.items():
        write_score_table(made, folder / name / "scores.parquet")
    (folder / "text.txt").write_text("no table")
    return folder


@pytest.fixture(autouse=True)
def there(evaluations: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands name them as a user would, from where they lie."""
    monkeypatch.chdir(evaluations)


# --- verdicts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "code", "word", "marks"),
    [
        ("new", 0, "PASS: ", ("0", "0", "0")),
        ("declined", 0, "PASS, with a small but real decline on all 4 scorers", ("0", "0", "0")),
        ("worse", 1, "REGRESSION: ", ("4", "0", "0")),
        ("noisy", 3, "INCONCLUSIVE: ", ("0", "3", "0")),
    ],
)
def test_the_exit_code_is_the_verdict(
    fbench: Fbench, tmp_path: Path, candidate: str, code: int, word: str, marks: tuple[str, ...]
) -> None:
    junit, markdown = tmp_path / "out" / "gate.xml", tmp_path / "summary.md"
    words = ("gate", "--baseline", "old", "--candidate", candidate)
    done = fbench(*words, "--junit", junit, "--markdown", markdown)
    assert done.exit_code == code, done.output
    assert done.stdout.startswith(word)
    assert KL.id in done.stdout
    assert marks_of(junit) == marks
    assert markdown.read_text().startswith(f"### {word}")
    again = fbench(*words, "--json")
    assert again.exit_code == code
    told = json.loads(again.stdout)
    assert [f["scorer"] for f in told["verdict"]["findings"]] == list(SHAPES_GATED)
    assert word.startswith(told["outcome"].upper())
    assert told["kind"] == "checkpoint"


def marks_of(junit: Path) -> tuple[str, ...]:
    (suite,) = ET.parse(junit).getroot()
    return tuple(suite.attrib[name] for name in ("failures", "errors", "skipped"))


def gated(fbench: Fbench, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fbench("gate", *words, "--json").stdout)
    return found


def test_the_gated_scorers_are_the_declared_ones() -> None:
    assert SHAPES_GATED == SHAPES_PRIMARY


def test_margins_and_scorers_of_ones_own(fbench: Fbench) -> None:
    words = ("--baseline", "old", "--candidate", "worse", "--scorers", "oracle,lpips")
    told = gated(fbench, *words, "--margin", "oracle=2", "--margin", "lpips=1.5")
    findings = [(f["scorer"], f["margin"]) for f in told["verdict"]["findings"]]
    assert findings == [("oracle", 2.0), ("lpips", 1.5)]
    assert told["outcome"] == "pass"
    few, note = told["notes"]
    assert few.startswith("Warning, few prompts: oracle 40, lpips 40.")
    assert note == "lpips is in-domain for the candidate: trained on, or selected by, the same data."


@pytest.mark.parametrize(("mark", "marks"), [("failure", ("3", "0", "0")), ("skipped", ("0", "0", "3"))])
def test_an_inconclusive_scorer_is_marked_as_asked(
    fbench: Fbench, tmp_path: Path, mark: str, marks: tuple[str, ...]
) -> None:
    junit = tmp_path / "gate.xml"
    words = ("gate", "--baseline", "old", "--candidate", "noisy", "--junit", junit)
    assert fbench(*words, "--inconclusive", mark).exit_code == 3
    assert marks_of(junit) == marks


def test_ids_and_their_beginnings_are_looked_for_in_the_folders(fbench: Fbench) -> None:
    first = gated(fbench, "--baseline", "old", "--candidate", "new")
    assert (first["baseline"], first["candidate"]) == (KL.id, JS.id)
    assert gated(fbench, "--baseline", KL.id, "--candidate", "js", "both") == first
    assert gated(fbench, "--baseline", "kl-s0", "--candidate", JS.id, "old", "new") == first
    assert gated(fbench, "--baseline", "old/scores.parquet", "--candidate", "js", "both") == first
    assert gated(fbench, "--baseline", "base", "--candidate", "new")["baseline"] == "base"
    # As the leaderboard shows them.
    shown = gated(fbench, "--baseline", "f_dpo reverse_kl", "--candidate", "f_dpo jensen_shannon", "both")
    assert shown == first


def test_a_pass_on_few_prompts_is_told_with_a_warning(fbench: Fbench) -> None:
    result = fbench("gate", "4-prompts", "--baseline", "kl", "--candidate", "js", "--json")
    verdict = json.loads(result.stdout)
    assert (result.exit_code, verdict["outcome"]) == (0, "pass")
    (warning,) = (note for note in verdict["notes"] if note.startswith("Warning, few prompts"))
    assert "oracle 4, true_diversity 4" in warning
    # Half of the prompts at fault, and none among four: one case in sixteen; at 53 % one in twenty.
    assert "a fault on 53 % of all prompts shows on none of 4 in one case in twenty" in warning
    enough = fbench("gate", "50-prompts", "--baseline", "kl", "--candidate", "js", "--json")
    assert "few prompts" not in enough.stdout


def test_outside_the_embedded_world_the_primary_scorers_are_gated(fbench: Fbench) -> None:
    told = gated(fbench, "--baseline", "kl", "--candidate", "js", "sd15")
    assert [f["scorer"] for f in told["verdict"]["findings"]] == ["oracle"]
    assert any(note.startswith("No base model in these evaluations") for note in told["notes"])


@pytest.mark.parametrize(("candidate", "outcome"), [("three", "pass"), ("three-worse", "regression")])
def test_folders_of_runs_are_methods(fbench: Fbench, candidate: str, outcome: str) -> None:
    told = gated(fbench, "--baseline", "runs", "--candidate", candidate)
    assert (told["outcome"], told["kind"]) == (outcome, "method")
    assert (told["baseline_runs"], told["candidate_runs"]) == (8, 3)
    assert (told["baseline"], told["candidate"]) == ("f_dpo reverse_kl", "f_dpo jensen_shannon")
    named = [word for s in range(8) for word in ("--baseline", f"kl-s{s}")]
    assert gated(fbench, *named, "--candidate", candidate, "runs") == told
    methods = ("--baseline", "f_dpo reverse_kl", "--candidate", "jensen_shannon")
    assert gated(fbench, *methods, "runs", candidate) == told


# --- refusals ---------------------------------------------------------------------------------

TWO = "--baseline old --candidate new"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "--baseline is missing; allowed: an evaluation folder"),
        ("--baseline old", "--candidate is missing"),
        ("--baseline nowhere --candidate x", "there is no evaluation at nowhere; allowed: folders of"),
        ("--baseline base --candidate nowhere", "there is no evaluation at nowhere; allowed: folders of"),
        ("--baseline old --candidate nowhere", "unknown checkpoint or method 'nowhere'; allowed: base, "),
        ("--baseline old --candidate ./newer", "no score table at newer; allowed: a folder that"),
        ("--baseline old --candidate ./newer", "did you mean new?"),
        ("--baseline old --candidate new .", "name one in it: 4-prompts, 50-prompts, both, "),
        (f"{TWO} lost", "no score table at lost; allowed: a folder that `fbench eval` wrote"),
        ("--baseline old --candidate cfg5", "are not comparable: cfg is 3.0 in one and 5.0 in the other"),
        ("--baseline old --candidate kl-s0-cafe", "kl-s0-cafe is both baseline and candidate"),
        ("--baseline both --candidate js", "js-s0-cafe is both baseline and candidate; name two, by their"),
        (f"{TWO} --scorers oracl", "unknown scorer of this evaluation 'oracl'"),
        (f"{TWO} --margin oracle", "--margin is 'oracle'; allowed: SCORER=VALUE"),
        (f"{TWO} --margin oracle=-1", "--margin is 'oracle=-1'; allowed: SCORER=VALUE"),
        (f"{TWO} --margin oracle=nan", "--margin is 'oracle=nan'; allowed: SCORER=VALUE"),
        (f"{TWO} --margin lpips=1", "unknown gated scorer 'lpips'; allowed: oracle"),
        (f"{TWO} --margin oracle=1 --margin oracle=2", "--margin names oracle twice"),
        (f"{TWO} --junit old", "old is a folder; allowed: a file"),
        (f"{TWO} --junit text.txt/x.xml", "text.txt; choose another place than text.txt/x.xml"),
        (f"{TWO} --inconclusive fine", "'fine' is not one of"),
        ("--baseline old --candidate text.txt", "cannot read text.txt as parquet"),
        ("--baseline runs --candidate new", "8 baseline and 1 candidate checkpoints; allowed: one against"),
        ("--baseline mixed --candidate new", "the baseline is not one method: beta is 1.0 in kl-s0-cafe and"),
        ("--baseline kl --candidate new runs", "kl is the beginning of 8 ids; allowed: kl-s0-cafe, "),
        ("--baseline reverse_kl --candidate js both mixed", "reverse_kl is the name of 2 methods"),
        ("--baseline few --candidate few-new", "the evaluations lack true_taste, scene_rate, gated by"),
        ("--baseline kl --candidate js none-primary", "no scorer of these evaluations is primary; allowed: "),
    ],
)
def test_what_cannot_be_gated_is_one_line(refused: Refused, words: str, told: str) -> None:
    assert told in refused("gate", *words.split())


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_computed(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    line = refused("gate", "--baseline", "x", "--candidate", "y", "--markdown", tmp_path / "a" / "b.md")
    assert f"nothing can be written below {tmp_path}" in line

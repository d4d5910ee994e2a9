"""`fbench sweep`: many policies, each as if it were alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from benchmark.core.manifest import read_manifest
from benchmark.models.files import LORA_FILE
from trainers.checkpoints import step_folder
from trainers.networks import BaseNetwork

Fbench = Callable[..., Result]
VARIES = (
    "--objective", "sft", "--objective", "f_dpo", "--divergence", "reverse_kl", "--divergence",
    "alpha(a=0.5)", "--seed", "0", "--seed", "1",
)  # fmt: skip
NAMES = [f"{what}-seed{seed}" for seed in (0, 1) for what in ("sft", "f_dpo-reverse_kl", "f_dpo-alpha_a0.5")]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("lr", 2e-4), ("beta", 0.7), ("seed", 3), ("steps", 7), ("lora_rank", 2),
        ("divergence", "jensen_shannon"), ("optimizer", "adafactor"), ("slope_matched", True),
        ("objective", "ipo"),
    ],
)  # fmt: skip
def test_a_setting_of_all_runs_may_be_set(
    fbench: Fbench, world: dict[str, Path], setting: str, value: object
) -> None:
    from benchmark.workflows.sweep import Sweep

    made: list[Sweep] = []
    members = Sweep.members

    def kept(self: Sweep) -> list[object]:
        made.append(self)
        return list(members(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sweep, "members", kept)
        text = json.dumps(value) if isinstance(value, bool) else str(value)
        done = fbench("sweep", "--config", world["config"], "--set", f"{setting}={text}", "--dry-run")
    assert done.exit_code == 0, done.output
    (run,) = members(made[0])
    assert getattr(run, setting) == value


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--lr 1e-4 --set lr=2e-4", "--lr and --set lr= are both given"),
        ("--set lr=1e-4 --set lr=2e-4", "--set has lr twice"),
        ("--set lora_rank=4 --set lora-rank=8", "--set has both lora_rank and lora-rank"),
        ("--set workers=2", "--set workers= is no setting of a run; give it as --workers N"),
        ("--set lr=[1,2]", "lr is [1, 2]: Input should be a valid number"),
        ("--set lr=fast", "lr is 'fast'"),
        ("--set out=3 --set rate=1", "unknown key 'rate'"),
    ],
)
def test_a_setting_is_given_once_and_in_one_way(
    fbench: Fbench, world: dict[str, Path], words: str, said: str
) -> None:
    done = fbench("sweep", "--config", world["config"], *words.split(), "--dry-run")
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.fixture(scope="module")
def swept(fbench: Fbench, world: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six policies; the reference was asked once a step for those of a seed."""
    out = tmp_path_factory.mktemp("sweeps") / "all"
    asked = 0
    reference = BaseNetwork.reference

    def counting(self: BaseNetwork) -> object:
        nonlocal asked
        asked += 1
        return reference(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseNetwork, "reference", counting)
        done = fbench("sweep", "--config", world["config"], *VARIES, "--out", out)
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["run", *NAMES, "next:"]
    assert asked == 2 * 4 + 1  # two seeds of four steps, and once for the held-out pairs
    return out


def test_each_member_is_as_if_it_were_alone(fbench: Fbench, world: dict[str, Path], swept: Path) -> None:
    for name in NAMES:
        record = read_manifest(swept / name)
        assert (record.kind, record.status) == ("train", "success")
    alone = swept.parent / "alone"
    words = ("--objective", "f_dpo", "--divergence", "alpha(a=0.5)", "--seed", "1", "--out", alone)
    assert fbench("train", "--config", world["config"], *words).exit_code == 0
    ours = step_folder(swept / "f_dpo-alpha_a0.5-seed1", 4) / LORA_FILE
    assert ours.read_bytes() == (step_folder(alone, 4) / LORA_FILE).read_bytes()


def test_the_same_command_reuses_what_is_finished_and_does_what_is_not(
    fbench: Fbench, world: dict[str, Path], swept: Path
) -> None:
    again = fbench("sweep", "--config", world["config"], *VARIES, "--beta", "1", "--out", swept, "--json")
    assert again.exit_code == 0, again.output
    told = json.loads(again.stdout)
    # With beta in their names only the four that have a beta are new.
    assert [one["reused"] for one in told["finished"]] == [True, False, False, True, False, False]
    assert json.loads((swept / "sweep.json").read_text()) == told


def test_a_member_of_other_data_is_refused(
    fbench: Fbench, refused: Callable[..., str], world: dict[str, Path], tmp_path: Path
) -> None:
    data = Path(shutil.copy(world["pairs"], tmp_path))
    words = ("--config", world["config"], "--data", data, "--lr", "1e-2", "--out", tmp_path / "s")
    assert fbench("sweep", *words).exit_code == 0
    table = pq.read_table(data)
    turned = {"label_0": table["label_1"], "label_1": table["label_0"]}
    pq.write_table(pa.table({name: turned.get(name, table[name]) for name in table.column_names}), data)
    assert "holds a run of another data" in refused("sweep", *words)


def test_one_that_fails_leaves_the_others_alone(
    fbench: Fbench, world: dict[str, Path], tmp_path: Path
) -> None:
    words = ("sweep", "--config", world["config"], "--lr", "1e-2", "--lr", "1e35", "--out", tmp_path / "s")
    failed = fbench(*words)
    assert failed.exit_code == 2
    line = failed.stderr.splitlines()[-1]
    assert line.startswith("error: 1 of 2 runs failed; the first: the ")
    assert "is nan at step" in line
    assert "pairs.parquet:" in line  # the rows of the batch
    assert "the others are finished" in line
    assert read_manifest(tmp_path / "s" / "lr0.01").status == "success"
    broken = read_manifest(tmp_path / "s" / "lr1e+35")
    assert broken.status == "error"
    assert "is nan at step" in broken.error
    assert "lr0.01" in failed.stdout


def test_two_processes_share_the_runs(fbench: Fbench, world: dict[str, Path], swept: Path) -> None:
    out = swept.parent / "two"
    done = fbench("sweep", "--config", world["config"], *VARIES, "--workers", "2", "--out", out)
    assert done.exit_code == 0, done.output
    for name in (NAMES[0], NAMES[-1]):
        ours, theirs = (step_folder(folder / name, 4) / LORA_FILE for folder in (out, swept))
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_plan_and_what_a_user_can_put_right(
    fbench: Fbench, refused: Callable[..., str], world: dict[str, Path], tmp_path: Path
) -> None:
    words = ("sweep", "--config", world["config"], "--out", tmp_path / "s")
    plan = fbench(*words, "--beta", "0.1", "--beta", "1", "--dry-run").stdout.splitlines()
    assert [line.split(":")[0] for line in plan[1:]] == ["beta0.1", "beta1"]
    assert not (tmp_path / "s").exists()
    assert "did you mean" in refused(*words, "--divergence", "jensen_shanon", "--dry-run")
    assert "unknown" in refused(*words, "--set", "optimiser=adafactor").lower()
    assert "at_once" in refused(*words, "--at-once", "0")


def test_a_dry_run_of_a_published_base_fetches_nothing_and_warns_of_toy_pairs(
    fbench: Fbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be fetched is not known to be there: no request is made."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network is asked"))
    own = ("--data", "shapes-style-winter", "--set", "max_bad_share=1")
    given = ("--preset", "f-dpo-sd15-jensen-shannon", *own, "--out", tmp_path / "out", "--dry-run")
    done = fbench("sweep", *given, "--seed", 0, "--seed", 1)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("2 runs in ")
    plan = fbench("train", *given)
    assert plan.exit_code == 0, plan.stderr
    assert "would be fetched" in plan.stdout
    assert "warning: shapes-style-winter are small pictures of shapes; name pairs for sd15" in plan.stdout

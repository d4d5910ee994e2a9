"""An evaluation on a cluster ends with the files that one process writes, whatever died meanwhile."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from benchmark.cluster import evaluation
from benchmark.cluster.evaluation import on_cluster
from benchmark.cluster.needs import Needs
from benchmark.cluster.settings import Cluster
from benchmark.cluster.units import Preparation
from benchmark.core.errors import UserError
from benchmark.core.hashing import sha256_file
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.plan import plan
from benchmark.evaluate.results import EvalResult
from benchmark.evaluate.run import evaluate
from benchmark.leaderboard import read_score_table
from benchmark.prompt_sets import load_prompt_set
from tools.bench.local_cluster import OBJECTS

SCORERS = '''
import os, signal
from pathlib import Path
import numpy as np
from benchmark.scorers.base import ImageScorer, PromptScorer, SetScorer

class Light(ImageScorer):
    """Mean grey."""
    name, axis, weights_hash = "light", "preference", ""
    def load(self, device="cpu"): ...
    def values(self, shown): return [float(image.mean()) / 255 for image in shown.images]

class Spread(PromptScorer):
    """How far the images of a prompt are from their mean."""
    name, axis, weights_hash = "spread", "diversity", ""
    def load(self, device="cpu"): ...
    def value(self, shown): return float(np.stack(shown.images).std(0).mean())

class Away(SetScorer):
    """How far the mean colour of a set is from grey; by features that are kept."""
    name, axis, weights_hash = "away", "fidelity", ""
    def load(self, device="cpu"): ...
    def look(self, shown): self._colours(shown)
    def value(self, shown): return float(np.abs(self._colours(shown).mean(0) - 127.5).mean())
    def _colours(self, shown):
        return np.stack(shown.each("colours", lambda new: [i.mean((0, 1)) for i in new.images]))

class Deadly(ImageScorer):
    """Kills its process when it sees an image of the second prompt."""
    name, axis, weights_hash = "deadly", "texture", ""
    def load(self, device="cpu"): ...
    def values(self, shown):
        if "two hearts" in shown.texts:
            os.kill(os.getpid(), signal.SIGKILL)
        return [1.0] * len(shown)

class Hopeless(ImageScorer):
    """Kills its process whatever it sees, in a pool of its own."""
    name, axis, weights_hash, memory_gb = "hopeless", "texture", "", 0.01
    def load(self, device="cpu"): ...
    def values(self, shown): os.kill(os.getpid(), signal.SIGKILL)

class NoGpu(Light):
    """Needs none."""
    name, gpus = "no_gpu", 0

class Broken(Light):
    """Cannot be loaded."""
    name = "broken"
    def load(self, device="cpu"): raise RuntimeError("no such network")
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ray-evaluation")
    (folder / "mine.py").write_text(SCORERS)
    texts = ["a red star", "two hearts", *(f"a ring of {n} stones" for n in range(22))]
    (folder / "prompts.txt").write_text("\n".join(texts))
    return folder


@pytest.fixture(scope="module")
def settings(place: Path, tiny_pipeline_folder: Path) -> Callable[..., EvalConfig]:
    def make(out: str, *scorers: str, **changes: object) -> EvalConfig:
        plain = {
            "base": str(tiny_pipeline_folder), "prompts": str(place / "prompts.txt"), "steps": 10,
            "scorers": [f"{place / 'mine.py'}:{name}" for name in scorers or ("Light", "Spread", "Away")],
            "images_per_prompt": 4, "batch_size": 4, "precision": "fp32", "out": place / out,
        }  # fmt: skip
        return EvalConfig.parse({**plain, **changes})

    return make


@pytest.fixture(scope="module")
def alone(settings: Callable[..., EvalConfig]) -> EvalResult:
    """One process's."""
    return evaluate(settings("alone"))


def images_in(folder: Path) -> dict[str, str]:
    return {file.name: sha256_file(file) for file in folder.glob("images/base/*.png")}


def table_in(folder: Path) -> pd.DataFrame:
    return read_score_table(folder).rows


def test_it_equals_one_process_and_continues_what_was_begun_by_hand(
    two_machines: Cluster, settings: Callable[..., EvalConfig], alone: EvalResult
) -> None:
    config = settings("by-hand")
    evaluate(config.model_copy(update={"shard": "1/3"}))
    before = {file: file.stat().st_mtime_ns for file in config.out.glob("images/base/*.png")}
    result = evaluate(config, workplace=on_cluster(two_machines))
    assert images_in(config.out) == images_in(alone.folder)
    pd.testing.assert_frame_equal(table_in(config.out), table_in(alone.folder))
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert result.n_missing == 0
    # Rows of images, prompts and sets are kept where one process keeps them, under the same names.
    kept = [{file.name for file in r.folder.glob(".scores/*/*")} for r in (result, alone)]
    assert kept[0] == kept[1]
    assert not [*config.out.glob(".shared-*"), *config.out.glob(".lock*")]
    # And one process goes on from there: nothing is left to do.
    again = evaluate(config)
    assert not any(again.seconds[part] > 5 for part in ("generate", "score"))
    pd.testing.assert_frame_equal(table_in(config.out), table_in(alone.folder))


def test_killed_workers_and_a_machine_that_goes_change_nothing(
    two_machines: Cluster,
    ray_cluster: Any,
    settings: Callable[..., EvalConfig],
    alone: EvalResult,
    workers: Callable[[], list[int]],
) -> None:
    third = ray_cluster.add_node(num_cpus=1, object_store_memory=OBJECTS)
    config = settings("killed")

    def disturb() -> None:
        def wait_for(images: int) -> list[int]:
            while len(list(config.out.glob("images/base/*.png"))) < images or not (there := workers()):
                stop.wait(0.05)
            return there

        os.kill(wait_for(1)[0], signal.SIGKILL)
        wait_for(16)
        ray_cluster.remove_node(third, allow_graceful=False)
        os.kill(wait_for(32)[-1], signal.SIGKILL)

    stop = threading.Event()
    disturbance = threading.Thread(target=disturb, daemon=True)
    disturbance.start()
    result = evaluate(config, workplace=on_cluster(two_machines))
    disturbance.join(5)
    assert not disturbance.is_alive(), "the work was done before anything died"
    assert images_in(config.out) == images_in(alone.folder)
    pd.testing.assert_frame_equal(table_in(config.out), table_in(alone.folder))
    assert result.n_missing == 0
    # Ray may take half a minute to see that a machine is gone, and the next command would ask it.
    ray_cluster.wait_for_nodes(timeout=120)


def test_a_scorer_that_kills_its_worker_costs_its_own_rows_alone(
    two_machines: Cluster, settings: Callable[..., EvalConfig], alone: EvalResult
) -> None:
    config = settings("deadly", "Light", "Spread", "Away", "Deadly", "Hopeless")
    result = evaluate(config, workplace=on_cluster(replace(two_machines, retries=0)))
    rows = table_in(config.out)
    others = rows[~rows["scorer"].isin(["deadly", "hopeless"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, table_in(alone.folder))
    deadly = rows[rows["scorer"] == "deadly"]
    lost = deadly[deadly["status"] != "ok"]
    (seen,) = (prompt.id for prompt in load_prompt_set(config.prompts) if prompt.text == "two hearts")
    assert set(deadly.loc[deadly["prompt_id"] == seen, "status"]) == {"error"}
    assert set(lost["status"]) == {"error"}
    assert lost["note"].str.contains("given up after 1 tries").all()
    # It alone is to blame, though not a single unit of its pool has succeeded.
    hopeless = rows[rows["scorer"] == "hopeless"]
    assert set(hopeless["status"]) == {"error"}
    assert hopeless["note"].str.contains("given up after 1 tries").all()
    assert (len(deadly), len(hopeless)) == (96, 96)
    assert result.n_missing == len(lost) + 96


def test_a_scorer_that_cannot_be_loaded_ends_the_command_and_leaves_nothing(
    two_machines: Cluster, settings: Callable[..., EvalConfig]
) -> None:
    config = settings("broken", "Light", "Broken")
    with pytest.raises(UserError, match="scorer broken cannot be loaded.*no such network"):
        evaluate(config, workplace=on_cluster(two_machines))
    assert not config.out.exists()


def test_a_scorer_that_needs_no_gpu_computes_where_none_is_seen_whatever_the_device(
    settings: Callable[..., EvalConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[str] = []

    class NoPool:
        workers = ()

        def __init__(self, _cluster: Cluster, _needs: Needs, prepare: Preparation, _hold: object) -> None:
            devices.append(prepare.config.device)
            self.begin = self.close = lambda *_: None

        def run(self, *_: object) -> None:
            raise UserError("enough is known")

    @contextmanager
    def alike(*_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(hold=None)

    monkeypatch.setattr(evaluation, "Pool", NoPool)
    monkeypatch.setattr(evaluation, "compared_machines", alike)
    agenda = plan(settings("no-gpu", "Light", "NoGpu", device="cuda:63"), elsewhere=True)
    with ExitStack() as stack, pytest.raises(UserError, match="enough is known"):
        evaluation.ClusterWork(Cluster(gpus=1.0), agenda, stack).start()
    assert devices == ["cuda:63", "cpu"]


def test_a_shard_by_hand_is_no_work_for_a_cluster(
    two_machines: Cluster, settings: Callable[..., EvalConfig]
) -> None:
    with pytest.raises(UserError, match="--shard and --ray are both given"):
        evaluate(settings("both", shard="1/2"), workplace=on_cluster(two_machines))

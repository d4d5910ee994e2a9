"""The cluster files of the guide: SLURM scripts run by bash with stubs, and the job of KubeRay."""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "docs" / "slurm"

STUBS = {
    "fbench": 'echo "fbench $*" >> "$CALLS"; [ -z "${FBENCH_WAITS:-}" ] || exec sleep 60',
    "scontrol": 'echo "scontrol $*" >> "$CALLS"; [ "$1" != show ] || printf "%s\\n" n1 n2 n3',
    # What srun starts on a node runs here; `ray start --block` stays until the job ends.
    "srun": 'echo "srun $*" >> "$CALLS"; while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"',
    "hostname": "echo 10.0.0.1 fe80::1",
    "ray": 'echo "ray $*" >> "$CALLS"; [ "$1" != start ] || exec sleep 60',
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    for name, body in STUBS.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "calls").touch()
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls"), "SLURM_JOB_ID": "7",
        "SLURM_CPUS_PER_TASK": "8", "RAY_PAUSE": "0", "RAY_SETTLE": "0.2",
    }  # fmt: skip


def calls(environment: dict[str, str], program: str) -> list[str]:
    lines = Path(environment["CALLS"]).read_text().splitlines()
    return [line.removeprefix(f"{program} ") for line in lines if line.startswith(f"{program} ")]


def test_a_task_of_the_array_makes_its_shard_and_the_job_behind_it_scores(
    environment: dict[str, str],
) -> None:
    words = ["--checkpoint", "base", "--out", "runs/my eval"]
    task = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "8"}
    for more in (task, {}):
        script = ["bash", str(SCRIPTS / "array.sbatch"), *words]
        subprocess.run(script, env={**environment, **more}, check=True, timeout=30)
    assert calls(environment, "fbench") == [
        "eval --checkpoint base --out runs/my eval --shard 2/8",
        "eval --checkpoint base --out runs/my eval",
    ]


def test_a_task_whose_time_is_up_is_queued_again(environment: dict[str, str]) -> None:
    task = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "8"}
    process = subprocess.Popen(
        ["bash", str(SCRIPTS / "array.sbatch")], env={**environment, **task, "FBENCH_WAITS": "1"}
    )
    end = time.monotonic() + 30
    while not calls(environment, "fbench"):
        assert time.monotonic() < end
        time.sleep(0.05)
    # To the script alone, as `--signal=B:` sends it.
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert calls(environment, "scontrol") == ["requeue 7_2"]


def test_ray_comes_up_on_every_node_and_goes_with_the_command(environment: dict[str, str]) -> None:
    job = {"SLURM_JOB_NODELIST": "n[1-3]", "SLURM_GPUS_ON_NODE": "4"}
    script = ["bash", str(SCRIPTS / "ray.sbatch"), "eval", "--out", "runs/my eval"]
    subprocess.run(script, env={**environment, **job}, check=True, timeout=60)
    started = sorted(line for line in calls(environment, "ray") if line.startswith("start"))
    common = "--num-cpus=8 --num-gpus=4 --disable-usage-stats --block"
    assert started == [
        *2 * [f"start --address=10.0.0.1:6379 {common}"],
        f"start --head --port=6379 --include-dashboard=false {common}",
    ]
    nodes = [line for line in calls(environment, "srun") if "ray start" in line]
    assert sorted(line.partition("--nodelist=")[2][:2] for line in nodes) == ["n1", "n2", "n3"]
    assert calls(environment, "fbench") == ["eval --ray 10.0.0.1:6379 --out runs/my eval"]
    left = subprocess.run(["pgrep", "-f", "ray start --h[e]ad"], capture_output=True, check=False)
    assert left.returncode == 1


@pytest.mark.parametrize("name", ["array.sbatch", "ray.sbatch"])
def test_a_script_ends_as_its_command_does(environment: dict[str, str], name: str, tmp_path: Path) -> None:
    (tmp_path / "fbench").write_text("#!/usr/bin/env bash\nexit 4\n")
    job = {**environment, "SLURM_JOB_NODELIST": "n1"}
    done = subprocess.run(["bash", str(SCRIPTS / name), "eval"], env=job, check=False, timeout=60)
    assert done.returncode == 4


def test_the_job_of_kuberay_gives_a_command_that_there_is() -> None:
    import yaml

    from benchmark.cli.app import command

    (job,) = yaml.safe_load_all((SCRIPTS.parent / "kubernetes" / "rayjob.yaml").read_text())
    program, name, *words = shlex.split(job["spec"]["entrypoint"])
    assert program == "fbench"
    root = command()
    leaf = root.get_command(None, name)
    given, _, _ = leaf.make_parser(leaf.make_context(name, [], resilient_parsing=True)).parse_args(words)
    assert given["ray"] == "auto"
    assert given["scratch"] == "/scratch"
    cluster = job["spec"]["rayClusterSpec"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [pod["template"]["spec"]["containers"][0] for pod in pods]
    # Code, packages and folders are the same everywhere.
    assert len({str((one["image"], one["volumeMounts"])) for one in containers}) == 1
    assert {mount["mountPath"] for mount in containers[0]["volumeMounts"]} == {"/shared", "/scratch"}
    assert given["out"].startswith("/shared/")
    constraints = (SCRIPTS.parents[1] / "constraints.txt").read_text()
    assert f"\nray=={cluster['rayVersion']}\n" in constraints

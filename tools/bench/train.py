"""`train_lora` and `train_full`: samples a second of `fbench train` against the public training scripts.

Both are started as processes of their own, as a user starts them, and are watched from outside: ours by the
lines of its `metrics.jsonl`, the peers by their progress bars.
"""

import statistics
import tempfile
from pathlib import Path

from benchmark.core.devices import free_threads
from benchmark.core.words import number_of
from tools.bench.material import Task, embedded_model, embedded_pairs
from tools.bench.measuring import Measurement
from tools.bench.pacing import Pace, pace

WARM_UP = 20
"""Steps before the clock starts."""


def measure(
    *,
    full: bool,
    batch_size: int = 16,
    measured: int = 30,
    warm_up: int = WARM_UP,
    rounds: int = 2,
    compiled: bool = False,
) -> Measurement:
    """Trains the embedded model in turns; the median of the rounds counts.

    Args:
        full: All weights, or a LoRA.
        batch_size: Pairs a step.
        measured: Steps that are timed.
        warm_up: Steps before them.
        rounds: Of ours and of the peer.
        compiled: Ours by `compile=true`; compilation ends within the first steps.

    Raises:
        UserError: if the peer is not at hand, or a side fails.
    """
    import torch

    from benchmark.models.loading import resolve_precision

    precision = resolve_precision("auto", torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        task = Task(
            full=full,
            base=embedded_model(work / "base"),
            data=embedded_pairs(work / "pickapic"),
            size=64,
            batch_size=batch_size,
            # The last step writes the checkpoint, and is not timed.
            steps=warm_up + measured + 1,
            precision=precision,
            savings={"compile": "true"} if compiled else {},
        )
        return measure_task(task, work, warm_up=warm_up, rounds=rounds)


def measure_task(task: Task, work: Path, *, warm_up: int = WARM_UP, rounds: int = 2) -> Measurement:
    """Trains in turns.

    Args:
        task: What is trained.
        work: An empty folder for all that is written.
        warm_up: Steps before the clock starts.
        rounds: Of ours and of the peer.

    Raises:
        UserError: if the peer is not at hand, or a side fails.
    """
    threads = {"OMP_NUM_THREADS": str(free_threads())}
    ours: list[Pace] = []
    peer: list[Pace] = []
    for turn in range(rounds):
        theirs = task.peer_command(work / f"peer-{turn}", work / "datasets")
        out = work / f"ours-{turn}"
        ours.append(
            pace(
                task.our_command(out, work / "cache"), task.steps, r'"step": (\d+)', work / "ours.log",
                file=out / "metrics.jsonl", environment=threads,
            )
        )  # fmt: skip
        peer.append(
            pace(
                theirs, task.steps, rf"(\d+)/{task.steps} \[", work / "peer.log",
                environment={**threads, **task.peer_environment},
            )
        )  # fmt: skip
    return _compare(task, ours, peer, warm_up, threads["OMP_NUM_THREADS"])


def _compare(task: Task, ours: list[Pace], peer: list[Pace], warm_up: int, threads: str) -> Measurement:
    import torch

    from tools.bench.limits import flops_of_step, matrix_rate

    first, last, samples = warm_up, task.steps - 1, 2 * task.batch_size
    times = [[one.a_step(first, last) for one in side] for side in (ours, peer)]
    own, other = (samples / statistics.median(side) for side in times)
    spread = [f"{samples / max(side):.1f} to {samples / min(side):.1f}" for side in times]
    own_cpu, other_cpu = (
        statistics.median(one.cpu_of_a_step(first, last) for one in side) for side in (ours, peer)
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(int(threads))
    # On a CPU of the processor's time, as the machine's own rate is.
    seconds = own_cpu / int(threads) if device == "cpu" and own_cpu else samples / own
    what = "all weights" if task.full else f"LoRA of rank {task.rank} on the attention layers"
    note = (
        f"{task.batch_size} pairs of {task.size} x {task.size} pixels a step, {task.precision}, "
        f"{number_of(int(threads), 'thread')}, {what}; steps {first + 1} to {last}, "
        f"{len(ours)} rounds in turns: {spread[0]} against {spread[1]}"
    )
    compiled = "compile" in task.savings
    note += (
        f"; ours compiled, and step {first} ended after {ours[-1].seconds[first - 1]:.0f} s"
        if compiled
        else ""
    )
    if own_cpu:
        note += f"; in processor time {other_cpu / own_cpu:.2f} x"
    if len(ours) > 1:
        built = max(0.0, ours[0].seconds[0] - ours[-1].seconds[0])
        note += f"; beside that our cache is built once, in about {built:.0f} s"
    return Measurement(
        name=("train_full" if task.full else "train_lora") + ("_compiled" if compiled else ""),
        ours=own,
        peer=other,
        ratio=own / other,
        unit="samples/s",
        peer_name=task.peer.name,
        note=note,
        flops=flops_of_step(task.base / "unet", samples, full=task.full) / seconds,
        limit=matrix_rate(torch.bfloat16 if task.precision == "bf16" else torch.float32, device),
    )

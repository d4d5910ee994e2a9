"""`fbench demo`: four objectives trained, evaluated against the base model and ranked, on any machine.

Two worker processes of one thread each: the first trains SFT and f-DPO under reverse KL and evaluates them
and the base
model, the second trains f-DPO under Jensen-Shannon and RPO. The policies of a worker share latents, text
embeddings,
batches and reference passes. Everything is kept by content, so the same command resumes, or reuses what is
there.
"""

import multiprocessing as mp
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmark.core.errors import FbenchError, UserError
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.result import EvalResult

STEPS: Final = 60
"""Enough to show the way; the committed evaluation shows the effect."""
SHARES: Final = (("shapes-sft", "shapes-f-dpo-reverse-kl"), ("shapes-f-dpo-jensen-shannon", "shapes-rpo"))
"""The presets that each worker trains."""
PROMPTS, IMAGES_PER_PROMPT = 96, 4


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration made.

    Attributes:
        evaluation: The leaderboard and the files.
        seconds: Wall time by part, the longest worker's; ``total`` of the whole command.
    """

    evaluation: EvalResult
    seconds: Mapping[str, float] = field(default_factory=dict)


def run_folder(out: Path, preset: str) -> Path:
    """Where a preset's run is."""
    return out / "train" / preset.removeprefix("shapes-")


def eval_config(out: Path, checkpoints: tuple[str, ...], *, offline: bool) -> EvalConfig:
    """The evaluation of some checkpoints of the demonstration."""
    return EvalConfig(
        checkpoint=checkpoints,
        prompts="shapes-core",
        limit=PROMPTS,
        images_per_prompt=IMAGES_PER_PROMPT,
        out=out / "eval",
        offline=offline,
        device="cpu",
    )


def demo(out: Path, *, steps: int = STEPS, offline: bool = False) -> DemoResult:
    """Trains, evaluates, ranks and draws.

    Args:
        out: Folder of everything it makes.
        steps: Optimiser steps of each policy.
        offline: Forbid every network access; nothing here needs one.

    Raises:
        UserError: what went wrong in a worker, as it would be told here.
        KeyboardInterrupt: after Ctrl-C; the same command goes on.
    """
    start = time.monotonic()
    runs = {preset: run_folder(out, preset) for share in SHARES for preset in share}
    everyone = eval_config(out, ("base", *map(str, runs.values())), offline=offline)
    seconds: dict[str, float] = {}
    if not _finished(everyone, runs, steps):
        seconds = _work(out, steps, offline)
    from benchmark.evaluate.run import evaluate

    result = evaluate(everyone)
    seconds["rank"] = result.seconds.get("rank", 0.0)
    return DemoResult(result, {**seconds, "total": time.monotonic() - start})


def _finished(config: EvalConfig, runs: Mapping[str, Path], steps: int) -> bool:
    """Whether an earlier call got to its leaderboard with these steps."""
    saved = all(
        (folder / "checkpoints" / f"step-{steps:06d}" / "checkpoint.json").is_file()
        for folder in runs.values()
    )
    return saved and (config.out / "leaderboard.json").is_file()


def _work(out: Path, steps: int, offline: bool) -> dict[str, float]:
    """Runs the workers and returns the longest time of each part."""
    context = mp.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in SHARES]
    workers = [
        context.Process(target=_worker, args=(i, out, steps, offline, send), daemon=True)
        for i, (_, send) in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    for _, send in pipes:
        send.close()
    try:
        answers = [_answer(receive) for receive, _ in pipes]
    finally:
        for worker in workers:
            worker.join(timeout=30)
            worker.kill()
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return {part: max(a.get(part, 0.0) for a in answers) for answer in answers for part in answer}


def _answer(receive: "mp.connection.Connection") -> "dict[str, float] | BaseException":
    try:
        answer: dict[str, float] | BaseException = receive.recv()
    except EOFError:
        return UserError(
            "a worker of the demonstration ended early", do="run the same command again; it goes on"
        )
    return answer


def _worker(index: int, out: Path, steps: int, offline: bool, send: "mp.connection.Connection") -> None:
    """One worker: its share of the training, then of the evaluation."""
    try:
        send.send(_share(index, out, steps, offline))
    except (FbenchError, KeyboardInterrupt) as error:
        send.send(error)


def _share(index: int, out: Path, steps: int, offline: bool) -> dict[str, float]:
    clock = time.monotonic()
    import torch

    torch.set_num_threads(1)
    from benchmark.evaluate.run import prepare
    from trainers.config import TrainConfig
    from trainers.train import train_many

    imported = time.monotonic()
    configs = [
        TrainConfig.resolve(
            None,
            {
                "preset": preset,
                "steps": steps,
                "save_every": steps,
                "held_out_pairs": 16,
                "out": run_folder(out, preset),
                "device": "cpu",
                "offline": offline,
            },
        )
        for preset in SHARES[index]
    ]
    train_many(configs)
    trained = time.monotonic()
    mine = (("base",) if index == 0 else ()) + tuple(str(config.out) for config in configs)
    parts = prepare(eval_config(out, mine, offline=offline))
    return {
        "start": imported - clock + parts["start"],
        "train": trained - imported,
        "generate": parts["generate"],
        "score": parts["score"],
    }

"""`fbench demo`: four objectives trained, evaluated against the base model and ranked, on any machine.

Two worker processes of one thread each: the first encodes the data, trains f-DPO under reverse KL and
Jensen-Shannon and evaluates both; the second evaluates the base model, then does the same with SFT and RPO.
Then both draw more images of the base, from which follows what perfect training would reach under each
divergence: the lines behind the policies in the figure. Everything is kept by content, so the same command
resumes, or reuses what is there.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from benchmark.core.locks import held
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.results import EvalResult
from benchmark.workflows.workers import WORKERS, Share, longest, run_workers, train_and_prepare
from trainers.config import TrainConfig

STEPS: Final = 60
BATCH: Final = 48
RATE: Final = 6e-4
BETA: Final = 0.1
"""Fewer and smaller steps than the presets', at a higher rate, held less: further in less time."""
SHARES: Final = (("shapes-f-dpo-reverse-kl", "shapes-f-dpo-jensen-shannon"), ("shapes-sft", "shapes-rpo"))
"""The presets that each worker trains; the first two share what the reference says."""
PROMPTS, IMAGES_PER_PROMPT = 96, 4
PLANE: Final = ("true_taste", "true_diversity")
"""What the lines are drawn in; they maximise the first."""
POOL: Final = 12
"""Images of the base a prompt from which the lines follow."""
SHEET: Final = 8
"""Prompts on the picture sheet."""
LINES: Final = ("pearson_chi2", "reverse_kl", "jensen_shannon", "forward_kl")


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration made.

    Attributes:
        evaluation: The leaderboard and the files.
        figure: The trade-off with the lines.
        page: The report page with them.
        sheet: Pictures of the prompts that leave most open, where taste has most to choose.
        distances: How far each policy is from the line of its own divergence, in words.
        seconds: Wall time by part, the longest worker's; ``total`` of the whole command.
    """

    evaluation: EvalResult
    figure: Path
    page: Path
    sheet: Path
    distances: tuple[str, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)


def demo(out: Path, *, steps: int = STEPS, seed: int = 0, offline: bool = False) -> DemoResult:
    """Trains, evaluates, ranks and draws.

    Args:
        out: Folder of everything it makes.
        steps: Optimiser steps of each policy.
        seed: Of their training; the images' noise is the same for all.
        offline: Forbid every network access; nothing here needs one.

    Raises:
        UserError: what went wrong in a worker, as it would be told here.
        InUseError: if another command is writing to the folder.
        KeyboardInterrupt: after Ctrl-C; the same command goes on.
    """
    start = time.monotonic()
    runs = [tuple(run_config(out, name, steps, seed, offline=offline) for name in share) for share in SHARES]
    folders = [str(run.out) for share in runs for run in share]
    # In the order in which one would tell of them.
    told = sorted(folders, key=lambda folder: not folder.endswith("sft"))
    everyone = eval_config(out, ("base", *told), offline=offline)
    seconds: dict[str, float] = {}
    with held(out, [run.identity() for share in runs for run in share]):
        if not _finished(everyone, [run for share in runs for run in share]):
            first, second = (
                Share(mine, eval_config(out, tuple(str(run.out) for run in mine), offline=offline))
                for mine in runs
            )
            shares = [first, replace(second, first=eval_config(out, ("base",), offline=offline))]
            seconds = longest(run_workers(train_and_prepare, shares))
        from benchmark.evaluate.run import evaluate

        result = evaluate(everyone)
        seconds["rank"] = result.seconds.get("rank", 0.0)
        begin = time.monotonic()
        figure, page, distances = _lines(out, everyone, result, offline=offline)
        sheet = _sheet(out, result)
    seconds["lines"] = time.monotonic() - begin
    seconds["total"] = time.monotonic() - start
    return DemoResult(result, figure, page, sheet, distances, seconds)


def _lines(
    out: Path, evaluated: EvalConfig, result: EvalResult, *, offline: bool
) -> tuple[Path, Path, tuple[str, ...]]:
    """Draws the optimum under each divergence behind the policies: figure, page, distances in words."""
    from benchmark.evaluate.finished import page_source
    from benchmark.evaluate.run import prepare
    from benchmark.leaderboard import read_score_table
    from benchmark.leaderboard.frontiers import with_frontiers
    from benchmark.leaderboard.line_distance import distance_lines
    from benchmark.report.figures import trade_off
    from benchmark.report.page import write_page
    from benchmark.workflows.frontier.config import FrontierConfig
    from benchmark.workflows.frontier.run import FILE, make_frontier

    lines = FrontierConfig(
        evaluation=evaluated.out, closed_form=True, by=PLANE[0], divergence=LINES, pool=POOL,
        scorers=PLANE, device="cpu", offline=offline, out=out / "closed-form",
    )  # fmt: skip
    if not (lines.out / FILE).is_file():
        pool = {"checkpoint": ("base",), "images_per_prompt": POOL, "scorers": PLANE}
        shards = [{**pool, "shard": f"{i + 1}/{WORKERS}"} for i in range(WORKERS)]
        run_workers(prepare, [evaluated.model_copy(update=shard) for shard in shards])
        make_frontier(lines)
    # That it is of this base and of these scorers is seen to where it is drawn.
    optima, scores = read_score_table(lines.out), read_score_table(result.folder)
    assert result.leaderboard is not None
    board = with_frontiers(result.leaderboard, [optima], scores)
    figure = trade_off(out / "trade-off.png", board, preference=PLANE[0], diversity=PLANE[1])
    page = write_page(page_source(board, scores, [result.folder]), out / "report.html")
    [plane] = [p for p in board.planes if {p.across, p.upward} == set(PLANE)]
    return figure, page, tuple(distance_lines(plane, scores.checkpoints))


def _sheet(out: Path, result: EvalResult) -> Path:
    """The same prompts and noise down the checkpoints: the prompts that leave most open."""
    from benchmark.report.figures import picture_sheet
    from benchmark.shapes.annotators import open_likings
    from benchmark.shapes.grammar import parse

    openness = {
        prompt.id: sum(weight for *_, weight in open_likings(parse(prompt.text)))
        for prompt in result.image_sets[0].prompt_set
    }
    most = sorted(openness, key=lambda id_: -openness[id_])[:SHEET]
    return picture_sheet(out / "sheet.png", result.image_sets, prompt_ids=most)


def run_config(out: Path, preset: str, steps: int, seed: int, *, offline: bool) -> TrainConfig:
    """The demonstration's run of a preset: shorter, on fewer pairs, held less to the base."""
    short: dict[str, Any] = {
        "preset": preset,
        "steps": steps,
        "batch_size": BATCH,
        "lr": RATE,
        "seed": seed,
        "save_every": steps,
        # Enough to see a run diverge; the presets look four times as long.
        "held_out_draws": 1,
        "out": out / "train" / preset.removeprefix("shapes-"),
        "device": "cpu",
        "offline": offline,
    }
    if preset != "shapes-sft":
        short["beta"] = BETA
    return TrainConfig.resolve(None, short)


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


def _finished(config: EvalConfig, runs: list[TrainConfig]) -> bool:
    """Whether an earlier call got to its leaderboard with these runs, and they are still what was written."""
    if not (config.out / "leaderboard.json").is_file():
        return False
    from trainers.train import are_finished

    return are_finished(runs)

"""Every figure once, under names that are given: what the laws of figures run over."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from benchmark.core.records import (
    Checkpoint,
    Frontier,
    FrontierPoint,
    ImageRecord,
    ImageSet,
    Leaderboard,
    Prompt,
    PromptSet,
    Sampler,
    ScoreRow,
)
from benchmark.leaderboard import ScoreTable, build_leaderboard, rows_to_frame
from benchmark.leaderboard.equal_level import EqualLevel, equal_level
from benchmark.leaderboard.win_rate_table import win_rates_of
from benchmark.report.curve_panels import RunCurves
from benchmark.report.figures.curves import draw_curves
from benchmark.report.figures.gradient_field import Cloud, GradientField, draw_gradient_field
from benchmark.report.figures.iso_reward import draw_iso_reward
from benchmark.report.figures.picture_sheet import draw_picture_sheet
from benchmark.report.figures.trade_off import draw_trade_off
from benchmark.report.figures.win_rate_bars import draw_win_rate_bars
from tools.simulated_tables import COLUMNS

METHODS = ("reverse_kl", "jensen_shannon", "forward_kl", "alpha(a=0.5)")
BETAS = (3.0, 1.0, 0.3, 0.1, 0.03)


@cache
def sweep_table(
    methods: tuple[str, ...] = METHODS,
    betas: tuple[float, ...] = BETAS,
    seeds: tuple[int, ...] = (0,),
    n_prompts: int = 30,
) -> ScoreTable:
    """A sweep: reward rises along an arc that turns before its end for the later methods, diversity falls.

    Prompts differ, and all checkpoints share their prompts.
    """
    generator = np.random.default_rng(len(methods) + 10 * len(betas))
    columns = tuple(column for column in COLUMNS if column.name in ("pickscore", "hps", "true_diversity"))
    checkpoints = [Checkpoint("base", "shapes")]
    means = [(20.0, 24.0, 0.82)]
    for m, method in enumerate(methods):
        for i, beta in enumerate(betas):
            pull = (i + 1) / len(betas)
            reward = 1.2 * np.sin(np.pi / 2 * pull * (1 + 0.3 * (m % 4)))
            for seed in seeds:
                facts = {"beta": beta, "seed": seed}
                id_ = f"f_dpo-{method}-{beta}-{seed}"
                checkpoints.append(Checkpoint(id_, "shapes", "f_dpo", method, facts, 200))
                means.append((20 + reward, 24 + 0.8 * reward, 0.82 - (0.3 - 0.04 * (m % 4)) * pull))
    rows = []
    prompts = generator.normal(size=(n_prompts, 2, 1))
    for checkpoint, (preference, other, diversity) in zip(checkpoints, means, strict=True):
        noise = (
            prompts
            + 0.3 * generator.normal(size=(n_prompts, 2, 1))
            + generator.normal(size=(n_prompts, 2, 2))
        )
        for p in range(n_prompts):
            for k in range(2):
                for c, mean in ((0, preference), (1, other)):
                    value = mean + 0.3 * float(noise[p, c, k])
                    rows.append(
                        ScoreRow.measured(
                            checkpoint.id, columns[c].name, columns[c].version, value, f"p{p}", k
                        )
                    )
            value = diversity + 0.05 * float(noise[p, 0, 0])
            rows.append(ScoreRow.measured(checkpoint.id, columns[2].name, columns[2].version, value, f"p{p}"))
    return ScoreTable(
        rows=rows_to_frame(rows), suite="sweep", signature="fbench:1.0|set:sweep@1:30x2|cfg:2.0",
        checkpoints=tuple(checkpoints), columns=columns, n_prompts=n_prompts, images_per_prompt=2,
    )  # fmt: skip


def renamed(table: ScoreTable, suffix: str) -> ScoreTable:
    """The table with names changed: of divergences and scorers; ids must be names of folders."""
    rows = table.rows.assign(scorer=table.rows["scorer"] + suffix)
    checkpoints = tuple(
        replace(c, divergence=c.divergence and c.divergence + suffix) for c in table.checkpoints
    )
    columns = tuple(replace(column, name=column.name + suffix) for column in table.columns)
    return replace(table, rows=rows, checkpoints=checkpoints, columns=columns)


def with_frontier(board: Leaderboard, suffix: str = "") -> Leaderboard:
    """Its planes with two frontiers."""
    first, *others = board.planes
    guidance = tuple(FrontierPoint(f"cfg {s}{suffix}", 0.84 - 0.02 * s, 19.8 + 0.2 * s) for s in range(1, 7))
    best = tuple(FrontierPoint(f"n = {2**n}{suffix}", 0.82 - 0.03 * n, 20 + 0.12 * n) for n in range(1, 5))
    lines = (Frontier(f"guidance{suffix}", guidance), Frontier(f"best of n{suffix}", best))
    return replace(board, planes=(replace(first, frontiers=lines), *others))


def optimum_lines_of(suffix: str = "") -> tuple[Frontier, ...]:
    """Optima under two divergences, of which one trained a method; their ends are hollow and far away."""
    return tuple(
        Frontier(
            f"{name}{suffix}: optimum of pickscore{suffix}",
            tuple(
                FrontierPoint(
                    f"β {i}", 0.82 - bend * i**2, 20 + 0.3 * i, effective_share=1 - 0.1 * i, hollow=i > 7
                )
                for i in range(10)
            ),
            f"{name}{suffix}", f"pickscore{suffix}", 16,
        )
        for name, bend in (("reverse_kl", 0.003), ("chi2_kl", 0.002))
    )  # fmt: skip


def with_optima(board: Leaderboard, suffix: str = "") -> Leaderboard:
    """Its first plane with the optima beside its frontiers."""
    first, *others = board.planes
    return replace(
        board,
        planes=(replace(first, frontiers=(*first.frontiers, *optimum_lines_of(suffix))), *others),
    )


def level_with_optima(suffix: str = "") -> EqualLevel:
    """Curves at equal reward with the same optima, reward across."""
    found = equal_level(renamed(sweep_table(seeds=(0, 1)), suffix), resamples=60)
    lines = tuple(
        replace(line, points=tuple(replace(p, x=p.y, y=p.x) for p in line.points))
        for line in optimum_lines_of(suffix)
    )
    return replace(found, lines=lines)


def board_of(table: ScoreTable) -> Leaderboard:
    return build_leaderboard([table], resamples=99)


def _trade_off(suffix: str) -> Figure:
    return draw_trade_off(with_frontier(board_of(renamed(sweep_table(), suffix)), suffix))


def _trade_off_of_few(suffix: str) -> Figure:
    return draw_trade_off(board_of(renamed(sweep_table(betas=(0.3,)), suffix)))


def _trade_off_with_optima(suffix: str) -> Figure:
    board = with_frontier(board_of(renamed(sweep_table(betas=(0.3,)), suffix)), suffix)
    return draw_trade_off(with_optima(board, suffix))


def _iso_reward_with_optima(suffix: str) -> Figure:
    return draw_iso_reward(level_with_optima(suffix))


def _iso_reward(suffix: str) -> Figure:
    return draw_iso_reward(equal_level(renamed(sweep_table(seeds=(0, 1)), suffix), resamples=60))


def _win_rates(suffix: str) -> Figure:
    table = renamed(sweep_table(), suffix)
    return draw_win_rate_bars(
        win_rates_of(table, resamples=99), table.checkpoints, signature=f"fbench:1.0|set:sweep{suffix}"
    )


def _curves(suffix: str) -> Figure:
    lines = [
        {
            "step": n,
            "loss": 0.7 / n,
            "lr": 1e-5,
            "grad_norm": 3.0 / n,
            "winner/s_mean": 0.1 * n,
            "heldout/loss": 1.0 / n,
        }
        for n in range(1, 41)
    ]
    return draw_curves([RunCurves(f"{name}{suffix}", lines) for name in ("js", "kl")])


def _gradient_field(suffix: str) -> Figure:
    at = np.linspace(-3, 3, 8)
    slope = np.broadcast_to(10 ** (at / 3), (8, 8))
    fields = [GradientField(name + suffix, at, at, -slope, slope) for name in METHODS]
    return draw_gradient_field(fields, cloud=Cloud(f"run{suffix}", at, at / 2), note="β = 1")


def _sheet(suffix: str) -> Figure:
    folder = Path(mkdtemp())
    prompts = PromptSet("tiny", "1", tuple(Prompt(f"p{i}", f"prompt {i}{suffix}") for i in range(3)))
    sets = []
    for number, method in enumerate(METHODS[:3]):
        path = folder / f"{number}.png"
        Image.new("RGB", (32, 32), (60 * number, 90, 120)).save(path)
        records = tuple(ImageRecord(prompt.id, k, path) for prompt in prompts for k in range(2))
        checkpoint = Checkpoint(f"c{number}", "shapes", "f_dpo", method + suffix)
        sets.append(ImageSet("id", checkpoint, prompts, Sampler(), (0, 1), records))
    return draw_picture_sheet(sets)


FIGURES: Mapping[str, Callable[[str], Figure]] = {
    "trade-off": _trade_off,
    "trade-off of few": _trade_off_of_few,
    "trade-off with optima": _trade_off_with_optima,
    "iso-reward": _iso_reward,
    "iso-reward with optima": _iso_reward_with_optima,
    "win-rates": _win_rates,
    "curves": _curves,
    "gradient-field": _gradient_field,
    "sheet": _sheet,
}
"""Draws it, with this at the end of every name in it."""

"""Laws of the figures: they are written, look the same every time, and hide nothing."""

import dataclasses
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.records import ImageRecord, ImageSet, Leaderboard, Prompt, PromptSet, Sampler
from benchmark.leaderboard import build_leaderboard
from benchmark.report.figures import picture_sheet, trade_off
from benchmark.report.figures.label_places import Label, Room
from benchmark.report.figures.picture_sheet import draw_picture_sheet
from benchmark.report.figures.trade_off import draw_trade_off
from benchmark.report.palette import MARKERS
from tools.simulated_tables import CHECKPOINTS, simulated_table

ENDINGS = (".png", ".pdf", ".svg")


@pytest.fixture(scope="module")
def leaderboard() -> Leaderboard:
    return build_leaderboard([simulated_table(n_prompts=40)], resamples=99)


@pytest.fixture
def image_sets(tmp_path: Path) -> list[ImageSet]:
    """Three checkpoints, four prompts, two images each; one cell of the second failed."""
    generator = np.random.default_rng(0)
    prompts = PromptSet("tiny", "1", tuple(Prompt(f"p{i}", f"prompt {i}, " * 9) for i in range(4)))
    sets = []
    for checkpoint in CHECKPOINTS[:3]:
        records = []
        for prompt in prompts:
            for k in range(2):
                path = tmp_path / "images" / checkpoint.id / f"{prompt.id}_{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.full((16, 16, 3), generator.integers(0, 255, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(path)
                failed = checkpoint.id == "sft" and prompt.id == "p1"
                records.append(
                    ImageRecord(prompt.id, k, path, "", "error" if failed else "ok", "boom" * failed)
                )
        sets.append(ImageSet("id", checkpoint, prompts, Sampler(), (0, 1), tuple(records)))
    return sets


def not_empty(path: Path) -> None:
    start = path.read_bytes()[:256]
    assert start.startswith({".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[path.suffix])
    if path.suffix == ".png":
        assert np.asarray(Image.open(path).convert("L")).std() > 5


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_trade_off_is_written_and_the_same_every_time(
    leaderboard: Leaderboard, tmp_path: Path, ending: str
) -> None:
    path = trade_off(tmp_path / f"a{ending}", leaderboard)
    not_empty(path)
    assert trade_off(tmp_path / f"b{ending}", leaderboard).read_bytes() == path.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_the_trade_off_names_every_checkpoint_the_axes_and_the_sampling(
    leaderboard: Leaderboard, tmp_path: Path
) -> None:
    text = trade_off(tmp_path / "a.svg", leaderboard).read_text()
    for expected in ("base", "sft", "f_dpo reverse_kl", "f_dpo jensen_shannon", "rpo reverse_kl"):
        assert f">{expected}<" in text
    assert "preference: pickscore" in text
    assert "diversity: true_diversity" in text
    assert "sampler:ddim-20" in text
    assert "fid:" not in text


@pytest.mark.parametrize(("preference", "diversity"), [("hps", "fid"), ("fid", "hps")])
def test_both_axes_point_to_the_better_side_whatever_the_scorers_direction(
    leaderboard: Leaderboard, preference: str, diversity: str
) -> None:
    (axes,) = draw_trade_off(leaderboard, preference, diversity).axes
    assert axes.xaxis_inverted() == (diversity == "fid")
    assert axes.yaxis_inverted() == (preference == "fid")
    drawn = [
        np.asarray(line.get_xydata(), dtype=np.float64)[0]
        for line in axes.lines
        if line.get_marker() in MARKERS
    ]
    assert len(drawn) == len(leaderboard.rows) - 1
    to_the_right, upwards = axes.transData.transform(np.array(drawn)).T
    names = [column.name for column in leaderboard.columns]
    for pixels, scorer in ((to_the_right, diversity), (upwards, preference)):
        column = names.index(scorer)
        means = np.array([row.cells[column].mean for row in leaderboard.rows[1:]])
        worth = means if leaderboard.columns[column].higher_is_better else -means
        assert np.argsort(pixels).tolist() == np.argsort(worth).tolist()


def test_training_seeds_have_one_label_and_their_method_one_entry(tmp_path: Path) -> None:
    """Nine seeds at two betas: two labels, one entry, and no list of eighteen names."""
    settings = [{"seed": seed, "beta": beta} for seed in range(9) for beta in (0.1, 0.3)]
    many = tuple(
        dataclasses.replace(CHECKPOINTS[2], id=f"dpo-{i}", hyperparameters=own)
        for i, own in enumerate(settings)
    )
    small = build_leaderboard([simulated_table(n_prompts=20)], resamples=99)
    cells = small.rows[2]
    rows = (small.rows[0], *(dataclasses.replace(cells, checkpoint=c) for c in many))
    text = trade_off(tmp_path / "a.svg", dataclasses.replace(small, rows=rows, planes=())).read_text()
    assert text.count(">f_dpo reverse_kl<") == 1
    assert [text.count(f">β {beta}<") for beta in (0.1, 0.3)] == [1, 1]
    assert "seed 3" not in text


def test_missing_numbers_leave_a_point_out(leaderboard: Leaderboard, tmp_path: Path) -> None:
    row = leaderboard.rows[1]
    gap = dataclasses.replace(
        row, cells=tuple(dataclasses.replace(c, mean=None, difference=None) for c in row.cells)
    )
    rows = (leaderboard.rows[0], gap, *leaderboard.rows[2:])
    text = trade_off(tmp_path / "a.svg", dataclasses.replace(leaderboard, rows=rows, planes=())).read_text()
    assert ">sft" not in text
    assert ">rpo reverse_kl" in text


def test_wrong_names_and_endings_are_told(leaderboard: Leaderboard, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean hps"):
        trade_off(tmp_path / "a.png", leaderboard, preference="hsp")
    with pytest.raises(UserError, match=r"\.png"):
        trade_off(tmp_path / "a.gif", leaderboard)
    without = dataclasses.replace(leaderboard, columns=leaderboard.columns[:3])
    with pytest.raises(UserError, match="no scorer of the diversity axis"):
        trade_off(tmp_path / "a.png", without)
    assert not list(tmp_path.iterdir())


def test_a_caller_keeps_its_own_matplotlib_settings(leaderboard: Leaderboard, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    trade_off(tmp_path / "a.png", leaderboard)
    assert dict(mpl.rcParams) == before


def test_labels_cover_neither_each_other_nor_regions() -> None:
    figure = Figure(figsize=(3.35, 2.9))
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    points = [(0.2, 0.5), (0.22, 0.5), (0.5, 0.52), (0.9, 0.9), (0.92, 0.88)]
    turn = np.linspace(0, 2 * np.pi, 60)
    room = Room(axes)
    regions = [np.column_stack([x + 0.08 * np.cos(turn), y + 0.05 * np.sin(turn)]) for x, y in points]
    for region in regions:
        room.avoid_region(region)
    assert room.write([Label(x, y, f"checkpoint {i}", "black") for i, (x, y) in enumerate(points)])
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) == 5
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    corners = np.array([axes.transData.transform(region) for region in regions]).reshape(-1, 2)
    assert not any(box.padded(-2).contains(x, y) for box in boxes for x, y in corners)


def test_what_does_not_fit_is_said_and_what_is_optional_is_left_out() -> None:
    figure = Figure(figsize=(1.2, 1.0))
    axes = figure.add_subplot()
    room = Room(axes)
    room.keep_free([(0.5, 0.5)], 500)
    assert room.write([Label(0.5, 0.5, "x", "black", optional=True)])
    assert not axes.texts
    assert not room.write([Label(0.5, 0.5, "x", "black")])
    assert len(axes.texts) == 1


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_sheet_is_written_with_its_gaps(image_sets: list[ImageSet], tmp_path: Path, ending: str) -> None:
    path = picture_sheet(tmp_path / f"sheet{ending}", image_sets, seeds=(0, 1))
    not_empty(path)
    if ending == ".svg":
        text = path.read_text()
        assert text.count(">missing<") == 1
        assert ">f_dpo reverse_kl<" in text
        assert text.count("<image") == 11
        assert "sampler:ddim-20" in text


def test_the_sheet_shows_the_pixels_of_the_seeds_that_there_are(
    image_sets: list[ImageSet], tmp_path: Path
) -> None:
    """Both images of the first checkpoint side by side, unless one is asked for."""

    def share(path: Path, k: int) -> float:
        (record,) = [r for r in image_sets[0].records if (r.prompt_id, r.seed) == ("p2", k)]
        colour = image_sets[0].open(record)[0, 0]
        sheet = np.asarray(Image.open(path).convert("RGB")).astype(int)
        return float((np.abs(sheet - colour.astype(int)).max(axis=2) <= 1).mean())

    path = picture_sheet(tmp_path / "sheet.png", image_sets, prompt_ids=["p2"])
    assert share(path, 0) == pytest.approx(share(path, 1), rel=0.1)
    assert share(path, 0) > 0.05
    path = picture_sheet(tmp_path / "sheet.png", image_sets, prompt_ids=["p2"], seeds=(1,))
    assert share(path, 0) == 0
    assert share(path, 1) > 0.1


def test_the_sheet_shows_at_most_four_images_of_a_prompt_and_groups_them_by_checkpoint(
    image_sets: list[ImageSet], tmp_path: Path
) -> None:
    """Six seeds, each of its own grey: four are drawn, and white is wider between checkpoints."""
    greys = [30, 60, 90, 120, 150, 180]
    sets = []
    for images in image_sets[:2]:
        records = []
        for k, grey in enumerate(greys):
            path = tmp_path / images.checkpoint.id / f"{k}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (64, 64), (grey, grey, grey)).save(path)
            records.append(ImageRecord("p0", k, path))
        sets.append(dataclasses.replace(images, seeds=tuple(range(6)), records=tuple(records)))
    path = picture_sheet(tmp_path / "sheet.png", sets, prompt_ids=["p0"])
    sheet = np.asarray(Image.open(path).convert("L")).astype(int)
    there = [(np.abs(sheet - grey) <= 1).mean() > 0.02 for grey in greys]
    assert there == [True] * 4 + [False] * 2
    # A line of pixels through the upper images: k 0 and 1 of one checkpoint, then of the other.
    row = sheet[int(np.flatnonzero((np.abs(sheet - greys[0]) <= 1).any(axis=1)).mean())]
    ends = [np.flatnonzero(np.abs(row - grey) <= 1) for grey in greys[:2]]
    within = ends[1].min() - ends[0][ends[0] < ends[1].min()].max()
    between = ends[0][ends[0] > ends[1].min()].min() - ends[1][ends[1] < ends[0].max()].max()
    assert 0 < within < between < len(ends[0]) / 4


def test_a_sheet_of_many_large_images_is_wider_and_holds_no_more_pixels_than_it_shows(tmp_path: Path) -> None:
    prompts = PromptSet("tiny", "1", (Prompt("p0", "a star"),))
    Image.fromarray(np.full((1024, 1024, 3), 90, dtype=np.uint8)).save(tmp_path / "large.png")
    records = tuple(ImageRecord("p0", k, tmp_path / "large.png") for k in range(4))
    checkpoints = [dataclasses.replace(CHECKPOINTS[1], id=f"policy-{i}") for i in range(40)]
    sets = [ImageSet("id", one, prompts, Sampler(), (0, 1, 2, 3), records) for one in checkpoints]
    figure = draw_picture_sheet(sets)
    for axes in figure.axes:
        inches = axes.get_position().width * figure.get_figwidth()
        assert inches == pytest.approx(0.6)
        (drawn,) = axes.get_images()
        pixels = drawn.get_size()[1]
        assert 160 * inches <= pixels <= 4 * 160 * inches


def test_the_sheet_refuses_what_it_cannot_draw(image_sets: list[ImageSet], tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="p9"):
        picture_sheet(tmp_path / "sheet.png", image_sets, prompt_ids=["p9"])
    with pytest.raises(UserError):
        picture_sheet(tmp_path / "sheet.png", [])

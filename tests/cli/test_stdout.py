"""stdout belongs to commands alone: whatever libraries print, whatever it can carry, whoever reads it."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from benchmark.cli import output, streams
from benchmark.cli.app import app, command
from benchmark.core.records import Checkpoint
from benchmark.leaderboard import write_score_table
from benchmark.workflows import demo
from tools.simulated_tables import simulated_table

Fbench = Callable[..., Result]

CHATTY = '''
import ctypes, os, subprocess, sys, threading
from benchmark.scorers.base import ImageScorer

def chat(where):
    """In every way there is: Python, its original stream, the descriptor, C's buffer, a thread, a child."""
    print("chat print", where)
    sys.stdout.write(f"chat write {where}\\n")
    threading.Thread(target=print, args=("chat thread", where)).start()
    if os.environ.get("DEEP"):
        os.write(1, f"chat descriptor {where}\\n".encode())
        if sys.__stdout__ is not None:
            sys.__stdout__.write(f"chat original {where}\\n")
        ctypes.CDLL(None).puts(f"chat compiled {where}".encode())
        subprocess.run([sys.executable, "-c", f"print('chat child {where}')"], check=True)

chat("import")

class Chatty(ImageScorer):
    """Mean grey, with many words."""
    name, axis = "chatty", "texture"
    def __init__(self): chat("init")
    @property
    def weights_hash(self):
        chat("hash")
        return ""
    def load(self, device="cpu"): chat("load")
    def values(self, shown):
        chat("values")
        return [float(image.mean()) for image in shown.images]
'''
PLACES = ("import", "init", "hash", "load", "values")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two images with a text each, and the scorer beside it."""
    folder = tmp_path_factory.mktemp("pictures") / "images"
    folder.mkdir()
    (folder.parent / "mine.py").write_text(CHATTY)
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text("a cat")
    return folder


def test_what_a_scorer_prints_is_no_part_of_the_answer(
    fbench: Fbench, pictures: Path, tmp_path: Path
) -> None:
    words = ("score", pictures, "--scorers", f"{pictures.parent / 'mine.py'}:Chatty")
    answered = fbench(*words, "--out", tmp_path / "a", "--json")
    assert json.loads(answered.stdout)["rows"]
    for place in PLACES:
        for way in ("print", "write", "thread"):
            assert f"chat {way} {place}" in answered.stderr
    assert "chat" not in fbench(*words, "--out", tmp_path / "b").stdout.replace("chatty", "")


def leaves() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by the words that call it."""
    root = cast("Any", command())
    for name in root.list_commands(None):
        found = root.get_command(None, name)
        for sub, leaf in getattr(found, "commands", {"": found}).items():
            yield f"{name} {sub}".strip(), leaf


SPOKEN = {
    "demo": "--out {tmp}/demo",
    "train": "--config {config} --out {tmp}/run --dry-run",
    "sweep": "--config {config} --out {tmp}/sweep --divergence forward_kl --dry-run",
    "pairs": "--base {base} --prompts {prompts} --scorers {scorers}:Light --out {tmp}/pairs --dry-run",
    "eval": "--base {base} --prompts {prompts} --scorers {scorers}:Light --out {tmp}/new --dry-run",
    "score": "{images} --scorers {scorers}:Light --out {tmp}/score",
    "reference": "kid(reference='{images}',weights='embedded') {tmp}/reference.npz",
    "frontier": "{eval} --by light --best-of none --out {tmp}/frontier --dry-run",
    "leaderboard": "{table}",
    "plot trade-off": "{table} --output {tmp}/a.png",
    "plot iso-reward": "{table} --along beta --output {tmp}/b.png",
    "plot win-rates": "{table} --scorers hps --output {tmp}/c.png",
    "plot sheet": "{eval} --output {tmp}/d.png",
    "plot curves": "{run} --output {tmp}/e.png",
    "plot gradient-field": "reverse_kl --output {tmp}/f.png",
    "gate": "{table} --baseline reverse_kl-1.0 --candidate jensen_shannon-1.0 --scorers hps --margin hps=1",
    "regress": "--divergence jeffreys --out {tmp}/regress --dry-run",
    "divergence check": "reverse_kl",
    "push": "{run} --repo owner/name --dry-run",
    "weights list": "--weights-folder {weights}",
    "weights fetch": "bert-base-uncased --weights-folder {weights}",
    "weights verify": "bert-base-uncased --weights-folder {weights}",
    "list": "models",
    "doctor": "--weights-folder {weights}",
}
"""How each command is called here."""


@pytest.fixture(scope="module")
def places(
    fbench: Fbench, world: dict[str, Path], pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What the commands work on, made once."""
    folder = tmp_path_factory.mktemp("spoken")
    runs = (
        Checkpoint(f"{d}-{b}", "shapes", "f_dpo", d, {"beta": b, "seed": 0}, 100)
        for d in ("reverse_kl", "jensen_shannon")
        for b in (1.0, 0.1)
    )
    table = simulated_table(
        checkpoints=(Checkpoint("base", "shapes"), *runs), n_prompts=20, images_per_prompt=2
    )
    write_score_table(table, folder / "table" / "scores.parquet")
    vocabulary = folder / "weights" / "bert-base-uncased" / "vocab.txt"
    vocabulary.parent.mkdir(parents=True)
    vocabulary.write_text("[PAD]\n")
    done = fbench("train", "--config", world["config"], "--out", folder / "run")
    assert done.exit_code == 0, done.output
    done = fbench(
        "eval", "--base", world["base"], "--prompts", world["prompts"], "--images-per-prompt", 2, "--scorers",
        f"{world['scorers']}:Light", "--steps", 2, "--guidance", 2, "--device", "cpu", "--out",
        folder / "eval",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    own = {name: folder / name for name in ("table", "weights", "run", "eval")}
    return {**world, **own, "images": pictures, "tmp": folder}


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch, places: dict[str, Path]) -> None:
    """Somebody who prints whenever a command speaks; and a demonstration that was done before."""
    from benchmark.evaluate.config import EvalConfig
    from benchmark.evaluate.run import evaluate

    quiet = streams.stdout

    def loud() -> Any:
        print("noise")
        return quiet()

    def done_before(out: Path, **_: Any) -> demo.DemoResult:
        config = EvalConfig(
            base=str(places["base"]), prompts=str(places["prompts"]), images_per_prompt=2, steps=2,
            guidance=2, scorers=(f"{places['scorers']}:Light",), device="cpu", out=places["eval"],
        )  # fmt: skip
        return demo.DemoResult(evaluate(config), out / "plane.png", out / "page.html", out / "sheet.png", ())

    monkeypatch.setattr(streams, "stdout", loud)
    monkeypatch.setattr(demo, "demo", done_before)


def test_every_command_is_called_here() -> None:
    assert {words for words, _ in leaves()} == set(SPOKEN)
    for words, leaf in leaves():
        assert "--json" in {name for parameter in leaf.params for name in parameter.opts}, words


@pytest.mark.usefixtures("noise")
@pytest.mark.parametrize("words", SPOKEN)
def test_json_is_json_alone_for_every_command(fbench: Fbench, places: dict[str, Path], words: str) -> None:
    answered = fbench(*words.split(), *SPOKEN[words].format(**places).split(), "--json")
    assert answered.exit_code in (0, 1, 3), answered.stderr
    assert json.loads(answered.stdout)
    assert "noise" in answered.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
def test_what_stdout_cannot_carry_is_written_otherwise(
    places: dict[str, Path], tmp_path: Path, encoding: str
) -> None:
    folder = tmp_path / "Модель"
    folder.mkdir()
    named = simulated_table(
        checkpoints=(Checkpoint("base", "shapes"), Checkpoint("модель-é", "shapes", "sft", None, {}, 1)),
        n_prompts=20, images_per_prompt=2,
    )  # fmt: skip
    write_score_table(named, folder / "scores.parquet")
    runner = CliRunner(charset=encoding)

    def said(*words: object) -> str:
        result = runner.invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
        return result.stdout_bytes.decode(encoding)

    board = said("leaderboard", folder)
    assert "base" in board
    assert ("модель-é" in said("leaderboard", folder, "--format", "markdown")) == (encoding == "utf-8")
    assert bool(re.search(r"\d \+-\d", board)) == (encoding == "ascii")
    found = json.loads(said("leaderboard", folder, "--json"))
    assert [row["checkpoint"]["id"] for row in found["rows"]].count("модель-é") == 1
    drawn = json.loads(said("plot", "win-rates", folder, "--scorers", "hps", "--json"))
    assert drawn["path"] == str(folder / "figures" / "win-rates.png")
    for words, _ in leaves():
        assert said(*words.split(), "--help")


def test_our_marks_have_plain_ones() -> None:
    streams.accept_any_character()
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii", errors="fbench.plain")
    stream.write("0.5 ±0.1 ▲ ▼ ↑ – † \udc80 é")
    stream.flush()
    assert written.getvalue() == rb"0.5 +-0.1 ^ v ^ - + \udc80 \xe9"


# Processes of their own from here on: descriptors and pipes are the process's.


def start(*words: object, **options: Any) -> "subprocess.Popen[bytes]":
    typed = [sys.executable, "-m", "fbench", *map(str, words)]
    return subprocess.Popen(typed, stderr=subprocess.PIPE, **options)


def test_what_compiled_code_and_children_print_is_no_part_of_the_answer(
    pictures: Path, tmp_path: Path
) -> None:
    words = ("score", pictures, "--scorers", f"{pictures.parent / 'mine.py'}:Chatty", "--json")
    process = start(*words, "--out", tmp_path, stdout=subprocess.PIPE, env={**os.environ, "DEEP": "1"})
    answer, heard = process.communicate()
    assert process.returncode == 0, heard
    assert json.loads(answer)["rows"]
    for place in PLACES:
        for way in ("print", "descriptor", "original", "compiled", "child"):
            assert f"chat {way} {place}".encode() in heard


@pytest.mark.parametrize("words", ["list scorers", "--help", "train --help"])
def test_a_reader_who_leaves_is_no_fault(words: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with start(*words.split(), stdout=writing) as process:
        os.close(writing)
        heard = process.communicate()[1]
    # Where the machine is busy a line says that the command is at work.
    assert (process.returncode, re.sub(rb"fbench[ \w]*: at work\n", b"", heard)) == (141, b"")


def test_so_it_is_where_stderr_has_the_same_reader(pictures: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = ("score", pictures, "--scorers", f"{pictures.parent / 'mine.py'}:Chatty", "--out", tmp_path)
    typed = [sys.executable, "-m", "fbench", *map(str, words)]
    done = subprocess.run(typed, stdout=writing, stderr=writing, check=False)
    os.close(writing)
    assert done.returncode == 141
    assert (tmp_path / "leaderboard.json").is_file()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", ["list models", "--help"])
def test_a_full_place_is_one_line(words: str) -> None:
    with Path("/dev/full").open("wb") as full, start(*words.split(), stdout=full) as process:
        heard = process.communicate()[1].decode()
    heard = re.sub(r"fbench[ \w]*: at work\n", "", heard)
    assert process.returncode == 2
    assert heard.startswith("error: cannot write to stdout (No space left on device)")
    assert heard.count("\n") == 1


def test_a_closed_stdout_is_said_and_no_file_takes_its_place(pictures: Path, tmp_path: Path) -> None:
    words = ("score", pictures, "--scorers", f"{pictures.parent / 'mine.py'}:Chatty", "--out", tmp_path)
    typed = [sys.executable, "-m", "fbench", *map(str, words)]
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", *typed]
    done = subprocess.run(shell, stderr=subprocess.PIPE, check=False, env={**os.environ, "DEEP": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(b"note: stdout is closed")
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"chat descriptor" not in file.read_bytes()


def test_a_plan_is_folded_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    lines = ["scorers      " + ", ".join(f"scorer{i}" for i in range(20)), "out          a/b"]

    def told(stream: io.StringIO) -> list[str]:
        monkeypatch.setattr(streams, "stdout", lambda: stream)
        output.say_plan(lines, as_json=False)
        return stream.getvalue().splitlines()

    assert told(io.StringIO()) == lines
    *folded, last = told(Terminal())
    assert last == lines[1]
    assert len(folded) > 1
    assert all(len(line) <= 80 for line in folded)
    assert all(line.startswith(" " * 13 + "scorer") for line in folded[1:])
    assert " ".join(" ".join(folded).split()) == " ".join(lines[0].split())

"""What a user types: Ray that is not there, options that need it, and a head that dies."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmark.cli.app import app
from benchmark.cluster.connection import connected
from benchmark.cluster.settings import Cluster
from benchmark.core.errors import UserError
from benchmark.core.interrupts import Terminated, terminable


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 2, result.output
    return " ".join(result.stderr.split())


@pytest.mark.parametrize("command", ["eval", "sweep"])
def test_without_ray_one_line_says_how_to_install_it(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    said = refused(command, "--ray", "--dry-run")
    assert said == "error: --ray needs Ray, which is not installed; pip install 'fbench[ray]'"


@pytest.mark.parametrize("words", ["--retries 1", "--scratch /x", "--gpus-per-worker 1", "--workers 2"])
def test_an_option_that_means_nothing_without_a_cluster_is_refused(words: str) -> None:
    assert f"{words.split(maxsplit=1)[0]} is given without --ray; add --ray" in refused(
        "eval", *words.split()
    )


@pytest.mark.parametrize("words", ["--workers 0", "--cpus-per-worker 0", "--retries -1", "--patience nan"])
def test_impossible_numbers_are_refused(words: str) -> None:
    pytest.importorskip("ray")
    assert words.replace(" ", " is ") in refused("eval", "--ray", "local", "--dry-run", *words.split())


def test_what_is_no_address_is_refused() -> None:
    pytest.importorskip("ray")
    said = refused("eval", "--ray", "somewhere", "--dry-run")
    assert "--ray is somewhere; allowed: auto, local, or host:port of a head" in said


def test_a_shard_by_hand_is_refused_before_anything_begins() -> None:
    pytest.importorskip("ray")
    said = refused("eval", "--ray", "local", "--shard", "1/2", "--dry-run")
    assert said == "error: --shard and --ray are both given; leave one of them out: --ray shares the work"


def test_an_address_where_nobody_listens_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would try for minutes."""
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray tries it"))
    with (
        pytest.raises(UserError, match="there is no Ray cluster at 127.0.0.1:1 .*; start one"),
        connected(Cluster("127.0.0.1:1")),
    ):
        pytest.fail("it is connected")


def test_sigterm_while_ray_begins_ends_the_command_as_at_any_other_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = pytest.importorskip("ray")

    def begin(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ray does
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(ray, "init", begin)
    with pytest.raises(Terminated), terminable(), connected(Cluster("local")):
        pytest.fail("it is connected")


@pytest.mark.parametrize(
    "words", ["eval --limit 1", "sweep --preset shapes-f-dpo-reverse-kl --seed 0 --out {place}"]
)
def test_a_device_that_only_workers_have_is_theirs_to_look_for(words: str, tmp_path: Path) -> None:
    """The command's own machine may be a head without a GPU."""
    pytest.importorskip("ray")
    given = [*words.format(place=tmp_path).split(), "--device", "cuda:63", "--dry-run"]
    assert "there is no device 'cuda:63' here" in refused(*given)
    result = CliRunner().invoke(app, [*given, "--ray", "local"], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr


def test_no_command_imports_ray_unless_it_is_asked_for() -> None:
    check = (
        "import sys; from benchmark.cli.app import command; "
        "command().main(['eval', '--limit', '1', '--dry-run'], standalone_mode=False); "
        "assert 'ray' not in sys.modules and 'benchmark.cluster' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


def test_what_ray_reports_of_dead_workers_does_not_go_where_json_goes() -> None:
    pytest.importorskip("ray")
    report = (
        "from benchmark.cluster.connection import import_ray; import_ray(); "
        "from ray._private.worker import print_to_stdstream; "
        "said = {'lines': ['A worker died'], 'pid': 'raylet', 'is_err': False}; "
        "print_to_stdstream(said, ignore_prefix=False)"
    )
    done = subprocess.run([sys.executable, "-c", report], check=True, capture_output=True, text=True)
    assert done.stdout == ""


def _heads_of(parent: int) -> list[int]:
    """The process ids of a command's own `gcs_server`."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                above = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                name = (place / "cmdline").read_bytes()
            except OSError:
                continue
            if above == parent and b"gcs_server" in name:
                found.append(int(place.name))
    return found


def _below(parent: int) -> set[int]:
    """The process ids of a command's descendants."""
    children: dict[int, list[int]] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            with suppress(OSError):
                above = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(above, []).append(int(place.name))
    found, new = set[int](), [parent]
    while new:
        new = [child for pid in new for child in children.get(pid, [])]
        found |= set(new)
    return found


def _gone(pids: set[int]) -> bool:
    """Whether processes have ended; one that nobody has waited for has."""
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                return False
    return True


@dataclass
class Begun:
    """A command that has made some of its 128 images on a cluster of its own."""

    command: list[str]
    folder: Path
    environment: dict[str, str]
    process: "subprocess.Popen[str]"

    def images(self) -> list[Path]:
        """Those that are there."""
        return list(self.folder.glob("out/images/base/*.png"))

    def goes_on(self) -> None:
        """The same command once more, to its end."""
        assert 0 < len(self.images()) < 128
        again = subprocess.run(
            self.command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert again.returncode == 0, again.stderr
        assert json.loads((self.folder / "out" / "manifest.json").read_text())["status"] == "success"
        assert len(self.images()) == 128


@pytest.fixture
def begun(tmp_path: Path, tiny_pipeline_folder: Path) -> Iterator[Begun]:
    pytest.importorskip("ray")
    (tmp_path / "prompts.txt").write_text("\n".join(f"a ring of {n} stones" for n in range(32)))
    (tmp_path / "mine.py").write_text(
        "from benchmark.scorers.base import ImageScorer\n"
        "class Light(ImageScorer):\n"
        "    name, axis, weights_hash = 'light', 'preference', ''\n"
        "    def load(self, device='cpu'): ...\n"
        "    def values(self, shown): return [float(image.mean()) for image in shown.images]\n"
    )
    # So many steps that it is still at work when Ray has seen what happens to it.
    words = [
        "eval", "--base", str(tiny_pipeline_folder), "--prompts", "prompts.txt", "--scorers", "mine.py:Light",
        "--images-per-prompt", "4", "--steps", "60", "--batch-size", "4", "--out", "out",
        "--precision", "fp32",
    ]  # fmt: skip
    command = [sys.executable, "-m", "fbench", *words, "--ray", "local", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    # What is ignored here, as in a shell's background, the command would ignore as well.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, process_group=0
        )
    finally:
        signal.signal(signal.SIGINT, before)
    found = Begun(command, tmp_path, environment, process)
    end = time.monotonic() + 300
    while not found.images():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.1)
    yield found
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def test_when_the_head_dies_the_command_ends_and_the_same_one_goes_on(begun: Begun) -> None:
    (head,) = _heads_of(begun.process.pid)
    os.kill(head, signal.SIGKILL)
    _, said = begun.process.communicate(timeout=120)
    assert begun.process.returncode == 2, said
    assert "the head of the Ray cluster at" in said.splitlines()[-1]
    assert "the same command goes on" in said
    begun.goes_on()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_in_order_and_its_cluster_with_it(
    begun: Begun, number: signal.Signals, code: int
) -> None:
    processes = _below(begun.process.pid)
    assert _heads_of(begun.process.pid)
    # A terminal sends Ctrl-C to all processes of the group, a scheduler SIGTERM to the command alone.
    if number == signal.SIGINT:
        os.killpg(begun.process.pid, number)
    else:
        os.kill(begun.process.pid, number)
    _, said = begun.process.communicate(timeout=120)
    assert begun.process.returncode == code, said
    assert "Traceback" not in said
    assert json.loads((begun.folder / "out" / "manifest.json").read_text())["status"] == "cancelled"
    end = time.monotonic() + 60
    while not _gone(processes):
        assert time.monotonic() < end
        time.sleep(0.1)
    # What a killed worker was writing may lie there under the name of a part, and goes with the next command.
    for image in begun.images():
        with Image.open(image) as opened:
            opened.load()
    begun.goes_on()
    assert not [
        *begun.folder.rglob("*.part*"),
        *begun.folder.rglob(".shared-*"),
        *begun.folder.rglob(".lock*"),
    ]

"""A scorer with packages that cannot live beside ours has them, and everything else is the cluster's."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from benchmark.cluster.environments import make_environment
from benchmark.cluster.evaluation import on_cluster
from benchmark.cluster.settings import Cluster
from benchmark.core.errors import UserError
from benchmark.evaluate.config import EvalConfig
from benchmark.evaluate.run import evaluate
from benchmark.leaderboard import read_score_table

SCORER = """
from benchmark.scorers.base import ImageScorer

class Version(ImageScorer):
    \"\"\"The version of a package that fbench itself needs in another one.\"\"\"
    name, axis, weights_hash = "version", "texture", ""
    packages = ({wheel!r},)
    def load(self, device="cpu"):
        import ftfy
        self.number = float(ftfy.__version__)
    def values(self, shown): return [self.number + 0 * image.mean() for image in shown.images]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An ftfy that is none, version 99."""
    path = tmp_path_factory.mktemp("wheel") / "ftfy-99.0-py3-none-any.whl"
    about = "ftfy-99.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("ftfy/__init__.py", "__version__ = '99.0'\n")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: ftfy\nVersion: 99.0\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")
    return str(path)


def test_an_environment_has_its_own_packages_and_the_others(
    wheel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FBENCH_CACHE", str(tmp_path))
    python = make_environment([wheel])
    check = "import ftfy, numpy, importlib.metadata as m; print(ftfy.__version__, m.version('ftfy'))"
    done = subprocess.run([python, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["99.0", "99.0"]
    import ftfy

    assert ftfy.__version__ != "99.0"
    # Made once.
    before = python.lstat().st_mtime_ns
    assert make_environment([wheel]).lstat().st_mtime_ns == before


def test_its_scores_stand_beside_those_of_others(
    two_machines: Cluster,
    wheel: str,
    tmp_path: Path,
    tiny_pipeline_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine.py").write_text(SCORER.format(wheel=wheel))
    (tmp_path / "prompts.txt").write_text("a red star\ntwo hearts\n")
    config = EvalConfig.parse(
        {
            "base": str(tiny_pipeline_folder), "prompts": str(tmp_path / "prompts.txt"), "steps": 1,
            "scorers": f"{tmp_path / 'mine.py'}:Version", "images_per_prompt": 1, "precision": "fp32",
            "out": tmp_path / "out",
        }
    )  # fmt: skip
    evaluate(config, workplace=on_cluster(two_machines))
    assert read_score_table(config.out).rows["value"].tolist() == [99.0, 99.0]
    # The workers of its environment are others than those that made the images.
    page = (config.out / "report.html").read_text()
    assert '"name":"worker 1",' in page
    assert '"name":"worker 1 of version",' in page
    with pytest.raises(UserError, match="scorer version .* --ray"):
        evaluate(config.model_copy(update={"out": tmp_path / "plain"}))

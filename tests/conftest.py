"""What every test gets: shapes and types enforced, no network, and no silent skips in CI."""

import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Before torch is imported: some tests fork, and a fork of a process that has started OpenMP's threads waits
# for threads that it does not have. Tiny networks gain nothing from more.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if TYPE_CHECKING:
    from benchmark.core.records import ImageSet
    from benchmark.models.families.base import Pipeline
    from benchmark.models.families.unet.pipeline import UNetPipeline
    from benchmark.models.flow.pipeline import FlowPipeline

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent
_REQUIRE_ALL = os.environ.get("FBENCH_REQUIRE_ALL", "") not in ("", "0")


def _modules_with_shapes() -> list[str]:
    """The modules that state tensor shapes; found by reading, because importing them is too late."""
    found = []
    for package in ("benchmark", "trainers"):
        for path in sorted((_ROOT / package).rglob("*.py")):
            if "from jaxtyping import" in path.read_text(encoding="utf-8"):
                parts = path.relative_to(_ROOT).with_suffix("").parts
                found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


# At import of this file, so before any test module imports the package.
install_import_hook(_modules_with_shapes(), "beartype.beartype")


def pytest_configure(config: pytest.Config) -> None:
    """Settings for the whole run; model libraries must not ask the network for anything."""
    # A busy machine is slow, not wrong; and a failure must be the same one in the next run.
    settings.register_profile("fbench", deadline=None, derandomize=_REQUIRE_ALL)
    settings.load_profile("fbench")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Nothing is looked for, or recorded, in the folder of the one who runs the tests.
    os.environ["FBENCH_WEIGHTS"] = tempfile.mkdtemp(prefix="fbench-weights-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` run wherever CUDA is."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if not wanting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="no CUDA GPU here; docs/gpus.md says what these test"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With several processes a file stays whole, and so do the tests of Ray: clusters disturb each other."""
    from xdist.scheduler import LoadFileScheduling

    class OneCluster(LoadFileScheduling):  # type: ignore[misc]  # xdist is not typed
        def _split_scope(self, nodeid: str) -> str:
            return "cluster" if nodeid.startswith("tests/cluster/") else super()._split_scope(nodeid)

    return OneCluster(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a test that is skipped for want of a tool has failed, unless it is marked optional or gpu."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")  # type: ignore[attr-defined]
    free = any(item.get_closest_marker(name) for name in ("optional", "gpu"))
    if _REQUIRE_ALL and skipped and not free:
        report.outcome = "failed"  # type: ignore[attr-defined]
        report.longrepr = f"skipped although FBENCH_REQUIRE_ALL is set: {report.longrepr}"  # type: ignore[attr-defined]
    return report


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that ask for a flow family run over all of them."""
    if "flow_family" in metafunc.fixturenames:
        from tools.random_flow import FAMILIES

        metafunc.parametrize("flow_family", FAMILIES, scope="session")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a small text file below the test's own folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def write_tiny_pipeline(folder: Path, seed: int = 0) -> Path:
    """A StableDiffusionPipeline folder of the embedded world's layout, with random weights and few of them.

    64 x 64 pixels, 16 x 16 x 4 latents, v prediction, half precision on disk; its tokens are single letters.
    """
    import torch
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    from tools.build_shapes.tokenizer import write_clip
    from tools.build_shapes.unet import new_scheduler
    from tools.build_shapes.vae import CONFIG as VAE

    width = 16
    write_clip(folder / "tokenizer", merges=[])
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text = CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=width, projection_dim=width, intermediate_size=2 * width,
            num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        )  # fmt: skip
        unet = UNet2DConditionModel(
            sample_size=16, in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=width, attention_head_dim=2, norm_num_groups=4,
        )  # fmt: skip
        vae = AutoencoderKL(**{**VAE, "block_out_channels": (8, 8, 8), "norm_num_groups": 4})
        encoder = CLIPTextModel(text)
    pipe = StableDiffusionPipeline(
        vae=vae.half(), text_encoder=encoder.half(), tokenizer=tokenizer, unet=unet.half(),
        scheduler=new_scheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.save_pretrained(folder)
    config = folder / "text_encoder" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": "float32"}))
    return folder


@pytest.fixture(scope="session")
def tiny_pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random pipeline folder, shared by all tests: copy it before changing anything in it."""
    return write_tiny_pipeline(tmp_path_factory.mktemp("models") / "tiny-sd")


@pytest.fixture(scope="session")
def tiny_pipeline(tiny_pipeline_folder: Path) -> "UNetPipeline":
    """That folder, loaded in float32; tests share it and leave it as it is."""
    from benchmark.models import load_pipeline

    found = load_pipeline(str(tiny_pipeline_folder), precision="fp32")
    return cast("UNetPipeline", found)


@pytest.fixture(scope="session")
def published_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Tiny folders in the published layout: ``published_folder("sdxl", "v_prediction")``, or a flow family's.

    Tests share them: copy one before changing anything in it.
    """

    @cache
    def folder(family: str, prediction_type: Any = "epsilon") -> Path:
        from tools import random_flow
        from tools.random_folders import TINY_SD15, TINY_SDXL, write_random_folder

        if family in random_flow.FAMILIES:
            place = tmp_path_factory.mktemp("published") / f"tiny-{family}"
            return random_flow.write_random_folder(family, place)
        sizes = {"sd15": TINY_SD15, "sdxl": TINY_SDXL}[family]
        place = tmp_path_factory.mktemp("published") / f"tiny-{family}-{prediction_type}"
        return write_random_folder(place, sizes, prediction_type=prediction_type)

    return folder


@pytest.fixture(scope="session")
def published_pipeline(published_folder: Callable[..., Path]) -> Callable[..., Any]:
    """Those folders, loaded in float32: ``published_pipeline("sdxl")``; tests leave them as they are."""

    @cache
    def pipeline(family: str) -> "Pipeline":
        from benchmark.models import load_pipeline

        return load_pipeline(str(published_folder(family)), precision="fp32")

    return pipeline


@pytest.fixture(scope="session")
def flow_folder(flow_family: str, published_folder: Callable[..., Path]) -> Path:
    """The tiny folder of a flow family."""
    return published_folder(flow_family)


@pytest.fixture(scope="session")
def flow_base(flow_family: str, published_pipeline: Callable[..., Any]) -> "FlowPipeline":
    """That folder, loaded in float32; tests share it and leave it as it is."""
    return cast("FlowPipeline", published_pipeline(flow_family))


def _noise_png(seed: int) -> bytes:
    import numpy as np
    from PIL import Image

    coarse = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(coarse).resize((64, 64)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Pick-a-Pic-style file of sixteen pairs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path_factory.mktemp("pairs") / "pairs.parquet"
    rows = [
        {
            "caption": f"a star {i}",
            "jpg_0": _noise_png(2 * i),
            "jpg_1": _noise_png(2 * i + 1),
            "label_0": 1.0,
            "label_1": 0.0,
        }
        for i in range(16)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def _beside(name: str) -> Any:
    """A module beside this file: tests are no package (a dependency installs one of that name)."""
    spec = importlib.util.spec_from_file_location(f"fbench_{name}", _HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def random_world() -> Any:
    """The functions of random_world.py, which imports much and so is loaded only where it is needed."""
    return _beside("random_world")


@pytest.fixture(scope="session")
def adapter_files() -> Any:
    """Adapter files as trainers write them, and their merge in float64: see adapter_files.py."""
    return _beside("adapter_files")


@pytest.fixture(scope="session")
def bad_files() -> Any:
    """Image files as people really have them: see bad_files.py."""
    return _beside("bad_files")


@pytest.fixture(scope="session")
def hub_stand_in() -> Any:
    """A server that answers as the Hub does: see hub_stand_in.py."""
    return _beside("hub_stand_in")


@pytest.fixture(scope="session")
def command_lines() -> Any:
    """Command lines, read by the real commands: see command_lines.py."""
    return _beside("command_lines")


@pytest.fixture(scope="session")
def whole_files() -> Any:
    """Whole models in one file, written from folders: see whole_files.py."""
    return _beside("whole_files")


@pytest.fixture(scope="session")
def world_folder(
    random_world: Any, tmp_path_factory: pytest.TempPathFactory, tiny_pipeline_folder: Path
) -> Path:
    """A package folder with random weights and style data; tests leave it as it is."""
    return Path(random_world.write_world(tmp_path_factory.mktemp("world"), tiny_pipeline_folder))


@pytest.fixture
def world(world_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package's embedded world replaced by the random one."""
    from benchmark import prompt_sets
    from benchmark.core import resources
    from benchmark.shapes.truth import load_judge

    # The committed sets are registered at the first look-up, from the package that is really there.
    prompt_sets.registry.names()
    monkeypatch.setattr(resources, "_PACKAGE", world_folder)
    load_judge.cache_clear()
    yield world_folder / "shapes" / "weights"
    load_judge.cache_clear()


@pytest.fixture
def make_set(random_world: Any, tmp_path: Path) -> Callable[..., "ImageSet"]:
    """Renders of random prompts as an image set: ``make_set(prompts, k, name, seed)``."""
    return partial(random_world.render_set, tmp_path)

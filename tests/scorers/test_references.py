"""Published feature networks, and what a set may be compared with."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.core.errors import MissingFileError, MissingWeightsError, UnreadableFileError, UserError
from benchmark.core.records import ImageSet, ScoreRow
from benchmark.networks.features import Features
from benchmark.networks.inception import Inception, load_inception
from benchmark.networks.open_clip import square_pixels
from benchmark.scorers import make_scorers
from benchmark.scorers.engine.images import shown
from benchmark.stats.jackknife import prompt_groups

MakeSet = Callable[..., ImageSet]
PUBLISHED = "inception/weights-inception-2015-12-05-6726825d.pth"


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of published weights: a random Inception as the release has it, without counts of steps."""
    file = tmp_path_factory.mktemp("published") / PUBLISHED
    file.parent.mkdir()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = Inception().state_dict()
    torch.save({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}, file)
    return file.parents[1]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of two sizes, one of them in a folder below."""
    rng = np.random.default_rng(0)
    for i in range(8):
        place = tmp_path / "photos" / ("more" if i % 2 else ".") / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 48 if i % 3 else 40, 3), dtype=np.uint8)).save(place)
    return tmp_path / "photos"


def rows(text: str, images: ImageSet, weights: str = "embedded") -> list[ScoreRow]:
    (scorer,) = make_scorers([text], weights)
    _ = scorer.weights_hash
    scorer.load()
    return scorer.score(images)


def test_inception_is_torch_fidelitys_and_reads_its_file_strictly(inception: Path, tmp_path: Path) -> None:
    file = inception / PUBLISHED
    network = load_inception(file, 192)
    x = torch.randint(0, 256, (2, 3, 20, 31), dtype=torch.uint8)
    assert network(x).shape == (2, 192)
    assert network.num_features == 192
    state = torch.load(file, weights_only=True)
    assert torch.equal(network.state_dict()["fc.weight"], state["fc.weight"])
    del state["Mixed_5b.branch1x1.conv.weight"]
    state["extra"] = torch.zeros(1)
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(
        UnreadableFileError, match=r"missing Mixed_5b\.branch1x1\.conv\.weight, unexpected extra"
    ):
        load_inception(tmp_path / "broken.pth")
    with pytest.raises(ValueError, match="64, 192, 768, 2048 features, not 5"):
        load_inception(file, 5)


def test_images_of_several_sizes_have_the_features_of_each_alone(inception: Path) -> None:
    network = Features(inception / PUBLISHED, "cpu", "key", 64)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (h, 24, 3), dtype=np.uint8) for h in (24, 30, 24)]
    together = network.of_images(images)
    for image, row in zip(images, together, strict=True):
        alone = load_inception(inception / PUBLISHED, 64)(torch.from_numpy(image).permute(2, 0, 1)[None])
        np.testing.assert_allclose(row, alone[0].numpy(), rtol=1e-4, atol=1e-5)


def test_published_scorers_name_extractor_reference_and_bias(
    inception: Path, photos: Path, make_set: MakeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FBENCH_WEIGHTS", str(inception))
    images = make_set(prompts=4, k=2)
    (few,) = rows(f"fid(reference={str(photos)!r})", images, "published")
    assert (few.status, few.note) == ("missing", "undefined: n < 5d: 8 images, d = 2048")
    assert few.scorer_version.startswith("2@inception2048_tf299-photos-")
    whole, *left_out = rows(f"kid(reference={str(photos)!r}, features=64)", images, "published")
    assert whole.scorer_version.startswith("1@inception64_tf299-photos-")
    assert (whole.status, len(left_out)) == ("ok", 4)
    (scorer,) = make_scorers([f"fid(reference={str(photos)!r}, features=64)"], "published")
    scorer.load()
    said = scorer.remark(shown(images))  # type: ignore[attr-defined]
    assert said == "biased: 8 images, fewer than 10,000; biased: 8 reference images, fewer than 5 d"


def test_what_is_wrong_with_a_reference_is_one_line(
    inception: Path, world: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FBENCH_WEIGHTS", str(inception))

    def load(text: str, weights: str = "embedded") -> None:
        (scorer,) = make_scorers([text], weights)
        _ = scorer.weights_hash
        scorer.load()

    with pytest.raises(UserError, match=r"none is named.*reference='FOLDER'"):
        load("kid", "published")
    with pytest.raises(MissingFileError, match="reference of scorer fid"):
        load(f"fid(reference={str(tmp_path / 'gone')!r})")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFileError, match="a folder of images"):
        load(f"coverage(reference={str(tmp_path / 'empty')!r})")
    with pytest.raises(UserError, match="only with Inception's weights"):
        load("fid(features=64)")
    with pytest.raises(UnreadableFileError, match="neither features"):
        np.savez(tmp_path / "other.npz", x=np.zeros(3))
        load(f"fid(reference={str(tmp_path / 'other.npz')!r})")
    with pytest.raises(UnreadableFileError, match="not finite"):
        np.savez(tmp_path / "nan.npz", features=np.full((9, 4), np.nan))
        load(f"kid(reference={str(tmp_path / 'nan.npz')!r})")
    with pytest.raises(UserError, match="has 3 features; allowed: 4, as the network"):
        np.savez(tmp_path / "three.npz", features=np.zeros((9, 3)))
        load(f"kid(reference={str(tmp_path / 'three.npz')!r})")
    with pytest.raises(UserError, match="compares image by image"):
        np.savez(tmp_path / "statistics.npz", mu=np.zeros(4), sigma=np.eye(4))
        load(f"recall(reference={str(tmp_path / 'statistics.npz')!r})")
    with pytest.raises(UserError, match="the reference has 5 images"):
        np.savez(tmp_path / "five.npz", features=np.zeros((5, 4)))
        load(f"density(reference={str(tmp_path / 'five.npz')!r})")
    with pytest.raises(MissingWeightsError, match="inception"):
        monkeypatch.setenv("FBENCH_WEIGHTS", str(tmp_path))
        load(f"fid(reference={str(photos)!r})", "published")


@pytest.mark.parametrize("name", ["kid", "fid", "recall", "style_fd"])
def test_weights_can_be_opened_without_a_reference_and_rows_cannot_be_had(
    name: str, inception: Path, make_set: MakeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FBENCH_WEIGHTS", str(inception))
    (scorer,) = make_scorers([f"{name}(features=64)"], "published")
    scorer.load()
    with pytest.raises(UserError, match="none (is|are) named"):
        scorer.score(make_set(prompts=1, k=1))


def test_images_features_and_statistics_of_a_reference_are_one(
    world: Path, make_set: MakeSet, photos: Path, tmp_path: Path
) -> None:
    images = make_set(prompts=12, k=2)
    network = Features(world / "shapes-features", "cpu", "key")
    files = sorted(photos.rglob("*.png"))
    features = network.of_images([np.asarray(Image.open(file)) for file in files])
    np.savez(tmp_path / "features.npz", features=features)
    np.savez(tmp_path / "mu.npz", mu=features.mean(0), sigma=np.cov(features, rowvar=False), n=len(features))
    found = {}
    for place in (photos, tmp_path / "features.npz", tmp_path / "mu.npz"):
        for name in ("fid", "kid", "coverage"):
            if name == "fid" or place.stem != "mu":
                found[name, place.stem] = rows(f"{name}(reference={str(place)!r})", images)
    values = {key: [row.value for row in numbers] for key, numbers in found.items()}
    assert values["fid", "photos"] == pytest.approx(values["fid", "features"], rel=1e-6)
    assert values["fid", "mu"] == pytest.approx(values["fid", "features"], rel=1e-4)
    assert values["kid", "photos"] == pytest.approx(values["kid", "features"], rel=1e-6)
    assert values["coverage", "photos"] == values["coverage", "features"]
    assert found["fid", "mu"][0].note == "biased: 8 reference images, fewer than 5 d"


@pytest.mark.parametrize("name", ["fid", "kid", "cmmd", "precision", "recall", "density", "coverage"])
def test_a_jackknife_row_is_what_the_rest_of_the_set_has(name: str, world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=12, k=2)
    whole, *left_out = rows(name, images)
    group = prompt_groups([p.id for p in images.prompt_set])[3]
    kept = tuple(p for p in images.prompt_set if p.id not in group)
    rest = replace(
        images,
        id="rest",
        prompt_set=replace(images.prompt_set, prompts=kept),
        records=tuple(r for r in images if r.prompt_id not in group),
    )
    alone = rows(name, rest)[0]
    assert left_out[3].value == pytest.approx(alone.value, rel=1e-9, abs=1e-9)
    assert whole.value is not None


def test_too_few_images_have_no_number(world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=1, k=1)
    notes = {name: rows(name, images)[0].note for name in ("fid", "kid", "cmmd", "recall")}
    assert notes == {
        "fid": "undefined: n < 5d: 1 image, d = 4",
        "kid": "undefined: fewer than two images",
        "cmmd": "undefined: fewer than two images",
        "recall": "undefined: fewer than 6 images: there is no 5th neighbour",
    }


def test_families_stand_for_their_members(world: Path) -> None:
    made = make_scorers(["prdc", "style(references='embedded')", "clip"], "embedded")
    assert [scorer.name for scorer in made] == [
        "precision", "recall", "density", "coverage", "style_fd", "style_cosine", "clip",
    ]  # fmt: skip


def test_cmmd_crops_before_it_resizes() -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    assert (square_pixels(wide, 32) == 1).all()
    tall = np.random.default_rng(0).integers(0, 256, (33, 20, 3), dtype=np.uint8)
    centred = Image.fromarray(tall).crop((0, 6, 20, 26)).resize((32, 32), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(np.asarray(centred).copy()).permute(2, 0, 1) / 255
    assert torch.allclose(square_pixels(tall, 32), expected)

"""Each scorer against the library it stands on, called by hand."""

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance
from transformers import CLIPModel

from benchmark.core.records import ImageSet
from benchmark.networks import blip, features, folders, perceptual
from benchmark.networks import open_clip as towers
from benchmark.networks.open_clip import clip_pixels, hps_pixels
from benchmark.networks.pixels import CLIP_MEAN, CLIP_STD, normalise
from benchmark.scorers import make_scorers
from benchmark.scorers.engine.references import renders
from benchmark.scorers.engine.styles import style_images, style_places
from benchmark.shapes.renderer import render, to_uint8
from benchmark.shapes.scenes import Wanted, sample_scenes
from benchmark.shapes.vocabulary import STYLES
from benchmark.stats.jackknife import prompt_groups

MakeSet = Callable[..., ImageSet]


def values(text: str, images: ImageSet) -> list[float]:
    (scorer,) = make_scorers([text], "embedded")
    scorer.load()
    rows = scorer.score(images)
    assert all(row.value is not None for row in rows), [row.note for row in rows if row.note]
    return [float(row.value or 0.0) for row in rows]


def pixels(images: ImageSet) -> torch.Tensor:
    """(n, 3, 64, 64) in [0, 1]."""
    stacked = np.stack([images.open(record) for record in images])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255


def texts(images: ImageSet) -> list[str]:
    return [images.prompt(record).text for record in images]


@pytest.mark.parametrize("name", ["clip", "hps"])
def test_clip_and_hps_are_open_clips_cosine(name: str, world: Path, make_set: MakeSet) -> None:
    images = make_set()
    model = open_clip.create_model(f"local-dir:{world / f'shapes-{name}'}").eval()
    tokenizer = open_clip.SimpleTokenizer(
        bpe_path=str(world / "shapes-sd/tokenizer/bpe.txt.gz"), context_length=32
    )
    with torch.no_grad():
        one = model.encode_image(normalise(pixels(images)), normalize=True)
        other = model.encode_text(tokenizer(texts(images)), normalize=True)
    expected = 100 * (one * other).sum(1)
    assert values(name, images) == pytest.approx(expected.tolist(), abs=1e-3)


def test_clip_reads_a_file_of_published_layout(world: Path, make_set: MakeSet, tmp_path: Path) -> None:
    config = json.loads((world / "shapes-clip" / towers.CONFIG).read_text())["model_cfg"]
    # The published vocabulary, so that the published tokenizer fits.
    config["text_cfg"] |= {"vocab_size": 49408, "context_length": 77}
    (tmp_path / "tiny-published.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny-published.json")
    torch.manual_seed(0)
    state = open_clip.create_model("tiny-published").state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "weights.pt")
    found = values(f"clip(weights={str(tmp_path / 'weights.pt')!r}, model='tiny-published')", make_set())
    assert len(set(found)) == len(found)


def test_pickscore_is_clip_models_logit(world: Path, make_set: MakeSet) -> None:
    from benchmark.networks.hf_clip import load_tokenizer

    images = make_set()
    model = CLIPModel.from_pretrained(world / "shapes-pickscore").eval()
    tokens = load_tokenizer(world / "shapes-sd" / "tokenizer")(
        texts(images), padding=True, truncation=True, max_length=32, return_tensors="pt"
    )
    with torch.no_grad():
        logits = model(pixel_values=normalise(pixels(images)), **tokens).logits_per_image
    assert values("pickscore", images) == pytest.approx(logits.diag().tolist(), abs=1e-3)


def test_imagereward_is_the_scaled_head(world: Path, make_set: MakeSet) -> None:
    images = make_set()
    network = blip.load_reward_net(world / "shapes-imagereward")
    tokenizer = blip.load_reward_tokenizer(world / "shapes-imagereward" / "tokenizer")
    with torch.no_grad():
        seen = network.vision(normalise(pixels(images))).last_hidden_state
        tokens = tokenizer(
            texts(images), padding="max_length", truncation=True, max_length=35, return_tensors="pt"
        )
        read = network.text(
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, encoder_hidden_states=seen,
            is_decoder=False,
        ).last_hidden_state[:, 0]  # fmt: skip
        reward = torch.nn.Sequential(*network.head)(read).flatten()
    assert values("imagereward", images) == pytest.approx(((reward - 0.5) / 2.0).tolist(), abs=1e-4)


def test_lpips_is_the_packages_mean_over_pairs(world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=2, k=3)
    network = perceptual.load_perceptual(world / "shapes-perceptual")
    shown = pixels(images).unflatten(0, (2, 3)) * 2 - 1
    with torch.no_grad():
        expected = [
            float(
                torch.stack(
                    [network(row[i][None], row[j][None]) for i, j in combinations(range(3), 2)]
                ).mean()
            )
            for row in shown
        ]
    assert values("lpips", images) == pytest.approx(expected, rel=1e-4)


def test_fid_is_torchmetrics_on_the_network_with_its_jackknife(world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=15, k=2)
    network = features.load_features(world / "shapes-features")
    reference = torch.from_numpy(np.stack(renders())).permute(0, 3, 1, 2).float() / 255

    def distance(rows: torch.Tensor) -> float:
        metric = FrechetInceptionDistance(feature=network, normalize=True)
        with torch.no_grad():
            metric.update(reference, real=True)
            metric.update(rows, real=False)
        return float(metric.compute())

    whole, *left_out = values("fid", images)
    shown = pixels(images)
    groups = prompt_groups([p.id for p in images.prompt_set])
    assert len(left_out) == len(groups) == 15
    kept = torch.tensor([record.prompt_id not in groups[4] for record in images])
    assert whole == pytest.approx(distance(shown), rel=1e-4)
    assert left_out[4] == pytest.approx(distance(shown[kept]), rel=1e-4)


def test_kid_is_torchmetrics_on_the_network(world: Path, make_set: MakeSet) -> None:
    """With one subset of all images nothing is left to chance, in torchmetrics' object as well."""
    images, others = make_set(prompts=10, k=2), make_set(prompts=10, k=2, name="real", seed=1)
    network = features.load_features(world / "shapes-features")
    metric = KernelInceptionDistance(feature=network, subsets=1, subset_size=20, normalize=True)
    with torch.no_grad():
        metric.update(pixels(others), real=True)
        metric.update(pixels(images), real=False)
    mean, _ = metric.compute()
    whole, *_ = values(f"kid(reference={str(others.records[0].path.parent)!r})", images)
    assert abs(whole) > 1e-4
    assert whole == pytest.approx(float(mean), rel=1e-3, abs=1e-6)


def test_frechet_distances_want_five_images_a_dimension(world: Path, make_set: MakeSet) -> None:
    (fid,) = make_scorers(["fid"], "embedded")
    fid.load()
    (row,) = fid.score(make_set(prompts=9, k=2))
    assert (row.status, row.note) == ("missing", "undefined: n < 5d: 18 images, d = 4")


def test_style_data_gives_the_preferred_images(world: Path) -> None:
    asked = Wanted.anything(16)
    asked.style[:8], asked.style[8:] = list(STYLES).index("sketch"), list(STYLES).index("flat")
    drawn = to_uint8(render(sample_scenes(asked, torch.Generator().manual_seed(len("sketch"))))).numpy()
    # Preferred is the sketch, in the left column of one row and in the right one of the next.
    place = style_places("style_fd", "", embedded=True)["sketch"]
    assert np.array_equal(np.stack(list(style_images(place))), drawn[:8])


def test_style_cosine_is_to_the_references_mean_direction(world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=14)
    model = towers.load_open_clip(world / "shapes-clip")
    styled = [r for r in images if images.prompt(r).style in ("van_gogh", "sketch", "winter")]
    found = values("style_cosine", images)
    assert len(found) == len(styled) > 0
    record, style = styled[0], images.prompt(styled[0]).style

    def embed(shown: list[np.ndarray]) -> torch.Tensor:
        x = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).float() / 255
        out: torch.Tensor = model.encode_image(normalise(x), normalize=True)
        return out

    place = style_places("style_cosine", "", embedded=True)[str(style)]
    centre = torch.nn.functional.normalize(embed(list(style_images(place))).mean(0), dim=0)
    assert found[0] == pytest.approx(float(embed([images.open(record)])[0] @ centre), abs=1e-5)


def test_style_fd_compares_with_the_styles_asked_for(world: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=40, k=2)
    styled = {p.id for p in images.prompt_set if p.style in ("van_gogh", "sketch", "winter")}
    assert len(styled) * 2 >= 20
    whole, *left_out = values("style_fd", images)
    assert whole > 0
    assert len(left_out) == min(20, len(styled))


def test_a_score_does_not_depend_on_the_neighbours(world: Path, make_set: MakeSet) -> None:
    from dataclasses import replace

    images = make_set(prompts=6)
    part = replace(images, records=images.records[3:5])
    for name in ("clip", "pickscore", "imagereward", "true_reward"):
        assert values(name, images)[3:5] == pytest.approx(values(name, part), abs=1e-4), name


def test_official_preprocessing_of_other_sizes() -> None:
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

    wide = np.random.default_rng(0).integers(0, 256, (48, 96, 3), dtype=np.uint8)
    from PIL import Image

    bicubic = InterpolationMode.BICUBIC
    official = Compose([Resize(32, bicubic), CenterCrop(32), ToTensor(), Normalize(CLIP_MEAN, CLIP_STD)])
    assert torch.allclose(
        normalise(clip_pixels(wide, 32)[None])[0], official(Image.fromarray(wide)), atol=1e-6
    )
    square = hps_pixels(wide, 32)
    assert square.shape == (3, 32, 32)
    assert (square[:, :8] == 0).all()
    assert (square[:, 24:] == 0).all()
    assert (square[:, 8:24] > 0).any()
    exact = np.full((64, 64, 3), 7, np.uint8)
    assert torch.equal(hps_pixels(exact, 64), clip_pixels(exact, 64))


def test_weights_on_disk_are_half_and_in_use_float32(world: Path) -> None:
    state = folders.read_weights(world / "shapes-features" / "model.safetensors")
    assert {v.dtype for v in state.values()} == {torch.float32}

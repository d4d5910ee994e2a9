"""The aesthetic predictor: the published layout, strictly, and its official way from pixels to numbers."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from torch import nn

from benchmark.core.errors import MissingWeightsError, UnreadableFileError
from benchmark.core.records import ImageSet
from benchmark.networks.aesthetic import WIDTHS, AestheticHead, load_aesthetic_head
from benchmark.networks.pixels import normalise
from benchmark.scorers import make_scorers
from benchmark.scorers.engine.images import forget

MakeSet = Callable[..., ImageSet]
HEAD = "sac+logos+ava1-l14-linearMSE.pth"


def published_head(width: int) -> nn.Sequential:
    """As its authors define it: linear layers with dropout between some, and nothing else."""
    return nn.Sequential(
        nn.Linear(width, 1024), nn.Dropout(0.2), nn.Linear(1024, 128), nn.Dropout(0.2), nn.Linear(128, 64),
        nn.Dropout(0.1), nn.Linear(64, 16), nn.Linear(16, 1),
    ).eval()  # fmt: skip


def save(head: nn.Sequential, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({f"layers.{key}": value for key, value in head.state_dict().items()}, path)
    return path


@pytest.fixture
def published(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of published layout with a tiny random CLIP, whose architecture open_clip knows."""
    config = json.loads((world / "shapes-clip" / "open_clip_config.json").read_text())["model_cfg"]
    config["text_cfg"] |= {"vocab_size": 49408, "context_length": 77}
    (tmp_path / "tiny-quickgelu.json").write_text(json.dumps(config | {"quick_gelu": True}))
    open_clip.add_model_config(tmp_path / "tiny-quickgelu.json")
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-quickgelu")
    from safetensors.torch import save_file

    (tmp_path / "clip-vit-l-14").mkdir()
    save_file(model.state_dict(), tmp_path / "clip-vit-l-14" / "open_clip_model.safetensors")
    save(published_head(config["embed_dim"]), tmp_path / "aesthetic" / HEAD)
    monkeypatch.setenv("FBENCH_WEIGHTS", str(tmp_path))
    return tmp_path


def test_the_published_sizes_are_read_from_the_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = published_head(768)
    ours = load_aesthetic_head(save(theirs, tmp_path / HEAD))
    assert ours.state_dict().keys() == AestheticHead(WIDTHS).state_dict().keys()
    x = torch.randn(4, 768)
    with torch.no_grad():
        assert torch.equal(ours.layers(x), theirs(x))


def test_a_file_with_other_keys_is_refused_and_names_them(tmp_path: Path) -> None:
    torch.save({"layers.0.weight": torch.zeros(2, 2), "head.bias": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(UnreadableFileError, match=r"missing layers\.0\.bias.*"):
        load_aesthetic_head(tmp_path / "x.pth")
    torch.save({"other": torch.zeros(1)}, tmp_path / "y.pth")
    with pytest.raises(UnreadableFileError, match=r"missing layers\.0\.weight"):
        load_aesthetic_head(tmp_path / "y.pth")
    state = {**AestheticHead((3, 2, 2, 2, 2, 1)).state_dict(), "other": torch.zeros(1)}
    torch.save(state, tmp_path / "z.pth")
    with pytest.raises(UnreadableFileError, match="unexpected other"):
        load_aesthetic_head(tmp_path / "z.pth")


def test_it_is_the_official_recipe(published: Path, make_set: MakeSet) -> None:
    images = make_set(prompts=4, k=2)
    (scorer,) = make_scorers(["aesthetic(model='tiny-quickgelu')"], "published")
    scorer.load()
    found = [row.value for row in scorer.score(images)]
    model = open_clip.create_model(
        "tiny-quickgelu", pretrained=str(published / "clip-vit-l-14/open_clip_model.safetensors")
    ).eval()
    head = published_head(16)
    state = torch.load(published / "aesthetic" / HEAD, weights_only=True)
    head.load_state_dict({key.removeprefix("layers."): value for key, value in state.items()})
    pixels = np.stack([images.open(record) for record in images])
    with torch.no_grad():
        seen = model.encode_image(normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255))
        # Their `normalized` divides by the length in numpy.
        expected = head(seen / seen.norm(dim=-1, keepdim=True)).flatten().tolist()
    assert found == pytest.approx(expected, abs=1e-5)


def test_half_precision_of_the_clip_model_is_within_what_is_stated(
    published: Path, make_set: MakeSet
) -> None:
    images = make_set(prompts=10, k=1)
    found = []
    for precision in ("fp32", "bf16"):
        (scorer,) = make_scorers(["aesthetic(model='tiny-quickgelu')"], "published", precision)
        scorer.load()
        forget(images)
        found.append(np.array([row.value for row in scorer.score(images)], dtype=float))
    assert 0 < abs(found[0] - found[1]).max() <= scorer.bf16_tolerance


def test_the_embedded_world_has_none_and_says_so() -> None:
    (scorer,) = make_scorers(["aesthetic"], "embedded")
    with pytest.raises(MissingWeightsError, match="the embedded world has no such weights.*leave it out"):
        _ = scorer.weights_hash


def test_openais_architecture_is_the_one_with_quick_gelu() -> None:
    (scorer,) = make_scorers(["aesthetic"], "published")
    model = open_clip.get_model_config(scorer.model)  # type: ignore[attr-defined]
    assert model["quick_gelu"] is True
    assert model["embed_dim"] == WIDTHS[0]
    assert open_clip.get_pretrained_cfg("ViT-L-14", "openai")["quick_gelu"] is True

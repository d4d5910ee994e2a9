"""Towers: what is saved is what is loaded, half precision apart, and nothing wrong is loaded in silence."""

from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPModel

from benchmark.core import resources
from benchmark.core.errors import MissingWeightsError, UnreadableFileError
from benchmark.networks import blip, features, folders, hf_clip, perceptual, pixels
from benchmark.networks import open_clip as towers
from tools.build_shapes import small_networks

TOKENS = resources.shapes_weights("shapes-sd") / "tokenizer"
CAPTIONS = ["a tiny crimson star over something round", "two hearts, winter"]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def images(n: int = 2) -> torch.Tensor:
    return pixels.normalise(torch.rand(n, 3, 64, 64))


def test_open_clip_round_trip_and_open_clip_itself_opens_it(tmp_path: Path) -> None:
    tokenizer = towers.open_clip_tokenizer(TOKENS / "bpe.txt.gz", 32)
    config = small_networks.small_config(tokenizer.vocab_size)
    model = towers.new_open_clip(config).eval()
    small_networks.save_open_clip(model, config, tmp_path)
    mine, theirs = (
        towers.load_open_clip(tmp_path),
        open_clip.create_model(f"local-dir:{tmp_path}").eval(),
    )
    x, ids = images(), tokenizer(CAPTIONS)
    assert ids.shape == (2, 32)
    for name in ("encode_image", "encode_text"):
        given = x if name == "encode_image" else ids
        one, other = getattr(mine, name)(given), getattr(theirs, name)(given)
        assert torch.allclose(one, other, atol=1e-5)
        assert torch.allclose(one, getattr(model, name)(given), atol=2e-2)
    assert next(mine.parameters()).dtype == torch.float32
    assert load_file(tmp_path / towers.WEIGHTS)["logit_scale"].dtype == torch.float16


def test_both_clip_tokenizers_give_the_same_ids() -> None:
    hf = hf_clip.load_tokenizer(TOKENS)
    other = towers.open_clip_tokenizer(TOKENS / "bpe.txt.gz", 32)
    for caption in CAPTIONS:
        ids = hf(caption).input_ids
        assert other([caption])[0, : len(ids)].tolist() == ids


def test_clip_model_round_trip_opens_plainly_in_float32(tmp_path: Path) -> None:
    tokenizer = hf_clip.load_tokenizer(TOKENS)
    model = small_networks.new_clip_model(tokenizer).eval()
    small_networks.save_clip_model(model, tmp_path)
    plain = CLIPModel.from_pretrained(tmp_path).eval()
    loaded = hf_clip.load_clip_model(tmp_path)
    assert plain.dtype == loaded.dtype == torch.float32
    x = images()
    assert torch.equal(
        plain.get_image_features(pixel_values=x).pooler_output,
        loaded.get_image_features(pixel_values=x).pooler_output,
    )
    state = load_file(tmp_path / "model.safetensors")
    save_file(
        {k: v for k, v in state.items() if k != "visual_projection.weight"}, tmp_path / "model.safetensors"
    )
    with pytest.raises(UnreadableFileError, match=r"missing visual_projection\.weight"):
        hf_clip.load_clip_model(tmp_path)


def test_reward_net_round_trip_and_reads_both_image_and_text(tmp_path: Path) -> None:
    tokenizer = blip.load_reward_tokenizer(resources.shapes_weights("shapes-imagereward") / "tokenizer")
    network = blip.RewardNet(small_networks.small_reward_config(len(tokenizer))).eval()
    small_networks.save_reward_net(network, tmp_path)
    loaded = blip.load_reward_net(tmp_path)
    ids, mask = blip.reward_tokens(tokenizer, CAPTIONS, 35)
    assert ids.shape == (2, 35)
    x = images()
    rewards = loaded(x, ids, mask)
    assert rewards.shape == (2,)
    assert torch.allclose(rewards, network(x, ids, mask), atol=2e-2)
    assert not torch.equal(rewards, loaded(x.flip(0), ids, mask))
    assert not torch.equal(rewards, loaded(x, ids.flip(0), mask.flip(0)))


def test_reward_net_takes_published_names(tmp_path: Path) -> None:
    network = blip.RewardNet(small_networks.small_reward_config(64))
    published = as_published(network.state_dict())
    torch.save(published, tmp_path / "ImageReward.pt")
    loaded = blip.load_published_reward_net(tmp_path / "ImageReward.pt", network.config)
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in loaded.state_dict().items())
    torch.save({**published, "blip.visual_encoder.extra": torch.zeros(1)}, tmp_path / "ImageReward.pt")
    with pytest.raises(UnreadableFileError, match="unexpected vision.extra"):
        blip.load_published_reward_net(tmp_path / "ImageReward.pt", network.config)


def as_published(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our names as ImageReward.pt has them, written down independently of the loader."""
    head = dict(zip("01234", ("0", "2", "4", "6", "7"), strict=True))
    renamed = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        if part == "head":
            number, _, tail = rest.partition(".")
            renamed[f"mlp.layers.{head[number]}.{tail}"] = value
        elif part == "text":
            renamed[f"blip.text_encoder.{rest}"] = value
        else:
            for ours, theirs in (
                ("embeddings.class_embedding", "cls_token"),
                ("embeddings.position_embedding", "pos_embed"),
                ("embeddings.patch_embedding", "patch_embed.proj"),
                ("encoder.layers", "blocks"),
                ("post_layernorm", "norm"),
                ("layer_norm", "norm"),
                ("self_attn.qkv", "attn.qkv"),
                ("self_attn.projection", "attn.proj"),
            ):
                rest = rest.replace(ours, theirs)
            renamed[f"blip.visual_encoder.{rest}"] = value
    return renamed


def test_perceptual_round_trip_is_zero_on_itself(tmp_path: Path) -> None:
    network = perceptual.new_perceptual().eval()
    small_networks.save_perceptual(network, tmp_path)
    loaded = perceptual.load_perceptual(tmp_path)
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    assert loaded(x, x).abs().max() == 0
    assert torch.allclose(loaded(x, x.flip(0)), network(x, x.flip(0)), rtol=0.05, atol=1e-3)


def test_features_round_trip(tmp_path: Path) -> None:
    network = features.FeatureNet(16).eval()
    small_networks.save_features(network, tmp_path)
    loaded = features.load_features(tmp_path)
    assert loaded(torch.rand(3, 3, 64, 64)).shape == (3, 16)
    assert loaded.num_features == 16


def test_missing_and_wrong_weights_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="fbench doctor"):
        towers.load_open_clip(tmp_path / "nothing")
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(UnreadableFileError):
        folders.read_weights(tmp_path / "model.safetensors")

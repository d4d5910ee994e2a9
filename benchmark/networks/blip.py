"""BLIP, from transformers' own classes: with an MLP head on top, as ImageReward, and as it answers questions.

Source: Xu et al., ImageReward, NeurIPS 2023.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import BertTokenizer, BlipForQuestionAnswering
from transformers.models.blip.configuration_blip import BlipTextConfig, BlipVisionConfig
from transformers.models.blip.modeling_blip import BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextModel

from benchmark.core.errors import MissingWeightsError, UnreadableFileError
from benchmark.networks.folders import load_strictly, read_config, read_weights, without_weights
from benchmark.networks.inference import batch_size, pairs_in_batches, place, running
from benchmark.networks.pixels import RGB, centre_crop, normalise, stretched
from benchmark.networks.pretrained import load_pretrained

WEIGHTS: Final = "model.safetensors"
MED_CONFIG: Final = "med_config.json"

MAX_TOKENS: Final = 128
"""Of a question."""
YES: Final = "yes"


@dataclass(frozen=True)
class RewardConfig:
    """Sizes and scale of a reward network; the defaults are the published ones.

    Attributes:
        vision: Arguments of BlipVisionConfig.
        text: Arguments of BlipTextConfig.
        head: Widths of the layers behind the text's first token; the last one is 1.
        max_tokens: Texts are padded and cut to that.
        mean: Subtracted from the head's output.
        std: What the rest is divided by.
    """

    vision: Mapping[str, Any]
    text: Mapping[str, Any]
    head: Sequence[int] = (1024, 128, 64, 16, 1)
    max_tokens: int = 35
    mean: float = 0.0
    std: float = 1.0


PUBLISHED: Final = RewardConfig(
    vision={
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
        "image_size": 224, "patch_size": 16, "layer_norm_eps": 1e-6,
    },
    text={
        "vocab_size": 30524, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "encoder_hidden_size": 1024, "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
    },
    mean=0.16717362830052426,
    std=1.0333394966054072,
)  # fmt: skip
"""ImageReward-v1.0."""


class RewardNet(nn.Module):
    r"""$r = (\mathrm{MLP}(\mathrm{BLIP}(\text{image}, \text{text})_0) - \mu) / \sigma$.

    The head has no activations between its layers, as published; dropout only in training.
    """

    def __init__(self, config: RewardConfig) -> None:
        super().__init__()
        self.config = config
        # A decoder's configuration, so that cross-attention is built; it is called as an encoder.
        text = BlipTextConfig(**config.text, is_decoder=True)
        self.vision = BlipVisionModel(BlipVisionConfig(**config.vision))
        self.text = BlipTextModel(text, add_pooling_layer=False)
        widths = [int(config.text["hidden_size"]), *config.head]
        layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
        self.head = nn.ModuleList(layers)

    def forward(
        self,
        images: Float[Tensor, "n 3 h w"],
        ids: Int[Tensor, "n t"],
        mask: Int[Tensor, "n t"],
    ) -> Float[Tensor, " n"]:
        """Rewards of images, normalised with CLIP's mean and deviation, for their texts.

        Args:
            images: See :func:`benchmark.networks.pixels.normalise`.
            ids: Token ids of :func:`reward_tokens`.
            mask: 1 where a token is, 0 where padding is.
        """
        seen = self.vision(images).last_hidden_state
        everything = seen.new_ones(seen.shape[:2], dtype=ids.dtype)
        read = self.text(
            input_ids=ids,
            attention_mask=mask,
            encoder_hidden_states=seen,
            encoder_attention_mask=everything,
            is_decoder=False,
        ).last_hidden_state[:, 0]
        with torch.autocast(read.device.type, enabled=False):
            # The head's small differences are the score: float32, whatever the towers run in.
            read = read.float()
            for layer in self.head:
                read = layer(read)
        reward: Tensor = (read.squeeze(-1) - self.config.mean) / self.config.std
        return reward


def reward_tokens(tokenizer: BertTokenizer, texts: Sequence[str], max_tokens: int) -> tuple[Tensor, Tensor]:
    """Token ids and mask, both (n, max_tokens)."""
    out = tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=max_tokens, return_tensors="pt"
    )
    return out.input_ids, out.attention_mask


def load_reward_tokenizer(folder: Path) -> BertTokenizer:
    """The WordPiece tokenizer of a folder with a ``vocab.txt``.

    [DEC] and [ENC] are added where the vocabulary lacks them, as ImageReward does with bert-base-uncased's.

    Raises:
        MissingWeightsError: if there is no vocabulary.
    """
    if not (folder / "vocab.txt").is_file():
        raise MissingWeightsError(
            f"no BERT vocabulary at {folder / 'vocab.txt'}", do="`fbench doctor` says more"
        )
    tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
    words = tokenizer.get_vocab()
    tokenizer.add_tokens([word for word in ("[DEC]", "[ENC]") if word not in words], special_tokens=True)
    return tokenizer


def load_reward_net(folder: Path) -> RewardNet:
    """The network of a folder with config.json and model.safetensors, strictly, for inference.

    Raises:
        MissingWeightsError: if the folder lacks one of its files.
        UnreadableFileError: if they are not what they should be.
    """
    with without_weights():
        network = RewardNet(RewardConfig(**read_config(folder)))
    load_strictly(network, read_weights(folder / WEIGHTS), folder / WEIGHTS)
    return network.eval().requires_grad_(False)


def load_published_reward_net(weights: Path, config: RewardConfig = PUBLISHED) -> RewardNet:
    """The network with weights under their published names, strictly.

    Args:
        weights: ``ImageReward.pt``. Where ``med_config.json`` lies beside it, as published, it must
            describe the same text network.
        config: Sizes and scale.

    Raises:
        MissingWeightsError: if there is no such file.
        UnreadableFileError: if a key is missing or unexpected, or the sizes are others.
    """
    if (weights.parent / MED_CONFIG).is_file():
        stated = read_config(weights.parent, MED_CONFIG)
        # Its encoder_width is not used: the width of the vision network takes its place.
        for key in sorted(stated.keys() & set(config.text)):
            if stated[key] != config.text[key]:
                why = f"{key} is {stated[key]} and should be {config.text[key]}"
                raise UnreadableFileError(weights.parent / MED_CONFIG, "ImageReward's text network", why)
    with without_weights():
        network = RewardNet(config)
    load_strictly(network, published_to_ours(read_weights(weights)), weights)
    return network.eval().requires_grad_(False)


_PROJECTIONS: Final = ("blip.vision_proj.", "blip.text_proj.")
"""The package's class carries BLIP's contrastive projections, and its reward does not use them."""

_VISION: Final = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj": "embeddings.patch_embedding",
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.qkv": "self_attn.qkv",
    "attn.proj": "self_attn.projection",
}


def published_to_ours(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published key names to ours, one to one; a name of no kind we know is kept, and then refused."""
    heads = {key: found for key in state if (found := re.fullmatch(r"mlp\.layers\.(\d+)\.(.+)", key))}
    linear = {old: new for new, old in enumerate(sorted({int(found[1]) for found in heads.values()}))}
    out = {}
    for key, value in state.items():
        name = key
        if key.startswith(_PROJECTIONS):
            continue
        if key.startswith("blip.visual_encoder."):
            name = "vision." + _vision_name(key.removeprefix("blip.visual_encoder."))
        elif key.startswith("blip.text_encoder."):
            if key.endswith("position_ids"):
                continue  # a buffer of older transformers, computed today
            name = "text." + key.removeprefix("blip.text_encoder.")
        elif found := heads.get(key):
            name = f"head.{linear[int(found[1])]}.{found[2]}"
        out[name] = value
    return out


def _vision_name(key: str) -> str:
    if key.startswith("blocks."):
        _, number, rest = key.split(".", 2)
        return f"encoder.layers.{number}.{_replace(rest)}"
    return key.replace("norm.", "post_layernorm.", 1) if key.startswith("norm.") else _replace(key)


def _replace(key: str) -> str:
    for old, new in _VISION.items():
        if key == old or key.startswith(f"{old}."):
            return new + key.removeprefix(old)
    return key


class ImageReward:
    """ImageReward's network with its preprocessing: rewards of images for their prompts.

    Args:
        folder: With ``ImageReward.pt`` or our config.json and model.safetensors.
        tokenizer: With ``vocab.txt``.
        device: Where to compute.
        precision: ``fp32`` or ``bf16``; the head is always in float32.
    """

    def __init__(self, folder: Path, tokenizer: Path, device: str, precision: str = "fp32") -> None:
        published = folder / "ImageReward.pt"
        network = load_published_reward_net(published) if published.is_file() else load_reward_net(folder)
        place(network.vision, device, precision)
        place(network.text, device, precision)
        self._network = network.to(device)
        self._tokenizer = load_reward_tokenizer(tokenizer)
        self._device, self._precision = device, precision
        self._side = int(network.config.vision["image_size"])

    def __call__(self, images: Sequence[RGB], texts: Sequence[str]) -> list[float]:
        """One number for each image and its text."""
        size = batch_size(self._device, self._side)
        return pairs_in_batches(images, texts, self._preprocess, self._compute, size)

    def _preprocess(self, image: RGB) -> Tensor:
        """As CLIP: by torchvision in ImageReward's own code, which rounds half a pixel to the even side."""
        return normalise(centre_crop(image, self._side, round)[None])[0]

    def _compute(self, pixels: Tensor, texts: list[str]) -> Tensor:
        ids, mask = reward_tokens(self._tokenizer, texts, self._network.config.max_tokens)
        with running(self._device, self._precision):
            out: Tensor = self._network(*(t.to(self._device) for t in (pixels, ids, mask)))
        return out


class YesNo:
    """A BLIP that answers questions about images: the probability that it says yes.

    Args:
        folder: With the model and its ``vocab.txt``.
        question: With ``{text}`` where a prompt stands.
        device: Where to compute.
        precision: ``fp32`` or ``bf16``.

    Raises:
        UserError: if the folder is not what it should be, or its vocabulary has no yes.
    """

    def __init__(self, folder: Path, question: str, device: str, precision: str = "fp32") -> None:
        self._model = place(load_pretrained(BlipForQuestionAnswering, folder), device, precision)
        self._tokenizer = load_reward_tokenizer(folder)
        self._yes = self._tokenizer.convert_tokens_to_ids(YES)
        if self._yes == self._tokenizer.unk_token_id:
            raise UnreadableFileError(folder / "vocab.txt", "a vocabulary of answers", f"it has no {YES!r}")
        self._question, self._device, self._precision = question, device, precision
        self._side = int(self._model.config.vision_config.image_size)
        self._length = min(MAX_TOKENS, int(self._model.config.text_config.max_position_embeddings))

    def __call__(self, images: Sequence[RGB], texts: Sequence[str]) -> list[float]:
        """One number for each image and its text."""
        questions = [self._question.replace("{text}", text) for text in texts]
        size = batch_size(self._device, self._side)
        return pairs_in_batches(images, questions, self._preprocess, self._compute, size)

    def _preprocess(self, image: RGB) -> Tensor:
        """Stretched to a square, as transformers' `BlipImageProcessor`."""
        return normalise(stretched(image, self._side)[None])[0]

    def _compute(self, pixels: Tensor, questions: list[str]) -> Tensor:
        pixels = pixels.to(self._device)
        ids, mask = (t.to(self._device) for t in reward_tokens(self._tokenizer, questions, self._length))
        with running(self._device, self._precision):
            seen = self._model.vision_model(pixel_values=pixels).last_hidden_state
            read = self._model.text_encoder(
                input_ids=ids,
                attention_mask=mask,
                encoder_hidden_states=seen,
                encoder_attention_mask=mask.new_ones(seen.shape[:2]),
            ).last_hidden_state
            # One by one: transformers 5.23's decoder looks at padding whatever its mask says.
            lengths = mask.sum(1).tolist()
            logits = torch.cat([self._answer(read[i : i + 1, :n]) for i, n in enumerate(lengths)])
        chance: Tensor = logits.float().softmax(-1)[:, self._yes]
        return chance

    def _answer(self, read: Tensor) -> Tensor:
        """Logits of an answer's first token, (1, vocabulary)."""
        start = torch.full((1, 1), self._model.decoder_start_token_id, device=self._device)
        logits: Tensor = self._model.text_decoder(input_ids=start, encoder_hidden_states=read).logits
        return logits[:, 0]

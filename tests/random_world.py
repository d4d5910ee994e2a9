"""An embedded world with random weights of the real classes, and small image sets of it.

For the fixtures ``world`` and ``make_set`` of conftest.py, which loads this file where a test asks for them.
"""

import json
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from transformers import BlipConfig, BlipForQuestionAnswering, Dinov2Config, Dinov2Model

from benchmark.core import resources
from benchmark.core.hashing import sha256_file
from benchmark.core.records import Checkpoint, ImageRecord, ImageSet, Prompt, PromptSet, Sampler
from benchmark.networks import aesthetic, blip, features, hf_clip, open_clip, perceptual
from benchmark.shapes.facts import draw_facts, wanted
from benchmark.shapes.grammar import caption
from benchmark.shapes.oracles import READERS, Oracle
from benchmark.shapes.renderer import render, to_uint8
from benchmark.shapes.scenes import Wanted, sample_scenes
from benchmark.shapes.vocabulary import STYLES
from tools.build_shapes import small_networks

D = 4
"""Of the feature network: 5 d is then within reach of a small set."""


def write_world(package: Path, pipeline: Path) -> Path:
    """The weights and style data that scorers look for, random and small, below ``package/shapes``."""
    weights = package / "shapes" / "weights"
    shutil.copytree(pipeline, weights / "shapes-sd")
    # The golden images, without the scores that the real weights give them.
    golden = resources.shapes_data("conformance")
    ignored = shutil.ignore_patterns("expected.json")
    shutil.copytree(golden, package / "shapes" / "data" / golden.name, ignore=ignored)
    words_of = "shapes-imagereward/tokenizer"
    shutil.copytree(resources.shapes_weights(words_of), weights / words_of)
    tokenizer = hf_clip.load_tokenizer(weights / "shapes-sd" / "tokenizer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vision = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 64}
        text = {"context_length": 32, "width": 32, "heads": 2, "layers": 1}
        config = small_networks.small_config(len(tokenizer), embed_dim=16, vision=vision, text=text)
        for name in ("shapes-clip", "shapes-hps"):
            small_networks.save_open_clip(open_clip.new_open_clip(config), config, weights / name)
        small = small_networks.new_clip_model(tokenizer, width=32, layers=2, patch=16)
        small_networks.save_clip_model(small, weights / "shapes-pickscore")
        words = blip.load_reward_tokenizer(weights / "shapes-imagereward" / "tokenizer")
        sizes = replace(small_networks.small_reward_config(len(words), width=32, patch=16), mean=0.5, std=2.0)
        small_networks.save_reward_net(blip.RewardNet(sizes), weights / "shapes-imagereward")
        distance = perceptual.new_perceptual()
        for layer in distance.lins:
            # A distance: the layers' weights are kept positive in training as well.
            layer.model[-1].weight.data.abs_()
        small_networks.save_perceptual(distance, weights / "shapes-perceptual")
        small_networks.save_features(features.FeatureNet(D, width=8), weights / "shapes-features")
        Oracle("oracle", READERS["oracle"]()).save(weights / "oracle")
        # Last, as whatever is new should be: it would change the weights of all that is drawn after it.
        (weights / "shapes-aesthetic").mkdir()
        head = aesthetic.AestheticHead((16, 8, 8, 4, 4, 1))
        torch.save(head.state_dict(), weights / "shapes-aesthetic" / "head.pth")
        dino = Dinov2Config(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=56, patch_size=14
        )
        Dinov2Model(dino).save_pretrained(weights / "shapes-dino")
        write_vqa(weights / "shapes-vqa")
    _write_calibration(weights / "truth" / "oracle.json")
    for style in ("van_gogh", "sketch", "winter"):
        _write_style(package / "shapes" / "data" / f"shapes-style-{style}.parquet", style)
    return package


def write_vqa(folder: Path) -> None:
    """A small random BlipForQuestionAnswering whose vocabulary is letters, yes and no."""
    folder.mkdir()
    letters = "abcdefghijklmnopqrstuvwxyz0123456789?,.-:"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", "yes", "no"]
    words = [*special, *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        **size, "vocab_size": len(words), "encoder_hidden_size": 16, "max_position_embeddings": 128,
        "pad_token_id": 0, "sep_token_id": 3, "eos_token_id": 3, "bos_token_id": 5, "initializer_range": 0.5,
    }  # fmt: skip
    vision = {**size, "image_size": 32, "patch_size": 16, "initializer_range": 0.5}
    model = BlipForQuestionAnswering(BlipConfig(text_config=text, vision_config=vision))
    model.save_pretrained(folder)


def _write_calibration(path: Path) -> None:
    """Limits that let every complete scene pass."""
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"p99": {style: [9.0, 9.0] for style in STYLES}}))


def _write_style(path: Path, style: str, pairs: int = 8) -> None:
    """Renders in the style beside flat ones; the preferred one now left, now right."""
    asked = Wanted.anything(2 * pairs)
    styles = list(STYLES)
    asked.style[:pairs], asked.style[pairs:] = styles.index(style), styles.index("flat")
    scenes = sample_scenes(asked, torch.Generator().manual_seed(len(style)))
    images = [_png(image) for image in to_uint8(render(scenes))]
    rows = []
    for i in range(pairs):
        good, bad = images[i], images[pairs + i]
        left = i % 2 == 0
        rows.append(
            {
                "caption": style,
                "jpg_0": good if left else bad,
                "jpg_1": bad if left else good,
                "label_0": float(left),
                "label_1": float(not left),
            }
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def _png(image: torch.Tensor) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image.numpy()).save(buffer, format="PNG")
    return buffer.getvalue()


def render_set(folder: Path, prompts: int = 6, k: int = 2, name: str = "base", seed: int = 0) -> ImageSet:
    """Renders of random prompts, k for each, as the image set of a checkpoint."""
    g = torch.Generator().manual_seed(seed)
    facts = [draw_facts(g) for _ in range(prompts)]
    asked = [Prompt(f"p{i:03d}", caption(f, g), style=f.style) for i, f in enumerate(facts)]
    images = to_uint8(render(sample_scenes(wanted([f for f in facts for _ in range(k)]), g)))
    records = []
    for i, image in enumerate(images):
        path = folder / name / f"{asked[i // k].id}_{i % k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.numpy()).save(path)
        records.append(ImageRecord(asked[i // k].id, i % k, path, sha256_file(path), path_kl=0.5 * i))
    prompt_set = PromptSet("random", str(seed), tuple(asked))
    checkpoint, sampler, seeds = Checkpoint(name, "shapes"), Sampler(), tuple(range(k))
    content = ImageSet.content_id(checkpoint, prompt_set, sampler, seeds)
    return ImageSet(content, checkpoint, prompt_set, sampler, seeds, tuple(records))

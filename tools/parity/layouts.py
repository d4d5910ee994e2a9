"""The weights that comparisons share: written when the first needs them, deleted after the last."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmark.workflows.workers import run_workers
from tools.parity.asking import ask
from tools.parity.environments import IMAGE_REWARD as PACKAGE
from tools.parity.environments import bert_vocabulary, require_room

MED_CONFIG: Final[Mapping[str, Any]] = {
    "architectures": ["BertModel"], "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072,
    "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "bert", "num_attention_heads": 12,
    "num_hidden_layers": 12, "pad_token_id": 0, "type_vocab_size": 2, "vocab_size": 30524,
    "encoder_width": 768, "add_cross_attention": True,
}  # fmt: skip
"""med_config.json of THUDM/ImageReward."""

HPS: Final = "HPS_v2.1_compressed.pt"
OPEN_CLIP: Final = "open_clip"
CLIP_MODEL: Final = "clip-model"
IMAGE_REWARD: Final = "imagereward"
INCEPTION: Final = "weights-inception-2015-12-05-6726825d.pth"
AESTHETIC: Final = "aesthetic"
SMALL: Final = "small-open-clip"


def prepare(name: str, folder: Path) -> None:
    """Writes weights into a folder, unless they are there.

    Args:
        name: Of `WRITERS`.
        folder: Of all weights.

    Raises:
        UserError: if there is no room for them, or no environment to ask for their names.
    """
    place = folder / name
    if place.exists():
        return
    require_room(folder)
    layout = _reward_layout(folder) if name == IMAGE_REWARD else None
    # In a process of its own, so that this one stays small.
    draft = folder / f"draft-{name}"
    run_workers(_write, [(name, draft, layout)])
    draft.rename(place)


def discard(name: str, folder: Path) -> None:
    """Deletes weights, whole or begun."""
    for place in (folder / name, folder / f"draft-{name}"):
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)


def _reward_layout(folder: Path) -> Any:
    """ImageReward's names, from its own class."""
    config = folder / "med_config.json"
    config.write_text(json.dumps(dict(MED_CONFIG)), encoding="utf-8")
    PACKAGE.python()
    place = folder / "bert-base-uncased"
    place.mkdir(exist_ok=True)
    shutil.copyfile(bert_vocabulary(), place / "vocab.txt")
    (layout,) = ask("image_reward_layout", PACKAGE, folder, [[]], med_config=config).complete()
    return layout


def _write(job: tuple[str, Path, Any]) -> None:
    name, place, layout = job
    WRITERS[name](place, layout)


def _write_hps(place: Path, _: Any) -> None:
    from tools.parity import weights

    weights.write_hps(place, small=False)


def _write_open_clip(place: Path, _: Any) -> None:
    from tools.parity import weights

    weights.write_open_clip_folder(place, small=False)


def _write_clip_model(place: Path, _: Any) -> None:
    from tools.parity import weights

    weights.write_clip_model(place, small=False)


def _write_image_reward(place: Path, layout: Any) -> None:
    import torch

    from tools.parity.weights import lively

    place.mkdir()
    torch.save(lively(layout, seed=2), place / "ImageReward.pt")
    (place / "tokenizer").mkdir()
    shutil.copyfile(place.parent / "bert-base-uncased" / "vocab.txt", place / "tokenizer" / "vocab.txt")
    os.link(place.parent / "med_config.json", place / "med_config.json")


def _write_inception(place: Path, _: Any) -> None:
    from tools.parity import weights

    weights.write_inception(place)


def _write_aesthetic(place: Path, _: Any) -> None:
    from tools.parity import weights

    weights.write_aesthetic(place)


def _write_small(place: Path, _: Any) -> None:
    from tools.parity import weights

    weights.write_small_open_clip(place)


WRITERS: Final[Mapping[str, Callable[[Path, Any], None]]] = {
    HPS: _write_hps,
    OPEN_CLIP: _write_open_clip,
    CLIP_MODEL: _write_clip_model,
    IMAGE_REWARD: _write_image_reward,
    INCEPTION: _write_inception,
    AESTHETIC: _write_aesthetic,
    SMALL: _write_small,
}

"""`clip`, `hps`, `pickscore` and `imagereward`: one number for each of 32 images with its prompt."""

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import ftfy
from PIL import Image

from tools.parity.asking import ask, score
from tools.parity.comparison import Answers, Comparison
from tools.parity.environments import CURRENT, OLD, OURS, Environment
from tools.parity.environments import IMAGE_REWARD as PACKAGE
from tools.parity.layouts import AESTHETIC, CLIP_MODEL, HPS, IMAGE_REWARD, OPEN_CLIP
from tools.parity.material import LOSSY, Case, write_cases

ABOUT: Final = "32 images with their prompts"


def hps(folder: Path) -> Answers:
    """hpsv2's `score`."""
    file = folder / HPS
    return compare_cases(folder, f"hps(weights={str(file)!r})", "hpsv2_score", CURRENT, checkpoint=file)


def clip(folder: Path) -> Answers:
    """open_clip's own loading, preprocessing, tokenizer and towers."""
    file = folder / OPEN_CLIP / "open_clip_model.safetensors"
    return compare_cases(folder, f"clip(weights={str(file)!r})", "open_clip_cosine", OURS, checkpoint=file)


def clip_torchmetrics(folder: Path) -> Answers:
    """Torchmetrics' CLIPScore on the same weights in the other library's layout."""
    file = folder / OPEN_CLIP / "open_clip_model.safetensors"
    return compare_cases(
        folder,
        f"clip(weights={str(file)!r})",
        "torchmetrics_clip_score",
        OLD,
        _read_otherwise,
        weights=folder / CLIP_MODEL,
    )


def pickscore(folder: Path) -> Answers:
    """The model card's code on the libraries of its day."""
    model = folder / CLIP_MODEL
    scorer = f"pickscore(weights={str(model)!r})"
    return compare_cases(folder, scorer, "pickscore_card", OLD, model=model, processor=model)


def pickscore_today(folder: Path) -> Answers:
    """The model card's code on transformers 5, with the preprocessing it was published with."""
    model = folder / CLIP_MODEL
    scorer = f"pickscore(weights={str(model)!r})"
    return compare_cases(folder, scorer, "pickscore_card", OURS, model=model, processor=model, backend="pil")


def imagereward(folder: Path) -> Answers:
    """ImageReward's `load` and `score`."""
    place = folder / IMAGE_REWARD
    given: dict[str, Any] = {
        "checkpoint": place / "ImageReward.pt",
        "med_config": place / "med_config.json",
    }
    return compare_cases(
        folder, f"imagereward(weights={str(place)!r})", "image_reward_score", PACKAGE, **given
    )


def aesthetic(folder: Path) -> Answers:
    """The predictor that ImageReward carries, on OpenAI's package."""
    place = folder / AESTHETIC
    head = place / "sac+logos+ava1-l14-linearMSE.pth"
    scorer = f"aesthetic(weights={str(head)!r}, clip={str(place / 'open_clip_model.safetensors')!r})"
    found = folder / "ViT-L"
    found.unlink(missing_ok=True)
    found.symlink_to(place / "ViT-L")
    return compare_cases(folder, scorer, "aesthetic_score", PACKAGE, head=head)


def _read_otherwise(case: Case) -> str:
    """Why transformers' processor gives CLIP another input than open_clip does; empty where it does not."""
    plain, cleaned = case.prompt, html.unescape(html.unescape(ftfy.fix_text(case.prompt)))
    if " ".join(cleaned.split()).lower() != " ".join(plain.split()).lower():
        return "open_clip repairs encodings and entities in a text, transformers does not"
    if len(plain) > 300:
        return "torchmetrics cuts a long text without its end token, open_clip keeps one"
    with Image.open(case.raw) as image:
        short, long = sorted(image.size)
    surplus = int(224 * long / short) - 224
    if surplus // 2 != round(surplus / 2):
        return "torchvision and transformers round half a pixel of the centre crop to different sides"
    return ""


def compare_cases(
    folder: Path,
    scorer: str,
    oracle: str,
    environment: Environment,
    otherwise: Callable[[Case], str] = lambda _: "",
    **given: Any,
) -> Answers:
    """Both sides' numbers for every image with its prompt.

    Args:
        folder: For the images.
        scorer: Ours, as behind `--scorers`.
        oracle: Name of a file in `originals/`.
        environment: Where it runs.
        otherwise: Why the original reads a case otherwise, so that it does not count; empty where it counts.
        given: What the original loads.

    Raises:
        UserError: if a side cannot be run.
    """
    environment.python()
    cases = write_cases(folder / "cases")
    ours = score(folder / "cases" / "cases.jsonl", scorer)
    odd = [case for case in cases if case.mode in LOSSY]
    calls = [(c.given, c.prompt) for c in cases] + [(c.raw, c.prompt) for c in odd]
    reply = ask(oracle, environment, folder, calls, **given)
    why = {c.id: reason for i, c in enumerate(cases) if (reason := reply.errors.get(i) or otherwise(c))}
    counted = [(ours[c.id], reply.values[i]) for i, c in enumerate(cases) if c.id not in why]
    return Answers(
        [a for a, _ in counted],
        [b for _, b in counted],
        reply.versions,
        {f"{c.mode} {c.prompt[:40]!r}": why[c.id] for c in cases if c.id in why},
        _raw(odd, ours, reply.values[len(cases) :], {i - len(cases): e for i, e in reply.errors.items()}),
    )


def _raw(
    cases: list[Case], ours: Mapping[str, float], values: Any, errors: Mapping[int, str]
) -> dict[str, str]:
    """What comes out where the original opens the file itself, by mode."""
    said: dict[str, str] = {}
    for i, case in enumerate(cases):
        found = errors.get(i) or f"{abs(ours[case.id] - values[i]):.2g}"
        said[case.mode] = found if case.mode not in said else max(said[case.mode], found)
    return said


COMPARISONS: Final = (
    Comparison("hps", "hpsv2 `score`", hps, (HPS,), about=ABOUT),
    Comparison("clip", "open_clip", clip, (OPEN_CLIP,), about=ABOUT),
    Comparison("clip", "torchmetrics `CLIPScore`", clip_torchmetrics, (OPEN_CLIP, CLIP_MODEL), about=ABOUT),
    Comparison("pickscore", "the model card, transformers 4.49", pickscore, (CLIP_MODEL,), about=ABOUT),
    Comparison("pickscore", "the model card, transformers 5", pickscore_today, (CLIP_MODEL,), about=ABOUT),
    Comparison("imagereward", "ImageReward `score`", imagereward, (IMAGE_REWARD,), about=ABOUT),
    Comparison("aesthetic", "ImageReward's `AestheticScore`", aesthetic, (AESTHETIC,), about=ABOUT),
)
